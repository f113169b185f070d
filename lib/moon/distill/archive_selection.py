"""What to distill. Pure: archives and what is known of them in, a list of archives out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from moon.distill.distillation import LISTS
from moon.vault.catalog import Segment

Record = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; empty means everything that has no distillation yet."""

    archives: frozenset[str] = frozenset()
    provider: str = ""


@dataclass(frozen=True)
class Step:
    """One archive to work on: distill it, or only write the memory block that a crash left out (`unwritten`).

    `replaces`: the record that a person wants made anew, by the provider `wanted`.
    """

    segment: Segment
    unwritten: Record | None = None
    replaces: Record | None = None
    wanted: str = ""


def select_archives(
    segments: Iterable[Segment], wanted: Wanted, record_of: Callable[[str], Record | None]
) -> Iterator[Step]:
    """The archives that need work, oldest first. One that has its record and its block needs none.

    With a provider named by a person, an archive that another provider distilled is done again.
    """
    for segment in segments:
        if wanted.archives and segment.sha256 not in wanted.archives:
            continue
        record = record_of(segment.sha256)
        if record is None and segment.parts and not wanted.provider:
            yield from _select_parts(segment, [record_of(part) for part in segment.parts])
        elif record is None:
            yield Step(segment)
        elif wanted.provider and record["provider"] != wanted.provider:
            yield Step(segment, replaces=record, wanted=wanted.provider)
        elif record["memory_file"] is None and says_something(record):
            yield Step(segment, unwritten=record)


def _select_parts(pack: Segment, records: list[Record | None]) -> Iterator[Step]:
    """A pack needs no work where each archive in it has its record; else it is distilled as one."""
    known = [record for record in records if record is not None]
    if len(known) < len(records):
        yield Step(pack)
        return
    for record in known:
        if record["memory_file"] is None and says_something(record):
            yield Step(pack, unwritten=record)


def says_something(record: Record) -> bool:
    """Whether a record has anything to write into a daily memory."""
    return any(record[name] for name in LISTS)
