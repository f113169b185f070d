"""The ledger: one line for all that ever happened to the archive, in the order in which it happened.

Append-only. Each line carries in `prev` the SHA-256 of the line before it (64 zeros in the first), so that a changed,
lost or inserted line shows. A line is checked against its schema when it is written; when read, the chain proves that
it is the same line. A line that cannot be read is passed over by every reader and named by `verify`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from moon import schema
from moon.clock import now_ms
from moon.errors import HomeUnusable
from moon.files import append_line, sync, unusable
from moon.text import dump_json
from moon.vault import chain
from moon.vault.readable import is_readable
from moon.vault.standing import Line as Line
from moon.vault.standing import Standing, fold

if TYPE_CHECKING:
    from moon.documents import LedgerDamage

GENESIS = "0" * 64


class Appended(NamedTuple):
    """A line that was added: the record with its `prev`, where its bytes begin and end, and its hash."""

    record: Line
    start: int
    end: int
    tip: str


def line_hash(line: bytes) -> str:
    """The hash that the next line carries: SHA-256 of the line's bytes without its newline."""
    return hashlib.sha256(line).hexdigest()


class Read(NamedTuple):
    """A complete line that was read: the byte offset behind it, its bytes, and its record.

    No record where the line does not count: it is none, or was changed since it was written.
    """

    end: int
    raw: bytes
    record: Line | None


class Ledger:
    """The ledger file of one MOON_HOME. Writers hold the cycle lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: Line) -> Appended:
        """Add a record, chained and durable. Raises `DocumentInvalid`, and `HomeUnusable` with the ledger as it was."""
        self.mend()
        complete: Line = {**record, "prev": self.tip()}
        complete.pop("check", None)
        schema.check("archive", complete)
        data = chain.with_check(dump_json(complete).encode())
        start = self.size()
        try:
            append_line(self.path, data)
        except HomeUnusable:
            self._take_back(start)
            raise
        return Appended(complete, start, start + len(data) + 1, line_hash(data))

    def _take_back(self, size: int) -> None:
        """Remove a line that may not have reached the disk, so that nobody goes by it."""
        with contextlib.suppress(OSError):
            if self.size() > size:
                os.truncate(self.path, size)

    def size(self) -> int:
        """The file's bytes; 0 when there is none yet."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def tip(self) -> str:
        """The hash of the last line."""
        last = self._last_line(self.size())
        return line_hash(last) if last else GENESIS

    def hash_before(self, end: int) -> str:
        """The hash of the complete line that ends at that byte offset; empty when none does."""
        if end > self.size():
            return ""
        with self.path.open("rb") as stream:
            stream.seek(end - 1)
            if stream.read(1) != b"\n":
                return ""
        return line_hash(self._last_line(end))

    def _last_line(self, size: int) -> bytes:
        """The last line of the first `size` bytes, torn or whole, read in a block that grows until it holds it."""
        block = min(size, 4096)
        while block:
            with self.path.open("rb") as stream:
                stream.seek(size - block)
                lines = stream.read(block).removesuffix(b"\n").split(b"\n")
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
                torn = self._last_line(size)
                append_line(self.path.with_name(f"ledger.torn-{now_ms()}"), torn)
                stream.truncate(size - len(torn))
                sync(stream.fileno())
                return torn
        except OSError as error:
            raise unusable(self.path, error) from error

    def torn(self) -> bytes:
        """The last line, where a crash cut it short and nothing was added since."""
        size = self.size()
        last = self._last_line(size)
        return last if last and not self.hash_before(size) else b""

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

    def read(self, offset: int = 0) -> Iterator[Read]:
        """Each complete line from a byte offset on. Raises `HomeUnusable`."""
        held: Read | None = None
        for end, raw in self.raw_lines(offset):
            line = Read(end, raw, decoded(raw))
            if held is not None:
                changed = chain.is_changed(held.raw, held.record, line.record)
                yield held._replace(record=None) if changed else held
            held = line
        if held is not None:
            yield held

    def numbered(self) -> Iterator[tuple[int, Line]]:
        """Every line that counts, with its number from 1."""
        for number, line in enumerate(self.read(), 1):
            if line.record is not None:
                yield number, line.record

    def lines(self) -> Iterator[Line]:
        """Every record that can be read, in order."""
        return (line for _, line in self.numbered())

    def standing(self) -> Standing:
        """What the archive consists of now."""
        return fold(self.numbered())

    def archives(self) -> Iterator[Line]:
        """The record of each file that stands now, in the order of the conversations; packs for what they replaced."""
        return iter(self.standing().in_order())

    def links(self) -> Iterator[Line]:
        """The records that tie an old window to the new one."""
        return (line for line in self.lines() if line.get("kind") == "link")

    def verify(self) -> list[str]:
        """What is wrong with the chain or its lines, a sentence each; without what a `mended` line accounts for."""
        return [each.words for each in chain.unmended(self.complaints())]

    def doubled_entries(self) -> list[LedgerDamage]:
        """Lines that name a file a second time, as a `mended` line lists them."""
        doubled = set(self.standing().doubled)
        entries: list[LedgerDamage] = []
        before = GENESIS
        for number, (_, raw) in enumerate(self.raw_lines() if doubled else (), 1):
            own = line_hash(raw)
            if number in doubled:
                entries.append({"line": number, "what": "doubled", "sha256": own, "before": before})
            before = own
        return entries

    def complaints(self) -> list[chain.Complaint]:
        """Everything wrong with the chain or its lines, and whether a `mended` line accounts for it."""
        return chain.complaints((line.raw, line.record) for line in self.read())


def decoded(raw: bytes) -> Line | None:
    """One line of the ledger by itself; None where it is no record, or not as it was written."""
    try:
        record: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return record if chain.is_as_written(raw) is not False and is_readable(record) else None
