"""End a process at any step of what it writes, or fill the disk there."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moon.vault.catalog import Catalog
from moon.vault.ledger import Ledger

Action = Callable[[], object]
# Calls that change something on the disk; a crash comes before or behind any of them.
BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (Path, "replace"),
    (Path, "unlink"),
    (Ledger, "append"),
    (Catalog, "add_segment"),
    (Catalog, "note_position"),
)
KILLED, BROKEN = 9, 70


class _Countdown:
    """Ends the process when the chosen step is reached, as kill -9 would."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self) -> bool:
        """Is this the step?"""
        self.left -= 1
        return self.left < 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a step before and one behind it."""

        def stepped(*arguments: Any, **options: Any) -> Any:
            if self.step():
                os._exit(KILLED)
            value = function(*arguments, **options)
            if self.step():
                os._exit(KILLED)
            return value

        return stepped

    def half_write(self, descriptor: int, data: Any) -> int:
        """`os.write`, cut in half by the crash."""
        if self.step():
            REAL_WRITE(descriptor, bytes(data)[: len(data) // 2])
            os._exit(KILLED)
        return REAL_WRITE(descriptor, data)


REAL_WRITE = os.write


def killed_at(step: int, action: Action) -> bool:
    """Run an action in a child process that dies at that step of its writing; False when it came to its end before."""
    return killed_between(BOUNDARIES, step, action, writes=True)


def killed_between(places: tuple[tuple[Any, str], ...], step: int, action: Action, *, writes: bool = False) -> bool:
    """The same with the steps before and behind the calls of these functions, and in the middle of each write."""
    child = os.fork()
    if child == 0:
        try:
            countdown = _Countdown(step)
            for place, name in places:
                setattr(place, name, countdown.wrap(getattr(place, name)))
            if writes:
                os.write = countdown.half_write
            action()
            os._exit(0)
        except BaseException:
            REAL_WRITE(2, traceback.format_exc().encode())
        finally:
            os._exit(BROKEN)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED), f"the child failed by itself at step {step}, see stderr"
    return code == KILLED


@contextmanager
def disk_full_at(step: int) -> Iterator[list[int]]:
    """`os.write` has room for half of the data at that step and for nothing from then on; gives the failed writes."""
    failed: list[int] = []
    countdown = _Countdown(step)

    def write(descriptor: int, data: Any) -> int:
        if descriptor <= 2 or not countdown.step():
            return REAL_WRITE(descriptor, data)
        if not failed and len(data) > 1:
            failed.append(len(data))
            return REAL_WRITE(descriptor, bytes(data)[: len(data) // 2])
        failed.append(len(data))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        yield failed


@contextmanager
def sync_fails_at(step: int, code: int, *, lasting: bool = False) -> Iterator[list[int]]:
    """The flush to the disk at that step fails, and with `lasting` each one after it; gives the failed descriptors."""
    failed: list[int] = []
    countdown = _Countdown(step)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        reached = countdown.step()
        if reached and (lasting or not failed):
            failed.append(descriptor)
            raise OSError(code, os.strerror(code))
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield failed


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    # Without /proc (macOS) the system counts in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
