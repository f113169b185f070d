"""Programs outside Moon: always an argument list, a timeout, and a bound on what is read from them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from moon.errors import ProgramAbsent

Json = TypeVar("Json", dict[str, Any], list[Any])


@dataclass(frozen=True)
class Completed:
    """How a program ended. `code` is None when it was stopped for `timed_out` or `overflowed`."""

    code: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    overflowed: bool = False

    def describe(self) -> str:
        """Why this is a failure, in a few words."""
        if self.timed_out:
            return "gave no answer in time"
        if self.overflowed:
            return "printed more than Moon reads"
        last = self.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        return f"ended with exit code {self.code}" + (f": {last[0][:200]}" if last[0] else "")


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    max_output: int = 16 << 20,
    env: Mapping[str, str] | None = None,
    input_bytes: bytes | None = None,
    held: Sequence[int] = (),
) -> Completed:
    """Run a program in a process group of its own and read both its outputs until it ends.

    The whole group is killed on timeout, overflow or an exception (so also on a signal that becomes one), and no
    grandchild stays behind. Only kill -9 of Moon leaves it running; the descriptors `held`, which it inherits, then
    stay open, so that a lock on one of them tells that it still lives. Both pipes are read together, which keeps a
    program that fills one of them from blocking. Raises `ProgramAbsent`.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if input_bytes is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env) if env is not None else None,
            start_new_session=True,
            pass_fds=tuple(held),
        )
    except OSError as error:
        raise ProgramAbsent(f"cannot start {argv[0]}: {error.strerror}", path=str(argv[0])) from error
    except ValueError as error:
        # No argument can hold a NUL, nor half of a surrogate pair.
        raise ProgramAbsent(f"cannot start {argv[0]} with these arguments: {error}", path=str(argv[0])) from error
    try:
        return _read(child, timeout, max_output, input_bytes or b"")
    finally:
        _stop(child)


def _anything(_document: object) -> bool:
    return True


def find_json(output: bytes, kind: type[Json], fits: Callable[[Json], bool] = _anything) -> Json | None:
    """The answer in a program's output: its last JSON object (`dict`) or list that `fits`, whatever stands around it.

    Log lines may be JSON too, before the answer and behind it: say with `fits` what the answer looks like.
    """
    found = None
    for value in _documents(output.decode("utf-8", "replace").strip(), "{" if kind is dict else "["):
        if isinstance(value, kind) and fits(value):
            found = value
    return found


def _documents(text: str, opening: str) -> Iterator[object]:
    """Every whole JSON document that begins at the start of a line, but none that lies inside another one."""
    decoder = json.JSONDecoder()
    start = text.find(opening)
    while start >= 0:
        end = start + 1
        if start == 0 or text[start - 1] == "\n":
            try:
                value, end = decoder.raw_decode(text, start)
                yield value
            except (ValueError, RecursionError):
                pass
        start = text.find(opening, end)


def _read(child: subprocess.Popen[bytes], timeout: float, max_output: int, pending: bytes) -> Completed:
    deadline = time.monotonic() + timeout
    chunks: dict[int, list[bytes]] = {}
    total = 0
    with selectors.DefaultSelector() as selector:
        for stream in (child.stdout, child.stderr):
            assert stream is not None
            chunks[stream.fileno()] = []
            selector.register(stream, selectors.EVENT_READ)
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return Completed(None, *_joined(child, chunks), timed_out=True)
            for key, _ in selector.select(left):
                if key.fileobj is child.stdin:
                    pending = _feed(child, selector, pending)
                    continue
                data = os.read(key.fd, 65536)
                total += len(data)
                if not data:
                    selector.unregister(key.fileobj)
                chunks[key.fd].append(data)
                if total > max_output:
                    return Completed(None, *_joined(child, chunks), overflowed=True)
    try:
        code = child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Completed(None, *_joined(child, chunks), timed_out=True)
    return Completed(code, *_joined(child, chunks))


def _feed(child: subprocess.Popen[bytes], selector: selectors.BaseSelector, pending: bytes) -> bytes:
    assert child.stdin is not None
    try:
        pending = pending[os.write(child.stdin.fileno(), pending[:65536]) :]
    except BrokenPipeError:
        pending = b""
    if not pending:
        selector.unregister(child.stdin)
        child.stdin.close()
    return pending


def _joined(child: subprocess.Popen[bytes], chunks: dict[int, list[bytes]]) -> tuple[bytes, bytes]:
    assert child.stdout is not None and child.stderr is not None
    return b"".join(chunks[child.stdout.fileno()]), b"".join(chunks[child.stderr.fileno()])


def _stop(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            stream.close()
