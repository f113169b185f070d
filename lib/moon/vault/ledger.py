"""The ledger: one line for every archive segment and every link, in the order they came to be.

Append-only. Each line carries in `prev` the SHA-256 of the line before it (64 zeros in the first), so that a changed,
lost or inserted line shows. A line is checked against its schema when it is written; when read, the chain proves that
it is the same line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moon import schema
from moon.clock import now_ms
from moon.errors import ArchiveDamaged
from moon.files import append_line, unusable

GENESIS = "0" * 64
# What every reader of an archive's record relies on.
NEEDED = frozenset({"agent", "session_key", "session_id", "archive_path", "sha256", "events", "bytes", "ordinal"})
Line = dict[str, Any]


def line_hash(line: bytes) -> str:
    """The hash that the next line carries: SHA-256 of the line's bytes without its newline."""
    return hashlib.sha256(line).hexdigest()


class Ledger:
    """The ledger file of one MOON_HOME. Writers hold the cycle lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Line) -> Line:
        """Add a record, chained and durable; returns it with its `prev`. Raises `DocumentInvalid`, `HomeUnusable`."""
        self.mend()
        complete = {**record, "prev": self.tip()}
        schema.check("archive", complete)
        append_line(self.path, json.dumps(complete, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return complete

    def size(self) -> int:
        """The file's bytes; 0 when there is none yet."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def tip(self) -> str:
        """The hash of the last line."""
        last = self._last_line()
        return line_hash(last) if last else GENESIS

    def _last_line(self) -> bytes:
        """The last line, torn or whole, read in a block that grows until it holds all of it."""
        size = self.size()
        block = min(size, 4096)
        while block:
            with self.path.open("rb") as stream:
                stream.seek(size - block)
                lines = stream.read(block).rstrip(b"\n").split(b"\n")
            if len(lines) > 1 or block == size:
                return lines[-1]
            block = min(size, block * 4)
        return b""

    def mend(self) -> bytes:
        """Set aside a last line that a crash cut short; returns what was cut off."""
        size = self.size()
        if size == 0:
            return b""
        try:
            with self.path.open("r+b") as stream:
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) == b"\n":
                    return b""
                torn = self._last_line()
                append_line(self.path.with_name(f"ledger.torn-{now_ms()}"), torn)
                stream.truncate(size - len(torn))
                os.fsync(stream.fileno())
                return torn
        except OSError as error:
            raise unusable(self.path, error) from error

    def raw_lines(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Each complete line from a byte offset on, with the offset just behind it. Raises `HomeUnusable`."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        return
                    offset += len(line)
                    yield offset, line[:-1]
        except FileNotFoundError:
            return
        except OSError as error:
            raise unusable(self.path, error) from error

    def lines(self) -> Iterator[Line]:
        """Every record. Raises `ArchiveDamaged` at a line that is not one."""
        for number, (_, raw) in enumerate(self.raw_lines(), 1):
            yield decode(raw, number, self.path)

    def archives(self) -> Iterator[Line]:
        """The records of archive segments."""
        return (line for line in self.lines() if line.get("kind") == "archive")

    def links(self) -> Iterator[Line]:
        """The records that tie an old window to the new one."""
        return (line for line in self.lines() if line.get("kind") == "link")

    def verify(self) -> list[str]:
        """What is wrong with the chain or its lines, a sentence each."""
        found = []
        previous = GENESIS
        for number, (_, raw) in enumerate(self.raw_lines(), 1):
            try:
                record = decode(raw, number, self.path)
            except ArchiveDamaged as error:
                found.append(error.message)
                previous = line_hash(raw)
                continue
            if record.get("prev") != previous:
                found.append(f"line {number}: its prev is not the hash of the line before it")
            found += [f"line {number}: {problem}" for problem in schema.problems("archive", record)]
            previous = line_hash(raw)
        return found


def decode(raw: bytes, number: int, path: Path) -> Line:
    """Read one ledger line. Raises `ArchiveDamaged`."""
    try:
        record = json.loads(raw)
    except ValueError:
        record = None
    if not isinstance(record, dict) or (record.get("kind") == "archive" and not record.keys() >= NEEDED):
        raise ArchiveDamaged(
            f"line {number} of the ledger is not a record",
            path=str(path),
            hint="restore the ledger from a backup; `moon-archive --verify` names every damaged line",
        )
    return record
