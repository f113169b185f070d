"""Store what the plan kept: segments first, read back, then the ledger, then the catalog.

A crash between any two steps loses nothing: a segment without its ledger line is taken in when its session is archived
again; a ledger line that the catalog has not is read in when the catalog is opened.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import Any

from moon.archive.event_selection import SEGMENT_BYTES, Keep, SetAside, Tally, select_new
from moon.files import write_atomic
from moon.openclaw.transcript_store import Transcript, TranscriptStore
from moon.paths import Home
from moon.vault.catalog import Catalog, Identifier
from moon.vault.segment_entry import Content, Owner, adopt_unnamed, enter_segment
from moon.vault.segments import SegmentWriter, segment_path


@dataclass(frozen=True)
class Archived:
    """The outcome for one transcript. `archives` are the SHA-256 of the segments written now."""

    agent: str
    session_key: str
    session_id: str
    archives: list[str]
    mark: str
    seen: int
    new: int
    revisions: int
    malformed: int
    undecodable: int
    torn: bool
    notes: list[str]
    covered: bool

    def as_record(self) -> dict[str, Any]:
        """The session's entry in the station's record of a cycle document."""
        words = f"{self.new} of {self.seen} events new"
        words += f", {self.revisions} of them changed" if self.revisions else ""
        words += "".join(f"; {note}" for note in self.notes)
        return {"outcome": "done" if self.archives else "nothing", **asdict(self), "words": words}


def archive_transcript(
    home: Home, catalog: Catalog, store: TranscriptStore, transcript: Transcript, compress_from: int
) -> Archived:
    """Archive every event of a transcript that is not archived yet.

    `compress_from`: transcripts of that many bytes and more are stored with zstd. Raises `HomeUnusable` (full disk),
    `ArchiveDamaged` (did not read back), `StoreForeign`; what was recorded before that stays.
    """
    mark = store.mark(transcript)
    tally = Tally()
    archives: list[str] = []
    compressed = store.size(transcript) >= compress_from
    session = catalog.session(transcript.agent, transcript.key, transcript.session_id)
    owner = Owner(session, transcript.agent, catalog.session_key(session), transcript.session_id)
    archives += adopt_unnamed(catalog, owner)
    plan = select_new(
        store.events(transcript),
        Identifier().identify,
        lambda name: catalog.digests(session, name),
        tally,
    )
    with contextlib.closing(_Archiver(catalog, owner, compressed)) as archiver:
        for action in plan:
            if isinstance(action, SetAside):
                set_aside(home, transcript, action)
                continue
            archives += archiver.add(action)
        archives += archiver.finish()
    catalog.connection.commit()
    return Archived(*owner[1:], archives=archives, mark=mark, **asdict(tally), covered=tally.undecodable == 0)


def set_aside(home: Home, transcript: Transcript, action: SetAside) -> None:
    """Keep bytes that are no event line under their hash, once."""
    path = home.quarantine / f"{action.digest.hex()}.bin"
    if not path.exists():
        write_atomic(path, action.data)
        write_atomic(path.with_suffix(".txt"), f"{transcript.agent} {transcript.session_id}\n{action.reason}\n")


class _Archiver:
    """Writes kept events into segments, a ledger line each."""

    def __init__(self, catalog: Catalog, owner: Owner, compressed: bool) -> None:
        self.catalog = catalog
        self.owner = owner
        self.compressed = compressed
        self.writer: SegmentWriter | None = None
        self.content = Content()
        self.ordinal = self.segment = self.written = 0

    def add(self, event: Keep) -> list[str]:
        """Store one event; the hash of the segment that this closed, if any."""
        writer = self.writer or self._begin()
        writer.add(event.data)
        self.written += len(event.data)
        self.content.add(event.event_id, revision=event.revision, malformed=event.malformed, torn=event.torn)
        self.catalog.add_event(self.owner.number, event.name, event.digest, self.segment, writer.events)
        return self.finish() if self.written >= SEGMENT_BYTES else []

    def _begin(self) -> SegmentWriter:
        owner = self.owner
        self.content = Content()
        self.written = 0
        self.ordinal = self.catalog.next_ordinal(owner.number)
        self.segment = self.catalog.next_segment()
        self.writer = SegmentWriter(
            segment_path(
                self.catalog.home.raw, owner.agent, owner.session_key, owner.session_id, self.ordinal, self.compressed
            )
        )
        return self.writer

    def finish(self) -> list[str]:
        """Close the segment: read back, ledger, catalog."""
        if self.writer is None:
            return []
        written = self.writer.finish()
        enter_segment(self.catalog, self.owner, self.ordinal, self.segment, written, self.content)
        self.writer = None
        return [written.sha256]

    def close(self) -> None:
        """Drop what was not finished."""
        if self.writer is not None:
            self.writer.abandon()
            self.catalog.connection.rollback()
