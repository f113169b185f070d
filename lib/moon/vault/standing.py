"""What the archive consists of, read from the lines of the ledger alone. Pure.

A *segment* is what was archived at once, named for ever by the path in its `archive` line. A *file* is what stands on
the disk: a segment of its own, or a pack of segments that follow each other. A `pack` line moves segments into a new
file, a `retired` line takes one out that is lost, a `forgotten` line those that are to be nowhere any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from moon.documents import LedgerLine, Member

Line = LedgerLine
MEMBER_FIELDS = tuple(Member.__annotations__)


@dataclass
class Standing:
    """`files`: the record of each file by its path. `members`: what each file holds, in order. `where`: the path of the
    file that holds a segment, by the segment's own path. `named`: every path that any line ever named. `doubled`: the
    numbers of lines that name a file again. `forgotten`: the lines that say what was forgotten on
    purpose, by the paths of the segments and the files that held it; `tombstones` are all such lines.
    """

    files: dict[str, Line] = field(default_factory=dict)
    members: dict[str, list[Member]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    doubled: list[int] = field(default_factory=list)
    retired: list[Line] = field(default_factory=list)
    forgotten: dict[str, Line] = field(default_factory=dict)
    tombstones: list[Line] = field(default_factory=list)

    def in_order(self) -> list[Line]:
        """The records of the files, in the order in which their segments were archived."""
        records = list(self.files.values())
        if all(record["kind"] == "archive" for record in records):
            return records
        return sorted(records, key=lambda record: str(record.get("archived_at", "")))

    def lost(self) -> int:
        """The events that are gone for good."""
        return sum(int(line["lost"]) for line in self.retired)

    def place(self, archive_path: str, line: int) -> tuple[str, int]:
        """(file, line) where a line of a segment or file stands now; as it was given when the path is unknown."""
        path = self.where.get(archive_path, archive_path)
        for member in self.members.get(path, ()) if path != archive_path else ():
            if member["archive_path"] == archive_path:
                break
            line += member["events"]
        return path, line


def fold(lines: Iterable[tuple[int, Line]]) -> Standing:
    """Go through the ledger's readable lines, each with its number."""
    standing = Standing()
    for number, record in lines:
        kind = record.get("kind")
        if kind == "archive":
            if record["archive_path"] in standing.named:
                standing.doubled.append(number)
            else:
                _add(standing, record, [member_of(record)])
        elif kind == "pack":
            for member in record["segments"]:
                _take_out(standing, member["archive_path"])
            _add(standing, record, record["segments"])
        elif kind == "retired":
            _take_out(standing, record["archive_path"])
            standing.retired.append(record)
            standing.named.add(record["archive_path"])
            if record.get("kept"):
                _add(standing, kept_of(record), [member_of(kept_of(record))])
        elif kind == "forgotten":
            _forget(standing, record)
        elif kind == "mended":
            known = {each.get("line") for each in record["lines"] if each.get("what") == "doubled"}
            standing.doubled = [each for each in standing.doubled if each not in known]
    return standing


def member_of(record: Line) -> Member:
    """A segment as a pack lists it, from its own record."""
    found: dict[str, object] = {name: record.get(name, "") for name in MEMBER_FIELDS}
    return cast(Member, {**found, "torn": bool(found["torn"])})


def measures(record: Line | Member) -> tuple[object, ...]:
    """What the tables `segments` and `files` hold of a record, in the order of their columns."""
    kept = (record["ordinal"], record["sha256"], record["archive_path"], record["events"], record["bytes"])
    return (*kept, int(bool(record.get("torn"))), record["archived_at"])


def kept_of(retired: Line) -> Line:
    """The record of what is left of a retired segment."""
    return cast(Line, {**retired, "kind": "archive", "torn": False, **retired["kept"]})


def left_of(forgotten: Line) -> Line:
    """The record of the file that holds what of another was not forgotten."""
    return cast(Line, {**forgotten, "kind": "pack", **forgotten["left"]})


def _forget(standing: Standing, record: Line) -> None:
    standing.tombstones.append(record)
    for gone in record["gone"]:
        _take_out(standing, gone["archive_path"])
    paths = {*(gone["archive_path"] for gone in record["gone"]), record.get("archive_path", "")} - {""}
    standing.named |= paths
    standing.forgotten.update(dict.fromkeys(paths, record))
    if record.get("left"):
        left = left_of(record)
        for member in left["segments"]:
            _take_out(standing, member["archive_path"])
        _add(standing, left, left["segments"])


def _add(standing: Standing, record: Line, members: list[Member]) -> None:
    path = record["archive_path"]
    standing.files[path] = record
    standing.members[path] = list(members)
    standing.named |= {path, *(member["archive_path"] for member in members)}
    standing.where.update({member["archive_path"]: path for member in members})


def _take_out(standing: Standing, segment: str) -> None:
    path = standing.where.pop(segment, "")
    left = [each for each in standing.members.get(path, ()) if each["archive_path"] != segment]
    if left:
        standing.members[path] = left
    else:
        standing.files.pop(path, None)
        standing.members.pop(path, None)
