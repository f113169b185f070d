"""Standard output and standard error: the only place that writes to either.

Words for people go out through `moon.text`, so that no name or error in them can steer a terminal; documents are JSON
in UTF-8, in which hidden characters are escaped; exact bytes go out only where somebody asked for them, and never to
a terminal. Held to it by tests/contract/test_exits.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO, TypeVar

from moon.errors import MoonError, UsageWrong
from moon.text import shown

Item = TypeVar("Item")
# A line that changes more often cannot be read.
TRACKED_SECONDS = 0.2


class OutputGone(MoonError):
    """Standard output is closed, or what it leads to takes no more."""

    code = "output_gone"


def say(*words: str) -> None:
    """Lines of Moon's own words on standard error. One that cannot be written has nobody to be told to."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        _write(sys.stderr, "".join(f"{shown(each)}\n" for each in words))
        sys.stderr.flush()


def tell(*words: str) -> None:
    """Lines of Moon's own words on standard output. Raises `OutputGone`."""
    with _standard_output() as stream:
        _write(stream, "".join(f"{shown(each)}\n" for each in words))


def show(text: str) -> None:
    """A text that was made for a terminal, colours and all, from pieces that are clean. Raises `OutputGone`."""
    with _standard_output() as stream:
        _write(stream, text)


def put(document: str) -> None:
    """A document, always in UTF-8 and at once, so that whoever reads a pipe can go on. Raises `OutputGone`."""
    with _standard_output() as stream:
        stream.flush()
        if hasattr(stream, "buffer"):
            stream.buffer.write(document.encode("utf-8", "backslashreplace"))
        else:  # whoever calls us from Python put a stream of text in its place
            stream.write(document)
        stream.flush()


def put_bytes(data: bytes) -> None:
    """Exact bytes. Raises `OutputGone`; `UsageWrong` for a terminal, which such bytes could steer."""
    refuse_terminal()
    with _standard_output() as stream:
        stream.buffer.write(data)


def refuse_terminal() -> None:
    """Raise `UsageWrong` where exact bytes would go to a terminal."""
    if is_terminal():
        raise UsageWrong(
            "exact bytes are not for a terminal, which they could steer", hint="send them to a file or pipe"
        )


def confirm(question: str) -> bool:
    """Ask on the terminal; nobody there, or anything but yes, is a no."""
    if sys.stdin is None or not sys.stdin.isatty() or sys.stderr is None or not sys.stderr.isatty():
        return False
    with contextlib.suppress(OSError):
        _write(sys.stderr, f"{shown(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().casefold() in ("y", "yes")
    return False


def progress(words: str) -> None:
    """A line on the terminal behind standard error that the next one replaces; nothing elsewhere."""
    if sys.stderr is not None and sys.stderr.isatty():
        with contextlib.suppress(OSError):
            _write(sys.stderr, f"\r\033[K{shown(words)}")
            sys.stderr.flush()


def tracked(items: Sequence[Item], words: str) -> Iterator[Item]:
    """The items one by one; a line on the terminal says at which of them long work is: `words: 3 of 40`."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from items
        return
    told = 0.0
    for number, item in enumerate(items, 1):
        if time.monotonic() - told > TRACKED_SECONDS:
            progress(f"{words}: {number} of {len(items)}")
            told = time.monotonic()
        yield item
    progress("")


def is_terminal() -> bool:
    """Whether standard output leads to a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def flush() -> None:
    """Write out what is held back. Raises `OutputGone`."""
    if sys.stdout is not None and not sys.stdout.closed:  # what served a protocol there may have closed it
        with _standard_output() as stream:
            stream.flush()


def give_up() -> None:
    """Let what is still held back go nowhere, so that the end of the process is not disturbed by it."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def hold_descriptors() -> None:
    """Occupy the standard descriptors that whoever started us closed, or a file of ours would become one of them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@contextlib.contextmanager
def _standard_output() -> Iterator[TextIO]:
    if sys.stdout is None:
        raise OutputGone(
            "cannot write to standard output: it is closed", hint="what was done is done; see `moon-status`"
        )
    try:
        yield sys.stdout
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputGone(
            f"cannot write to standard output: {error.strerror or error}",
            hint="give it room, or send it elsewhere; what was done is done, see `moon-status`",
        ) from error


def _write(stream: TextIO, text: str) -> None:
    """Write what the stream's encoding can say, and the rest as escapes."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
