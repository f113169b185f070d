"""Take events out of the archive for good, and remember that they are not to come back.

In this order: what is left of a file is written beside it and read back; the ledger says so, durably, in a tombstone;
the catalog follows; only then the old file goes. Before the tombstone nothing has happened, and behind it what is left
over of the old file goes at the next run. The ledger keeps its old lines: they hold no text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moon.clock import format_ms
from moon.documents import KeptFile, Member
from moon.errors import ArchiveDamaged
from moon.openclaw.events import event_id
from moon.vault import segments
from moon.vault.catalog import Catalog, Part, Segment
from moon.vault.forgotten import NAMELESS, name_and_time
from moon.vault.packing import holds, remove_files
from moon.vault.repair import enter_line
from moon.vault.segments import SegmentWriter
from moon.vault.standing import Line

# A segment and the bytes of an event in it → is it to go? Asked in the order of the file.
Doomed = Callable[[Part, bytes], bool]
# So many names stand in one line of the ledger at most.
NAMES_A_LINE = 2_000


@dataclass
class Cut:
    """What of one file goes: of each of its segments, by its number, these lines, from 1.

    `names`: those of the events that `until` (milliseconds) does not tell, because they say no time or a later one.
    `newest`: when the last happened of those that it tells.
    """

    file: Segment
    parts: Sequence[Part]
    lines: dict[int, set[int]] = field(default_factory=dict)
    events: int = 0
    size: int = 0
    until: int = 0
    names: set[str] = field(default_factory=set)
    newest: int = 0

    @property
    def is_whole(self) -> bool:
        """Is nothing left of the file?"""
        return all(len(self.lines.get(part.number, ())) == part.events for part in self.parts)

    def touched(self) -> list[Part]:
        """The segments that lose something."""
        return [part for part in self.parts if self.lines.get(part.number)]

    def add(self, part: Part, line: int, data: bytes) -> None:
        """Let an event go."""
        name, at = name_and_time(data)
        self.lines.setdefault(part.number, set()).add(line)
        self.events += 1
        self.size += len(data) + 1
        if at is None or at > self.until:
            self.names.add(name)
        else:
            self.newest = max(self.newest, at)


@dataclass(frozen=True)
class Tombstone:
    """What the ledger's lines about one session say: why, and what is not to be archived again.

    `until`: all of the session up to that time (milliseconds; 0 for none). `names`: events that no time tells.
    """

    forgotten_at: str
    reason: str
    scope: str
    until: int = 0


def find_in(catalog: Catalog, file: Segment, doomed: Doomed, until: int) -> Cut:
    """What of a file is to go. Raises `ArchiveDamaged` where it is not what the ledger says."""
    cut = Cut(file, catalog.parts(file.path), until=until)
    total = hashlib.sha256()
    for part, line, data in _numbered(cut.parts, file.path):
        total.update(data + b"\n")
        if doomed(part, data):
            cut.add(part, line, data)
    if total.hexdigest() != file.sha256:
        raise ArchiveDamaged(
            f"archive {file.path} does not hold what was archived, so that not all of it can be looked through",
            path=str(file.path),
            hint="`moon-archive --repair` mends it or says what is lost; then run this again",
        )
    return cut


def all_of(catalog: Catalog, file: Segment) -> Cut:
    """All of a file, without reading it: retention goes by time, and of a damaged file nothing more can be known."""
    parts = catalog.parts(file.path)
    lines = {part.number: set(range(1, part.events + 1)) for part in parts}
    return Cut(file, parts, lines, file.events, file.bytes)


def _numbered(parts: Iterable[Part], path: Path) -> Iterator[tuple[Part, int, bytes]]:
    stream = segments.lines(path)
    for part in parts:
        for line, data in zip(range(1, part.events + 1), stream, strict=False):
            yield part, line, data


def forget(catalog: Catalog, cut: Cut, told: Tombstone) -> Line:
    """Take the events of a cut out of the archive; the tombstone. Raises `ArchiveDamaged`, `HomeUnusable`."""
    file = cut.file
    line = _tombstone(file.agent, file.session_key, file.session_id, told, cut.names)
    line["events"], line["bytes"] = cut.events, cut.size
    line["archive_path"], line["sha256"] = catalog.home.relative(file.path), file.sha256
    line["gone"] = [{"archive_path": part.path, "sha256": part.sha256} for part in cut.touched()]
    if not cut.is_whole:
        line["left"] = _write_left(catalog, cut)
    enter_line(catalog, line)
    remove_files([file.path])
    return line


def keep_out(catalog: Catalog, owner: tuple[str, str, str], told: Tombstone, names: Iterable[str]) -> None:
    """Say that events of a session (agent, key, id) are not to be archived, whether they ever were or not."""
    ordered = sorted(names)
    for start in range(0, max(1, len(ordered)), NAMES_A_LINE):
        enter_line(catalog, _tombstone(*owner, told, ordered[start : start + NAMES_A_LINE]))


def _tombstone(agent: str, session_key: str, session_id: str, told: Tombstone, names: Iterable[str]) -> Line:
    ordered = sorted(names)
    line: Line = {
        "schema": "moon.archive/1",
        "kind": "forgotten",
        "agent": agent,
        "session_key": session_key,
        "session_id": session_id,
        "forgotten_at": told.forgotten_at,
        "reason": told.reason,
        "scope": told.scope,
        "events": 0,
        "bytes": 0,
        "event_ids": [name for name in ordered if not name.startswith(NAMELESS)],
        "digests": [name.removeprefix(NAMELESS) for name in ordered if name.startswith(NAMELESS)],
        "gone": [],
    }
    if told.until:
        line["until"] = format_ms(told.until)
    return line


def _write_left(catalog: Catalog, cut: Cut) -> KeptFile:
    """Write what is left of a file into one beside it. Raises `ArchiveDamaged`, `HomeUnusable`."""
    path = _free_name(catalog, cut.file.path)
    writer = SegmentWriter(path, replace=True)
    left: dict[int, _Left] = {}
    try:
        for part, line, data in _numbered(cut.parts, cut.file.path):
            if line not in cut.lines.get(part.number, ()):
                left.setdefault(part.number, _Left(part, line)).add(line, data)
                writer.add(data)
        written = writer.finish()
    finally:
        writer.abandon()
    members = [_member(catalog, each, path, alone=len(cut.parts) == 1) for each in left.values()]
    if not holds(path, members):
        raise ArchiveDamaged(
            f"{path} did not read back as it was written",
            path=str(path),
            hint="the disk may be failing; nothing was recorded or removed",
        )
    last = members[-1]
    return {
        "archive_path": catalog.home.relative(path),
        "sha256": written.sha256,
        "events": written.events,
        "bytes": written.bytes,
        "ordinal": members[0]["ordinal"],
        "first_event_id": next((each["first_event_id"] for each in members if each["first_event_id"]), ""),
        "last_event_id": next((each["last_event_id"] for each in members[::-1] if each["last_event_id"]), ""),
        "archived_at": last["archived_at"],
        "torn": last["torn"],
        "segments": members,
    }


class _Left:
    """What is left of one segment."""

    def __init__(self, part: Part, line: int) -> None:
        self.part = part
        self.events = self.bytes = 0
        self.first = self.last = ""
        self.last_line = line
        self._hash = hashlib.sha256()

    def add(self, line: int, data: bytes) -> None:
        self.events += 1
        self.bytes += len(data) + 1
        self._hash.update(data + b"\n")
        self.last_line = line
        name = event_id(data)
        self.first, self.last = self.first or name, name or self.last

    def as_member(self, archive_path: str) -> Member:
        part = self.part
        return {
            "archive_path": archive_path,
            "sha256": self._hash.hexdigest(),
            "events": self.events,
            "bytes": self.bytes,
            "ordinal": part.ordinal,
            "first_event_id": self.first,
            "last_event_id": self.last,
            "archived_at": part.archived_at,
            "torn": part.torn and self.last_line == part.events,
        }


def _member(catalog: Catalog, left: _Left, path: Path, *, alone: bool) -> Member:
    """A segment of the new file: as it was, or what is left of it under a name of its own."""
    if left.events == left.part.events:
        return left.part.as_member()
    own = path if alone else _free_name(catalog, catalog.home.root / left.part.path)
    return left.as_member(catalog.home.relative(own))


def _free_name(catalog: Catalog, path: Path) -> Path:
    """The name that what is left of a file gets: one that no line of the ledger ever gave."""
    stem, _, ending = path.name.partition(".jsonl")
    while catalog.has_path(catalog.home.relative(path)):
        stem += "-kept"
        path = path.with_name(f"{stem}.jsonl{ending}")
    return path


def remove_what_was_forgotten(catalog: Catalog) -> int:
    """Remove files that a tombstone names and that a crash has left over; how many there were."""
    standing = catalog.ledger.standing()
    paths = [catalog.home.root / path for path in standing.forgotten if path not in standing.files]
    left = [path for path in paths if path.exists()]
    remove_files(left)
    return len(left)
