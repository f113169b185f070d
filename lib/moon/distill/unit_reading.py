"""Read what is said in a unit: its archives from their files, one after another, with secrets taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from moon.distill.archive_units import ArchiveUnit, archives_of
from moon.distill.turns import Turn, turns_of
from moon.openclaw import events
from moon.openclaw.events import Event
from moon.redact import Redactor
from moon.text import lines
from moon.vault import segments
from moon.vault.catalog import Catalog, Segment


@dataclass
class Conversation:
    """The turns of a unit, redacted. `first`, `last`: when something was said first and last, RFC 3339."""

    turns: list[Turn] = field(default_factory=list)
    first: str | None = None
    last: str | None = None
    events: int = 0
    redacted: Counter[str] = field(default_factory=Counter)


def read_conversation(catalog: Catalog, unit: ArchiveUnit, redactor: Redactor) -> Conversation:
    """Read a unit as one conversation. Raises `ArchiveDamaged`, which names the file."""
    said = Conversation()
    for turn in turns_of(_watched(unit_events(catalog, unit, said), said)):
        redacted = redactor.redact(lines(turn.text))
        said.redacted.update(redacted.counts)
        said.turns.append(replace(turn, text=redacted.text))
    return said


def last_said(catalog: Catalog, unit: ArchiveUnit) -> str | None:
    """When something was said last in a unit, RFC 3339. Raises `ArchiveDamaged`."""
    said = Conversation()
    for _ in _watched(unit_events(catalog, unit, said), said):
        pass
    return said.last


def unit_events(catalog: Catalog, unit: ArchiveUnit, said: Conversation) -> Iterator[Event]:
    """The readable events of a unit, in order; all its lines are counted."""
    for file in unit.files:
        for line in _lines(catalog, file, unit.archives):
            said.events += 1
            event = events.parse(line)
            if event is not None:
                yield event


def _lines(catalog: Catalog, file: Segment, wanted: Collection[str]) -> Iterator[bytes]:
    """The lines of those segments in a file that are wanted: of a pack, perhaps not all."""
    if set(wanted).issuperset(archives_of(file)):
        yield from segments.lines(file.path)
        return
    stretches = [
        (part.first_line, part.first_line + part.events) for part in catalog.parts(file.path) if part.sha256 in wanted
    ]
    for number, line in enumerate(segments.lines(file.path)):
        if any(first <= number < end for first, end in stretches):
            yield line


def _watched(stream: Iterable[Event], said: Conversation) -> Iterator[Event]:
    for event in stream:
        if event.timestamp is not None and event.pieces:
            said.first = min(said.first or event.timestamp, event.timestamp)
            said.last = max(said.last or event.timestamp, event.timestamp)
        yield event
