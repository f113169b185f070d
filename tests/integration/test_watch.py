"""moon-watch: ticks as children, one loop a home, and a clean end on a signal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.moon import ROOT, Moon
from tests.support.programs import write_program

LOOP = """
import sys
from pathlib import Path
from moon.cli.watch import say
from moon.paths import Home
from moon.watch import watch_loop
watch_loop.GRACE_SECONDS = float(sys.argv[4])
raise SystemExit(watch_loop.run_forever(Home(Path(sys.argv[1])), float(sys.argv[2]), say, Path(sys.argv[3])))
"""
PATIENCE = 60.0


class Loop:
    """A loop with a tick of the test's own."""

    def __init__(self, folder: Path, tick: str, *, interval: float = 0.05, grace: float = 20.0) -> None:
        self.folder = folder
        program = write_program(folder / "tick", f'#!/bin/sh\necho tick >>"{folder}/ticks"\n{tick}\n')
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LOOP, str(folder / "moon"), str(interval), str(program), str(grace)],
                env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
                stderr=log,
            )

    def ticks(self) -> int:
        path = self.folder / "ticks"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    made: list[Loop] = []
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ticks_until_a_signal(tmp_path: Path, loops: list[Loop], number: int) -> None:
    loop = Loop(tmp_path, "exit 0")
    loops.append(loop)
    loop.wait_for(lambda: loop.ticks() >= 4)
    assert loop.stop(number) == 128 + number
    lines = loop.log.read_text().splitlines()
    assert len(lines) == 2 and lines[1].endswith(f"stopped by {signal.Signals(number).name}")


def test_a_held_lock_is_no_failure_and_says_nothing(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, "exit 75")
    loops.append(loop)
    loop.wait_for(lambda: loop.ticks() >= 4)
    loop.stop()
    assert "exit code" not in loop.log.read_text()


def test_failures_are_said_and_tried_again(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, f'[ "$(wc -l < {tmp_path}/ticks)" -gt 3 ] || exit 1')
    loops.append(loop)
    loop.wait_for(lambda: "well again" in loop.log.read_text())
    loop.stop()
    assert loop.log.read_text().count("a tick ended with exit code 1") == 3


def test_a_tick_that_cannot_start_does_not_end_the_loop(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, "exit 0")
    loops.append(loop)
    loop.wait_for(lambda: loop.ticks() >= 1)
    (tmp_path / "tick").unlink()
    loop.wait_for(lambda: "cannot start" in loop.log.read_text())
    assert loop.stop() == 143


def test_a_tick_at_work_may_end_by_itself(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo whole > {tmp_path}/done")
    loops.append(loop)
    loop.wait_for(lambda: loop.ticks() == 1)
    loop.process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert loop.process.wait(PATIENCE) == 143
    assert (tmp_path / "done").exists()


def test_a_tick_that_does_not_end_is_ended_with_all_its_programs(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait", grace=0.1)
    loops.append(loop)
    loop.wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    assert loop.stop() == 143
    deadline = time.monotonic() + PATIENCE
    while is_alive(int((tmp_path / "pid").read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Does the process run? One that ended and waits for its parent does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def test_one_loop_for_a_home(tmp_path: Path, loops: list[Loop]) -> None:
    loop = Loop(tmp_path, "exit 0")
    loops.append(loop)
    loop.wait_for(lambda: loop.ticks() >= 1)
    done = Moon(tmp_path).run("watch", "--daemon")
    assert done.code == 75 and "another moon-watch" in done.stderr
    loop.stop()


def test_once_is_one_tick_with_its_exit_code(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    assert moon.run("watch", "--once").code == moon.run("sample").code == 1
    shutil.copytree(ROOT / "tests" / "recorded" / "sqlite", moon.state_dir)
    assert moon.run("watch", "--once").code == 0
    assert moon.home.state_file.exists() and moon.ledger()


def test_it_needs_to_know_how(tmp_path: Path) -> None:
    assert Moon(tmp_path).run("watch").code == 2
    assert Moon(tmp_path).run("watch", "--once", "--daemon").code == 2


def test_an_invalid_configuration_starts_no_loop(tmp_path: Path) -> None:
    done = Moon(tmp_path).run("watch", "--daemon", env={"MOON_TIMER__INTERVAL_SECONDS": "0"})
    assert done.code == 78
