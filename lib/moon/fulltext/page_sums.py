"""A checksum for each page of the index, in a file beside it, kept up to date at the cost of the pages that changed.

SQLite notices a page that is no page any more. It does not notice bytes that were lost within one, and then a search
finds less and says nothing. Only a checkpoint changes the file, by what stands in the log beside it (`-wal`, a format
that SQLite documents); so before each checkpoint the sums of the pages in the log are written down.

`recall.sqlite.sums` holds four bytes for each page, in order.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from moon.files import unusable, write_atomic

_BLOCK = 1 << 20
_LOG_HEAD = struct.Struct(">4xxxxxIxxxx8s8x")
_FRAME_HEAD = struct.Struct(">II8s8x")


def sums_path(path: Path) -> Path:
    """Where the sums of an index lie."""
    return path.with_name(f"{path.name}.sums")


def log_size(path: Path) -> int:
    """How large the log beside an index is."""
    try:
        return Path(f"{path}-wal").stat().st_size
    except OSError:
        return 0


def page_size(path: Path) -> int:
    """The size of the pages of a database, from its first bytes; 0 where it is none."""
    with path.open("rb") as stream:
        head = stream.read(18)
    size = int.from_bytes(head[16:18], "big") if len(head) == 18 else 0
    return 65536 if size == 1 else size


def sum_all(path: Path) -> None:
    """Write down the sums of all pages as they are now. Raises `HomeUnusable`."""
    try:
        write_atomic(sums_path(path), b"".join(_sums(path)))
    except OSError as error:
        raise unusable(path, error) from error


def changed_page(path: Path) -> int | None:
    """The first page that is not as it was written, from 1; None when all are, or when no sums were written down."""
    try:
        kept = sums_path(path).open("rb")
    except OSError:
        return None
    with kept:
        for number, found in enumerate(_sums(path), 1):
            if kept.read(4) != found:
                return number
        return None if not kept.read(4) else -(-path.stat().st_size // page_size(path)) + 1


def _sums(path: Path) -> Iterator[bytes]:
    size = page_size(path)
    if not size:
        return
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            for start in range(0, len(block), size):
                yield crc32(block[start : start + size]).to_bytes(4, "big")


class LoggedPages:
    """Follows the log of one index that is being written, by the only process that writes to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._salt = b""
        self._frames = 0

    def note(self) -> None:
        """Write down the sums of the pages that were committed to the log since the last time. Raises `OSError`."""
        try:
            log = Path(f"{self._path}-wal").open("rb")  # noqa: SIM115
        except FileNotFoundError:
            return
        with log:
            pages, length = self._committed(log)
        if not pages:
            return
        descriptor = os.open(sums_path(self._path), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for number in sorted(pages):
                os.pwrite(descriptor, pages[number], 4 * (number - 1))
            os.ftruncate(descriptor, 4 * length)
        finally:
            os.close(descriptor)

    def _committed(self, log: BinaryIO) -> tuple[dict[int, bytes], int]:
        """(page number → sum, pages of the database) as the last commit in the log left them."""
        head = log.read(_LOG_HEAD.size)
        if len(head) < _LOG_HEAD.size:
            return {}, 0
        size, salt = _LOG_HEAD.unpack(head)
        if salt != self._salt:
            self._salt, self._frames = salt, 0
        log.seek(_LOG_HEAD.size + self._frames * (_FRAME_HEAD.size + size))
        committed: dict[int, bytes] = {}
        pending: dict[int, bytes] = {}
        frames, length = self._frames, 0
        while len(frame := log.read(_FRAME_HEAD.size + size)) == _FRAME_HEAD.size + size:
            number, pages, of = _FRAME_HEAD.unpack_from(frame)
            if of != salt:
                break
            frames += 1
            pending[number] = crc32(memoryview(frame)[_FRAME_HEAD.size :]).to_bytes(4, "big")
            if pages:  # the last frame of a transaction says how large the database is now
                committed.update(pending)
                pending.clear()
                self._frames, length = frames, pages
        return committed, length
