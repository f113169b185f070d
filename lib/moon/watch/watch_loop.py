"""Run ticks as children, one after the other, until a signal says stop.

A tick that is at work when the signal comes may end by itself for a while; then it is ended, and what it left is taken
up by the next tick, whoever starts it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from moon.errors import FAILED, LockBusy
from moon.files import Lock
from moon.output import say
from moon.paths import Home
from moon.watch.tick_schedule import Pace, is_failure

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
POLL_SECONDS = 0.2
# As long as the systemd unit gives a cycle with every station and slow models.
TICK_SECONDS = 1800.0
GRACE_SECONDS = 20.0
KILL_SECONDS = 5.0


class Stop:
    """Remembers the signal that asked for the end; a second one asks for it at once."""

    def __init__(self) -> None:
        self.number = 0
        self.count = 0
        self.event = threading.Event()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.count += 1
        self.event.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Take the signals while the block runs."""
        before = {each: signal.signal(each, self) for each in STOPPING}
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def run_once(program: Path) -> int:
    """One tick; its exit code, or 128 + the signal that ended it or us."""
    with Stop().listening() as stop:
        code = run_tick(program, stop)
        return 128 + stop.number if stop.number else code


def run_forever(home: Home, interval: float, say: Callable[[str], None], program: Path) -> int:
    """Tick after tick; returns 128 + the signal that ended it. Raises `LockBusy` when one runs already."""
    lock = take_lock(home)
    with Stop().listening() as stop:
        say(f"looking every {interval:g} s until SIGTERM or SIGINT")
        began = time.monotonic()
        pace = Pace(interval)
        while not stop.number:
            code = run_tick(program, stop)
            before, pace = pace, pace.after(code)
            due = pace.next_start(began, time.monotonic())
            if is_failure(code) and not stop.number:
                say(f"a tick ended with exit code {code}; the next in {due - time.monotonic():.0f} s")
            elif before.failures and not pace.failures:
                say("well again")
            stop.event.wait(max(0.0, due - time.monotonic()))
        say(f"stopped by {signal.Signals(stop.number).name}")
    lock.release()
    return 128 + stop.number


def take_lock(home: Home) -> Lock:
    """Only one loop for a home. Raises `LockBusy`."""
    path = home.state / "watch.lock"
    try:
        return Lock.take(path)
    except LockBusy as error:
        raise LockBusy(
            "another moon-watch looks after this MOON_HOME", path=str(path), hint="one is enough; stop it to start anew"
        ) from error


def run_tick(program: Path, stop: Stop) -> int:
    """Run one tick to its end; its exit code, 128 + n when signal n ended it."""
    try:
        # A session of its own: Ctrl-C reaches the loop alone, and the whole tick can be ended together.
        child = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        say(f"moon-watch: cannot start {program}: {error.strerror}")
        return FAILED
    deadline = time.monotonic() + TICK_SECONDS
    asked = 0
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return _code(child.wait(POLL_SECONDS))
        if stop.count > asked:
            # The first signal leaves the tick some time to end by itself, the second none.
            deadline = min(deadline, time.monotonic() + (0.0 if stop.count > 1 else GRACE_SECONDS))
            asked = stop.count
    return end(child)


def end(child: subprocess.Popen[bytes]) -> int:
    """End a tick with all its programs; an interrupt lets it end those it started itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        _signal(child, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(KILL_SECONDS)
            break
    _signal(child, signal.SIGKILL)  # also what the tick left behind in its group
    return _code(child.wait())


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _code(returned: int) -> int:
    return returned if returned >= 0 else 128 - returned
