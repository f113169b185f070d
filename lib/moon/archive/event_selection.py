"""What to do with each event of a transcript: keep, skip, or set aside. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from moon.openclaw.transcript_store import StoredEvent

NOTES_KEPT = 5
# Long transcripts become several segments, so that one line can be read again without unpacking a gigabyte.
SEGMENT_BYTES = 32 << 20


@dataclass
class Tally:
    """What one pass over a transcript has found so far."""

    seen: int = 0
    new: int = 0
    revisions: int = 0
    malformed: int = 0
    nameless: int = 0
    set_aside: int = 0
    torn: bool = False
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Keep the first few remarks; the counters tell of the rest."""
        if len(self.notes) < NOTES_KEPT:
            self.notes.append(sentence)


@dataclass(frozen=True)
class Keep:
    """An event that the archive does not have yet."""

    data: bytes
    name: str
    digest: bytes
    torn: bool
    revision: bool
    malformed: bool

    @property
    def event_id(self) -> str:
        """The event's id; empty for a line without one."""
        return "" if self.name.startswith("#") else self.name


@dataclass(frozen=True)
class SetAside:
    """Bytes that cannot be a line of a segment; they go to the quarantine folder as they are. `known`: they did."""

    data: bytes
    event_id: str
    reason: str
    known: bool


def select_new(
    events: Iterable[StoredEvent],
    identify: Callable[[bytes], tuple[str, bytes]],
    archived: Callable[[str], set[bytes]],
    in_earlier: Callable[[str], bool],
    tally: Tally,
) -> Iterator[Keep | SetAside]:
    """Go through a transcript and yield what must be stored; counts everything in `tally`.

    `identify`: bytes → (name, digest). `archived`: name → the digests it is archived with. `in_earlier`: does a segment
    before the one that is being written hold this name?
    The same event is kept once, however often it is seen; one that an earlier segment holds with other bytes is kept as
    a revision (two under one id in one segment are two events);
    a line without an id (malformed or foreign) is kept as often as it occurs; what cannot be a line is set aside.
    """
    for event in events:
        tally.seen += 1
        name, digest = identify(event.data)
        tally.nameless += name.startswith("#")
        if event.problem.startswith("undecodable") or b"\n" in event.data:
            known = digest in archived(name)
            reason = event.problem or f"event {tally.seen} holds a line break"
            if not known:
                tally.set_aside += 1
                tally.note(f"{reason}; kept as it is in archives/quarantine")
            yield SetAside(event.data, "" if name.startswith("#") else name, reason, known)
            continue
        torn = event.problem == "torn"
        malformed = name.startswith("#") and not _is_object(event.data)
        if malformed:
            tally.malformed += 1
            tally.note(f"line {tally.seen} is {'cut short' if torn else 'not a JSON object'}; kept as it is")
        digests = archived(name)
        if digest in digests:
            continue
        revision = bool(digests) and not name.startswith("#") and in_earlier(name)
        tally.new += 1
        tally.revisions += revision
        tally.torn = torn
        yield Keep(event.data, name, digest, torn, revision, malformed)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
