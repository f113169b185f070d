"""Store what the plan kept: segments first, read back, then the ledger, then the catalog.

A crash between any two steps loses nothing: a segment without its ledger line is taken in when its session is archived
again; a ledger line that the catalog has not is read in when the catalog is opened.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from moon.archive.event_selection import (
    SEGMENT_BYTES,
    Chunk,
    Keep,
    Met,
    SetAside,
    Tally,
    in_chunks,
    judge,
    select_new,
)
from moon.openclaw.events import event_ids
from moon.openclaw.transcript_store import Transcript, TranscriptPass, TranscriptStore
from moon.paths import Home
from moon.vault.catalog import Catalog, Identifier
from moon.vault.segment_entry import Content, Owner, adopt_unnamed, enter_segment
from moon.vault.segments import SegmentWriter, segment_path
from moon.vault.set_aside import enter_aside, keep_aside
from moon.vault.transcript_marks import Known, known, note

if TYPE_CHECKING:
    from moon.documents import Entry


@dataclass(frozen=True)
class Archived:
    """The outcome for one transcript. `archives`: SHA-256 of the segments written now; `seen`: events read."""

    agent: str
    session_key: str
    session_id: str
    archives: list[str]
    seen: int = 0
    new: int = 0
    revisions: int = 0
    malformed: int = 0
    set_aside: int = 0
    torn: bool = False
    unchanged: bool = False
    notes: list[str] = field(default_factory=list)

    def joined(self, other: Archived) -> Archived:
        """The outcome for two places of the same session."""
        numbers = ("seen", "new", "revisions", "malformed", "set_aside")
        return replace(
            self,
            archives=self.archives + other.archives,
            torn=self.torn or other.torn,
            unchanged=self.unchanged and other.unchanged,
            notes=self.notes + other.notes,
            **{name: getattr(self, name) + getattr(other, name) for name in numbers},
        )

    def as_entry(self) -> Entry:
        """What the station says of the session."""
        words = "unchanged since it was archived" if self.unchanged else f"{self.new} of {self.seen} events new"
        words += f", {self.revisions} of them changed" if self.revisions else ""
        words += "".join(f"; {note}" for note in self.notes)
        done = self.archives or self.set_aside
        return {
            "outcome": "done" if done else "nothing",
            "archives": self.archives,
            "seen": self.seen,
            "new": self.new,
            "revisions": self.revisions,
            "malformed": self.malformed,
            "set_aside": self.set_aside,
            "torn": self.torn,
            "unchanged": self.unchanged,
            "notes": self.notes,
            "words": words,
        }


def archive_transcript(
    home: Home,
    catalog: Catalog,
    store: TranscriptStore,
    transcript: Transcript,
    compress_from: int,
    *,
    whole: bool = False,
) -> Archived:
    """Archive every event of a transcript that is not archived yet.

    One whose mark is as it was when it was archived is not read; one that grew is read from where it was left. With
    `whole` everything is compared. `compress_from`: new events of that many bytes and more are stored with zstd.
    Raises `HomeUnusable` (full disk), `ArchiveDamaged` (did not read back), `StoreForeign`, `StoreBusy`; what was
    recorded before that stays.
    """
    before = Known() if whole else known(catalog, transcript)
    # Taken before the events are: what comes in between is seen again, not missed.
    mark = store.mark(transcript)
    session = catalog.session(transcript.agent, transcript.key, transcript.session_id)
    owner = Owner(session, transcript.agent, catalog.session_key(session), transcript.session_id)
    archives = adopt_unnamed(catalog, owner)
    if mark and mark == before.mark:
        return Archived(*owner[1:], archives=archives, unchanged=True)
    passed = store.read(transcript, before.bookmark)
    tally = Tally()
    archives += _store_new(home, catalog, owner, passed, tally, compress_from)
    # Lines without an id are told apart by how often they came before, which only a pass over all of them can count.
    note(catalog, transcript, Known(mark, "" if tally.nameless else passed.bookmark))
    catalog.connection.commit()
    counts = asdict(tally)
    del counts["nameless"]
    return Archived(*owner[1:], archives=archives, **counts)


def _store_new(
    home: Home, catalog: Catalog, owner: Owner, passed: TranscriptPass, tally: Tally, compress_from: int
) -> list[str]:
    """Write what the pass has of new events; the SHA-256 of the segments."""
    archives: list[str] = []
    aside: list[tuple[str, str, int, str]] = []
    identifier = catalog.identifier(owner.number) if passed.resumed else Identifier()
    held_before, met = catalog.holds_any(owner.number), Met()
    wanted = catalog.forgotten(owner.number).without(passed.events)
    with contextlib.closing(_Archiver(catalog, owner, compress_from)) as archiver:
        for events in in_chunks(wanted):
            data = [event.data for event in events]
            chunk = Chunk(events, event_ids(data), [hashlib.sha256(each).digest() for each in data])
            perhaps = chunk.ids if held_before else met.meet(chunk.ids)
            verdict = judge(chunk, perhaps, lambda ids: catalog.archived(owner.number, ids))
            if verdict == "mixed":
                for action in _one_by_one(archiver, chunk, identifier, tally):
                    if isinstance(action, Keep):
                        archives += archiver.add(action)
                    elif (sha256 := keep_aside(home, owner, action.data, action.reason)) and not action.known:
                        aside.append((action.event_id, sha256, len(action.data), action.reason))
                continue
            tally.seen += len(data)
            if verdict == "new":
                tally.new += len(data)
                tally.torn = False
                archives += archiver.add_chunk(data, chunk.ids, chunk.digests)
        archives += archiver.finish()
    # Only now: a commit in between would also enter events of a segment that is not finished.
    for each in aside:
        enter_aside(catalog, owner, *each)
    return archives


def _one_by_one(archiver: _Archiver, chunk: Chunk, identifier: Identifier, tally: Tally) -> Iterator[Keep | SetAside]:
    """What must be stored of a chunk in which events differ."""
    catalog, session = archiver.catalog, archiver.owner.number
    names = (identifier.name(*each)[0] for each in zip(chunk.ids, chunk.digests, strict=True))
    return select_new(
        zip(chunk.events, names, chunk.digests, strict=True),
        lambda name: catalog.digests(session, name),
        lambda name: catalog.is_in_other(session, name, archiver.segment if archiver.lines else 0),
        tally,
    )


class _Archiver:
    """Writes kept events into segments, a ledger line each; holds them until it is known whether to compress."""

    def __init__(self, catalog: Catalog, owner: Owner, compress_from: int) -> None:
        self.catalog = catalog
        self.owner = owner
        self.compress_from = compress_from
        self.writer: SegmentWriter | None = None
        self.content = Content()
        self.held: list[bytes] = []
        self.ordinal = self.segment = self.lines = self.size = 0

    def add(self, event: Keep) -> list[str]:
        """Store one event; the hash of the segment that this closed, if any."""
        self._begin_content()
        self.content.add(event.event_id, revision=event.revision, malformed=event.malformed, torn=event.torn)
        return self._hold([event.data], [event.name], [event.digest])

    def add_chunk(self, data: list[bytes], ids: list[str], digests: list[bytes]) -> list[str]:
        """Store sound events that the archive has nothing of; the hash of the segment that this closed, if any."""
        self._begin_content()
        self.content.add_sound(ids[0], ids[-1])
        return self._hold(data, ids, digests)

    def _begin_content(self) -> None:
        if not self.lines:
            self.content = Content()
            self.segment = self.catalog.next_segment()

    def _hold(self, data: list[bytes], names: list[str], digests: list[bytes]) -> list[str]:
        # Entered at once, so that the same event further on is known.
        self.catalog.enter_events(self.owner.number, self.segment, self.lines + 1, names, digests)
        self.lines += len(data)
        self.held += data
        self.size += sum(map(len, data)) + len(data)
        if self.size >= self.compress_from:
            self._write_held(compressed=True)
        return self.finish() if self.size >= SEGMENT_BYTES else []

    def _write_held(self, compressed: bool) -> None:
        (self.writer or self._begin(compressed)).add_all(self.held)
        self.held = []

    def _begin(self, compressed: bool) -> SegmentWriter:
        owner = self.owner
        self.ordinal = self.catalog.next_ordinal(owner.number)
        raw = self.catalog.home.raw
        self.writer = SegmentWriter(
            segment_path(raw, owner.agent, owner.session_key, owner.session_id, self.ordinal, compressed)
        )
        return self.writer

    def finish(self) -> list[str]:
        """Close the segment: read back, ledger, catalog."""
        if self.held:
            self._write_held(compressed=False)
        if self.writer is None:
            return []
        written = self.writer.finish()
        enter_segment(self.catalog, self.owner, self.ordinal, self.segment, written, self.content)
        self.writer = None
        self.lines = self.size = 0
        return [written.sha256]

    def close(self) -> None:
        """Drop what was not finished."""
        if self.writer is not None:
            self.writer.abandon()
        if self.lines:
            self.catalog.connection.rollback()
