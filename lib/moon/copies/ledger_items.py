"""Which files the lines of a ledger put into the archive, and which of them a copy has to hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from moon.clock import parse_ms
from moon.copies.layout import Item
from moon.vault.standing import Line, Standing, fold, kept_of, left_of

# What `moon-forget` forgets goes everywhere; what retention takes from the disk goes because the copies have it.
EVERYWHERE = "all"
Aside = tuple[str, str, str]


class Needed(NamedTuple):
    """`here`: files that stand in the home, and in its copies. `past`: files that stand in the copies alone."""

    standing: Standing
    here: set[Item]
    past: set[Item]

    def everything(self) -> set[Item]:
        """All that a copy has to hold."""
        return self.here | self.past


def items_of(record: Line | None) -> Iterator[Item]:
    """The file that a line puts into the archive; nothing for a line that cannot be read."""
    kind = record.get("kind") if record else None
    if record is None:
        return
    if kind in ("archive", "pack"):
        yield Item(record["archive_path"], record["sha256"])
    elif kind == "aside":
        yield Item(f"archives/quarantine/{record['sha256']}.bin", record["sha256"])
    elif kind == "retired" and record.get("kept"):
        yield _item(kept_of(record))
    elif kind == "forgotten" and record.get("left"):
        yield _item(left_of(record))


def _item(record: Line) -> Item:
    return Item(record["archive_path"], record["sha256"])


def needed(records: Iterable[Line]) -> Needed:
    """Go through the lines of a ledger that count, from its beginning."""
    lines = list(records)
    standing = fold(enumerate(lines, 1))
    tombstones = [each for each in lines if each.get("kind") == "forgotten"]
    here, past = {_item(each) for each in standing.files.values()}, set[Item]()
    past |= {_item(tombstone) for tombstone in in_copies_alone(tombstones)}
    aside = _asides(lines, tombstones)
    here |= {item for item, scope in aside.items() if not scope}
    past |= {item for item, scope in aside.items() if scope and scope != EVERYWHERE}
    return Needed(standing, here, past - here)


def in_copies_alone(tombstones: Sequence[Line]) -> Iterator[Line]:
    """The tombstones, of all in their order, of the files that stand in the copies alone."""
    for number, tombstone in enumerate(tombstones):
        if tombstone.get("archive_path") and _is_kept(tombstone, tombstones[number + 1 :]):
            yield tombstone


def forgotten_by(record: Line) -> Iterator[Item]:
    """The files, and the segments before they were joined, that a line says are to be nowhere any more."""
    if record.get("kind") != "forgotten" or record["scope"] != EVERYWHERE:
        return
    if record.get("archive_path"):
        yield _item(record)
    for each in record["gone"]:
        yield Item(each["archive_path"], each["sha256"])
    for digest in record.get("digests", []):
        yield Item(f"archives/quarantine/{digest}.bin", digest)


def _is_kept(tombstone: Line, later: Iterable[Line]) -> bool:
    """Does the copy keep that file: was it taken from the disk alone, and nothing of it forgotten since?"""
    if tombstone["scope"] == EVERYWHERE:
        return False
    session, when = (tombstone["agent"], tombstone["session_id"]), parse_ms(tombstone["forgotten_at"]) or 0
    return not any(
        each["scope"] == EVERYWHERE
        and (each["agent"], each["session_id"]) == session
        and (parse_ms(each.get("until", "")) or 0) >= when
        for each in later
    )


def _asides(lines: Iterable[Line], tombstones: Iterable[Line]) -> dict[Item, str]:
    """What was set aside, and the scope in which all of it was forgotten; empty for what was not."""
    gone: dict[Aside, str] = {}
    for each in tombstones:
        for digest in each.get("digests", []):
            owner = (each["agent"], each["session_id"], digest)
            gone[owner] = EVERYWHERE if EVERYWHERE in (each["scope"], gone.get(owner)) else each["scope"]
    found: dict[Item, set[str]] = {}
    for line in lines:
        if line.get("kind") == "aside":
            (item,) = items_of(line)
            owner = (line["agent"], line["session_id"], line["sha256"])
            found.setdefault(item, set()).add(gone.get(owner, ""))
    return {item: min(scopes, key=lambda scope: (bool(scope), scope == EVERYWHERE)) for item, scopes in found.items()}
