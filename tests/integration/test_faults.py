"""What the machine itself can refuse: room, inodes, descriptors, memory, locks, a steady clock, decent names."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import events
from tests.support.moon import ROOT, Moon, Result, archived_events
from tests.support.stores import NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder

from moon.clock import format_ms
from moon.errors import HomeUnusable
from moon.files import Lock
from moon.vault.verify import verify

KEY = "agent:main:main"
SAID = [*events.conversation("s1", 4), events.message("big", "the lighthouse ledger holds 4711 entries " * 4_000)]


@pytest.fixture
def moon(tmp_path):
    """A session that is to be archived and rolled over."""
    made = Moon(tmp_path, {"FAKE_OPENCLAW": str(tmp_path / "fake.json"), "MOON_DISTILL__PROVIDERS": "local"})
    store = SqliteStoreBuilder(made.state_dir)
    store.put(KEY, "s1", SAID, used=45_000)
    # A store that must be made ready for its first reader can be no part of what is limited.
    store.connect().execute("SELECT count(*) FROM transcript_events").fetchall()
    return made


def limited(moon: Moon, limit: int, value: int) -> Result:
    """A tick under a limit of the system."""

    def set_limit() -> None:
        resource.setrlimit(limit, (value, value))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [str(ROOT / "bin" / "moon-sample")], env=moon.env, stdin=subprocess.DEVNULL, capture_output=True,
        preexec_fn=set_limit, check=False, timeout=120,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def goes_on(moon: Moon, done: Result) -> None:
    """What was said is no traceback and no call for help, and the next ticks do all the work."""
    assert done.code in (0, 1, 3), done
    assert "Traceback" not in done.stderr and "report it as a bug" not in done.stderr, done.stderr
    for later in (60, 4_000):
        assert moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + later * 1000)}).code == 0
    # The rollover adds its own events.
    held = list(archived_events(moon.home, "s1"))
    assert held[: len(SAID)] == SAID and len(set(held)) == len(held)
    assert verify(moon.home).errors == []
    assert list(moon.home.root.rglob("*.tmp")) == []


LIMITS = {
    "descriptors": (resource.RLIMIT_NOFILE, 12),
    "size of a file": (resource.RLIMIT_FSIZE, 120_000),
    **({"memory": (resource.RLIMIT_AS, 64 << 20)} if sys.platform == "linux" else {}),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_the_system_is_said_and_costs_nothing_but_time(moon, limit):
    done = limited(moon, *LIMITS[limit])
    if limit == "memory":
        assert (done.code, "there was not enough memory" in done.stderr) == (1, True), done
    goes_on(moon, done)


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[Moon], Result]]:
    """A tick on a disk with little room and few inodes; where none can be mounted, with a limit that is as tight."""
    command = ["mount", "-t", "tmpfs", "-o", "size=160k,nr_inodes=24,mode=700", "none", str(folder)]
    mounted = (
        sys.platform == "linux" and os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    )
    try:
        yield (
            (lambda moon: moon.run("sample"))
            if mounted
            else (lambda moon: limited(moon, resource.RLIMIT_FSIZE, 120_000))
        )
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_too_small_costs_nothing_but_time(moon):
    moon.home.root.mkdir()
    with small_disk(moon.home.root) as tick:
        done = tick(moon)
        assert done.code in (1, 3), done
        assert "Traceback" not in done.stderr and "report it as a bug" not in done.stderr, done.stderr
        assert list(moon.home.root.rglob("*.tmp")) == []
        assert verify(moon.home).errors == []
    goes_on(moon, done)


@pytest.mark.parametrize("step", [3, 140, 260])
def test_an_error_of_the_disk_at_any_step_costs_nothing_but_time(moon, step):
    python = moon.folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -s "{ROOT}/tests/support/dying_python.py" "$@"\n')
    python.chmod(0o700)
    dying = {"MOON_PYTHON": str(python), "DIES_AT": str(step), "DIES_OF": "EIO"}
    goes_on(moon, moon.run("sample", env={**dying, "DIES_NOTE": str(moon.folder / "left")}))


def test_a_hundred_megabytes_of_output_are_not_read(moon):
    program = moon.folder / "openclaw-that-floods"
    program.write_text("#!/bin/sh\nhead -c 100000000 /dev/zero\n")
    program.chmod(0o700)
    done = moon.run("sample", env={"MOON_OPENCLAW__BIN": str(program)})
    assert done.code == 0 and "rollover: 1 deferred" in done.stderr, done
    goes_on(moon, done)


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(HomeUnusable, match=os.strerror(errno.ENOLCK)):
        Lock.take(tmp_path / "state" / "cycle.lock")


NAMES = (
    "ünïcode",
    unicodedata.normalize("NFD", "ünïcode"),
    "日本",
    "-rf",
    "a b'\"$(id)",
    "x" * 200,
    ".hidden",
    "%00",
    "a\tb",
)


def test_names_in_every_encoding(tmp_path):
    """Session ids as OpenClaw could have them, beside names that are none of its own."""
    made = Moon(tmp_path)
    said = {}
    for agent in ("main", "ågent"):
        store = JsonlStoreBuilder(made.state_dir, agent)
        for number, name in enumerate(NAMES):
            said[agent, name] = events.conversation(f"{agent}{number}", 1)
            store.put(f"agent:{agent}:{name}", name, said[agent, name], used=40_000)
    foreign = os.fsencode(JsonlStoreBuilder(made.state_dir).folder)
    for odd in (b"latin-\xe9.jsonl", b"half-\xed\xa0\x80.jsonl", b"\xff\xfe.jsonl.deleted.x", b"new\nline.jsonl.zst"):
        try:
            Path(os.fsdecode(foreign + b"/" + odd)).write_bytes(b"not a transcript\n")
        except OSError:
            continue  # a file system that takes no such name, as on macOS
    done = made.run("archive", "--all")
    assert "Traceback" not in done.stderr, done.stderr
    held = {}
    for record in made.ledger():
        if record["kind"] == "archive":
            held.setdefault((record["agent"], record["session_id"]), []).append(record)
    for place, lines in said.items():
        assert list(archived_events(made.home, place[1])).count(lines[0]) == 1, place
        assert place in held
    assert verify(made.home).errors == []


def test_a_clock_that_goes_back_and_forth_delays_nothing_for_long(moon):
    """A year ahead the gateway is down, and what is tried again later waits; then the clock is right, and it is up."""
    plan = Path(moon.extra["FAKE_OPENCLAW"])
    plan.write_text('{"down": true}')
    for ahead in (365 * 86_400, 365 * 86_400 + 60, 365 * 86_400 + 180):
        moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + ahead * 1000)})
    moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS - 86_400_000)})
    plan.write_text("{}")
    SqliteStoreBuilder(moon.state_dir).append("s1", events.message("later", "one word more"), at=NOW_MS)
    for minutes in (0, 61, 122, 183):
        moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + minutes * 60_000)})
    assert [line["kind"] for line in moon.ledger()].count("link") == 1
    assert events.message("later", "one word more") in set(archived_events(moon.home))
