"""A whole cycle, killed at any step: the next ticks finish it, and every promise holds.

The short form of `tests/attack/crash.py`, which kills before every system call.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys

import pytest
from tests.fakes.gateway_server import TOKEN, GatewayServer
from tests.support.moon import ROOT
from tests.support.whole_cycle import Machine, program

MANY = 1_000_000
DEATHS = 4


def tick_that_dies(machine: Machine, step: int) -> tuple[int, int]:
    """A tick that is killed at that step, and its process group with it: (exit code, steps that were left)."""
    python = machine.folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -s "{ROOT}/tests/support/dying_python.py" "$@"\n')
    python.chmod(0o700)
    note = machine.folder / "left"
    dying = {"MOON_PYTHON": str(python), "DIES_AT": str(step), "DIES_NOTE": str(note)}
    child = subprocess.Popen(
        [program("sample")],
        env={**machine.environment(0), **dying},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    code = child.wait(120)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return code, int(note.read_text().split()[0]) if note.exists() else 0


@pytest.mark.parametrize(("home", "way"), [("new", "socket"), ("living", "command")])
def test_a_cycle_that_is_killed_anywhere_keeps_every_promise(tmp_path, monkeypatch, home, way):
    with GatewayServer() as server:

        def machine(name: str) -> Machine:
            made = Machine(tmp_path / name, server.port if way == "socket" else 0, TOKEN)
            for variable in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW"):
                monkeypatch.setenv(variable, made.environment(0)[variable])
            if home == "living":
                made.begin()
            made.fill()
            return made

        whole = machine("whole")
        before = whole.held_by_store()
        code, left = tick_that_dies(whole, MANY)
        assert (code, list(whole.broken_promises(before))) == (0, [])
        steps = MANY - left
        assert steps > 300, "every station was seen"
        dice = random.Random(f"{home} {way}")
        # One death in each stretch of the cycle, wherever in it.
        for number in range(DEATHS):
            step = (number * steps + dice.randrange(steps)) // DEATHS
            dying = machine(f"dies-at-{step}")
            before = dying.held_by_store()
            assert tick_that_dies(dying, step)[0] == -signal.SIGKILL
            assert [*dying.rest(), *dying.broken_promises(before)] == [], f"killed at step {step} of {steps}"
