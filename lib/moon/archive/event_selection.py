"""What to do with each event of a transcript: keep, skip, or set aside. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from moon.openclaw.transcript_store import StoredEvent

NOTES_KEPT = 5
# Long transcripts become several segments, so that one line can be read again without unpacking a gigabyte.
SEGMENT_BYTES = 32 << 20
# So much of a transcript is taken at once: enough to ask and enter in bulk, little enough to hold.
CHUNK_EVENTS = 100
CHUNK_BYTES = 256 << 10
MET_MARKS = 1 << 22


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


class Chunk(NamedTuple):
    """A stretch of a transcript: the events, and the id (empty where there is none) and hash of each."""

    events: list[StoredEvent]
    ids: list[str]
    digests: list[bytes]

    def is_plain(self) -> bool:
        """Is each a sound event line with an id of its own, so that they can be judged all at once?"""
        distinct = len(set(self.ids)) == len(self.ids) and all(self.ids)
        return distinct and not any(event.problem or b"\n" in event.data for event in self.events)


def in_chunks(events: Iterable[StoredEvent]) -> Iterator[list[StoredEvent]]:
    """The events in stretches of at most `CHUNK_EVENTS`, and of little more than `CHUNK_BYTES`."""
    chunk: list[StoredEvent] = []
    size = 0
    for event in events:
        chunk.append(event)
        size += len(event.data)
        if size >= CHUNK_BYTES or len(chunk) >= CHUNK_EVENTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class Met:
    """Which ids came before in a pass over a transcript, in bounded memory: surely not, or perhaps."""

    def __init__(self) -> None:
        self._marks = bytearray(MET_MARKS)

    def meet(self, ids: Sequence[str]) -> list[str]:
        """Those of them that perhaps came before; from now on all of them did."""
        marks = self._marks
        places = [hash(each) & (MET_MARKS - 1) for each in ids]
        again = [each for each, place in zip(ids, places, strict=True) if marks[place]]
        for place in places:
            marks[place] = 1
        return again


def judge(chunk: Chunk, perhaps: Sequence[str], archived: Callable[[Sequence[str]], set[tuple[str, bytes]]]) -> str:
    """`new` or `known` where that holds for every event of a chunk, else `mixed`: each is to be looked at by itself.

    `perhaps`: the ids in it of which the archive may hold something. `archived`: ids → (id, hash) of all that it holds.
    """
    if not chunk.is_plain():
        return "mixed"
    held = archived(perhaps) if perhaps else None
    if not held:
        return "new"
    return "known" if held.issuperset(zip(chunk.ids, chunk.digests, strict=True)) else "mixed"


def select_new(
    events: Iterable[tuple[StoredEvent, str, bytes]],
    archived: Callable[[str], set[bytes]],
    in_earlier: Callable[[str], bool],
    tally: Tally,
) -> Iterator[Keep | SetAside]:
    """Go through events with their names and hashes and yield what must be stored; counts everything in `tally`.

    `archived`: name → the digests it is archived with. `in_earlier`: does a segment
    before the one that is being written hold this name?
    The same event is kept once, however often it is seen; one that an earlier segment holds with other bytes is kept as
    a revision (two under one id in one segment are two events);
    a line without an id (malformed or foreign) is kept as often as it occurs; what cannot be a line is set aside.
    """
    for event, name, digest in events:
        tally.seen += 1
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
