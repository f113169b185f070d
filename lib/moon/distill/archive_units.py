"""What is distilled as one: the archives of one session, one local day and one window. Pure.

A unit goes by the hash of its first archive for as long as it grows and after its files were joined. An archive that
an earlier version distilled alone stays a unit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moon.distillations import Known
from moon.vault.catalog import Segment


@dataclass(frozen=True)
class ArchiveUnit:
    """`archives`: the SHA-256 of each segment in it, in order; `files`: what they lie in, perhaps with others.

    `new`: those of the archives that no record has yet. `known`: the record that was made from the others.
    """

    name: str
    files: tuple[Segment, ...]
    archives: tuple[str, ...]
    new: tuple[str, ...]
    known: Known | None = None

    def without(self, path: Path) -> ArchiveUnit | None:
        """What can still be distilled when this file cannot be read; None when that is nothing new.

        A record that was made from the damaged file stays, and what is new becomes a unit of its own.
        """
        files = tuple(file for file in self.files if file.path != path)
        left = {sha for file in files for sha in archives_of(file)}
        new = tuple(sha for sha in self.new if sha in left)
        if not new:
            return None
        if self.known and left.issuperset(set(self.archives) - set(self.new)):
            archives = tuple(sha for sha in self.archives if sha in left)
            return replace(self, files=files, archives=archives, new=new)
        return ArchiveUnit(new[0], files, new, new)


@dataclass(frozen=True)
class _Place:
    """An archive: in which group and file it stands, and which record was made from it."""

    group: int
    file: Segment
    sha256: str
    known: Known | None


def archives_of(file: Segment) -> tuple[str, ...]:
    """The SHA-256 of each segment that a file holds."""
    return file.parts or (file.sha256,)


def plan_units(groups: Sequence[Sequence[Segment]], known_of: Callable[[str], Known | None]) -> list[ArchiveUnit]:
    """The units of files that were grouped by session, day and window (`vault.pack_plan.group_by_day`)."""
    places = [
        _Place(number, file, sha, known_of(sha) or known_of(file.sha256))
        for number, group in enumerate(groups)
        for file in group
        for sha in archives_of(file)
    ]
    names = _names(places)
    units: dict[str, list[_Place]] = {}
    for place in places:
        units.setdefault(place.known.name if place.known else names[place.group], []).append(place)
    return [_unit(name, found) for name, found in units.items()]


def _names(places: Sequence[_Place]) -> dict[int, str]:
    """Group → the unit that takes in what is new in it: the one that is there, else one named by what is new."""
    spread: dict[str, set[int]] = {}
    for place in places:
        if place.known:
            spread.setdefault(place.known.name, set()).add(place.group)
    names: dict[int, str] = {}
    for place in places:
        # With another time zone a record may reach over two days; then what is new is no part of it.
        if place.known and _grows(place.known, place.file) and len(spread[place.known.name]) == 1:
            names.setdefault(place.group, place.known.name)
    for place in places:
        if not place.known:
            names.setdefault(place.group, place.sha256)
    return names


def _grows(known: Known, file: Segment) -> bool:
    """Two sessions can hold an archive of the same bytes; the record is of one of them."""
    return known.grows and (known.agent, known.session_id) == (file.agent, file.session_id)


def _unit(name: str, places: Sequence[_Place]) -> ArchiveUnit:
    files = tuple({place.file.path: place.file for place in places}.values())
    known = next((place.known for place in places if place.known), None)
    new = tuple(place.sha256 for place in places if not place.known)
    return ArchiveUnit(name, files, tuple(place.sha256 for place in places), new, known)


@dataclass(frozen=True)
class Wanted:
    """What a person asked for; empty means everything that has no distillation yet."""

    archives: frozenset[str] = frozenset()
    provider: str = ""

    def names(self, unit: ArchiveUnit) -> bool:
        """Is this unit, or something in it, asked for?"""
        named = {*unit.archives, *(file.sha256 for file in unit.files)}
        return not self.archives or not named.isdisjoint(self.archives)


@dataclass(frozen=True)
class Step:
    """One unit to work on: distill it, or only write the memory block that a crash left out (`unwritten`).

    `wanted`: the provider by which a person wants it made anew; what another one made stays when that one fails.
    """

    unit: ArchiveUnit
    unwritten: bool = False
    wanted: str = ""


def select_units(units: Sequence[ArchiveUnit], wanted: Wanted) -> Iterator[Step]:
    """The units that need work, oldest first. One that has its record and its block needs none.

    With a provider named by a person, a unit that another provider distilled is done again.
    """
    for unit in filter(wanted.names, units):
        if unit.new:
            yield Step(unit)
        elif unit.known and wanted.provider not in ("", unit.known.provider):
            yield Step(unit, wanted=wanted.provider)
        elif unit.known and unit.known.unwritten:
            yield Step(unit, unwritten=True)
