"""A pager as git uses one: the user's own, else less, which ends at once when the text fits the screen."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import IO

from moon.output import show


def page(text: str) -> None:
    """Show a text through the pager."""
    with paging() as write:
        write(text)


@contextlib.contextmanager
def paging() -> Iterator[Callable[[str], None]]:
    """Something that shows text piece by piece through MOON_PAGER, PAGER or less; plainly where there is none.

    Whoever leaves the pager has read enough: the block ends there, and what follows it goes on.
    """
    child = _started()
    if child is None or child.stdin is None:
        yield show
        return
    stream = child.stdin
    try:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
            yield lambda text: _write(stream, text)
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()
        _wait(child)


def _started() -> subprocess.Popen[bytes] | None:
    command = shlex.split(os.environ.get("MOON_PAGER") or os.environ.get("PAGER") or "less")
    environment = {**os.environ}
    environment.setdefault("LESS", "FRX")
    if not command or command[0] == "cat":
        return None
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:
        return None


def _write(stream: IO[bytes], text: str) -> None:
    stream.write(text.encode("utf-8", "replace"))


def _wait(child: subprocess.Popen[bytes]) -> None:
    """Until the reader has read; an interrupt is for the pager, which handles it itself."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            child.wait()
            return
