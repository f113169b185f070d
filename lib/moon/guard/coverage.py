"""Archive before anything destructive: is every event that the store holds now archived, readable and findable?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moon.config import Config
from moon.errors import ArchiveDamaged, DestructionRefused, MoonError
from moon.fulltext import open_reader
from moon.openclaw.transcript_store import Transcript, TranscriptStore
from moon.paths import Home
from moon.text import counted
from moon.vault import segments
from moon.vault.catalog import Catalog, Identifier
from moon.vault.forgotten import Forgotten
from moon.vault.set_aside import reads_back


class NotCopiedYet(MoonError):
    """All is well but for the copies, which come after the cycle: the next tick tries again."""

    code = "not_copied"


@dataclass(frozen=True)
class Coverage:
    """What was held against what. `last_event_id` is the last event of the store at that moment. `uncopied`: a sentence
    for each copy that lacks something, where copies are demanded.
    """

    events: int
    missing: int
    last_event_id: str
    damaged: tuple[str, ...]
    unindexed: tuple[str, ...]
    index_problem: str = ""
    uncopied: tuple[str, ...] = ()

    def objections(self) -> list[str]:
        """Why nothing destructive may follow; empty when it may."""
        found = []
        if self.missing:
            found.append(f"{self.missing} of {counted(self.events, 'event')} not archived")
        if self.damaged:
            found.append(f"{counted(len(self.damaged), 'archive')} not read back as written")
        if self.unindexed:
            why = f": {self.index_problem}" if self.index_problem else ""
            found.append(f"{counted(len(self.unindexed), 'archive')} not found by a search{why}")
        return found


def measure_coverage(
    home: Home, config: Config, catalog: Catalog, store: TranscriptStore, transcript: Transcript
) -> Coverage:
    """Compare the store's transcript, event by event, with the archives, and read every archive of it back."""
    session = catalog.find_session(transcript.agent, transcript.session_id)
    identifier = Identifier()
    forgotten = catalog.forgotten(session) if session is not None else Forgotten()
    events = missing = 0
    last = ""
    for event in store.events(transcript):
        events += 1
        name, digest = identifier.identify(event.data)
        if session is None or digest not in catalog.digests(session, name):
            missing += not forgotten.covers(event.data)
        if not name.startswith("#"):
            last = name
    found = list(catalog.segments(transcript.agent, transcript.session_id))
    damaged = tuple(each.sha256 for each in found if not _reads_back(each.path, each.sha256))
    aside = [digest.hex() for digest in catalog.set_aside(session)] if session is not None else []
    damaged += tuple(sha256 for sha256 in aside if not reads_back(home, sha256))
    unindexed, problem = _unindexed(home, [each.sha256 for each in found])
    paths = [home.relative(each.path) for each in found] + [f"archives/quarantine/{sha256}.bin" for sha256 in aside]
    uncopied = _uncopied(home, config, paths) if config.guard.require_copy else ()
    return Coverage(events, missing, last, damaged, unindexed, problem, uncopied)


def _uncopied(home: Home, config: Config, paths: list[str]) -> tuple[str, ...]:
    """A sentence for each copy that lacks an archive of this session."""
    from moon.copies.copied import not_copied

    lacking = not_copied(home, config, paths)
    return tuple(f"{counted(len(each), 'archive')} not yet copied to {url}" for url, each in lacking.items())


def _reads_back(path: Path, sha256: str) -> bool:
    try:
        return segments.digest_file(path)[0] == sha256
    except ArchiveDamaged:
        return False


def _unindexed(home: Home, hashes: list[str]) -> tuple[tuple[str, ...], str]:
    """(the archives that no search brings back, what is wrong with the index as a whole)."""
    try:
        with open_reader(home.text_index) as index:
            return tuple(each for each in hashes if not index.findable(each)), ""
    except MoonError as error:
        return tuple(hashes), error.message


def require_coverage(
    home: Home, config: Config, catalog: Catalog, store: TranscriptStore, transcript: Transcript
) -> Coverage:
    """Raise `DestructionRefused` unless the store is known and everything is archived, verified, indexed and, where
    `guard.require_copy` is on for this session, copied: `NotCopiedYet` says that only this is left.
    """
    if store.notice is not None:
        raise DestructionRefused(
            f"{store.notice.message}; what the new version means by its tables is not known",
            path=str(store.notice.path),
            hint="update Moon; until then the session is archived, and OpenClaw compacts it by itself when it is full",
        )
    coverage = measure_coverage(home, config, catalog, store, transcript)
    objections = coverage.objections()
    if objections:
        raise DestructionRefused(
            "; ".join(objections),
            path=transcript.key or transcript.session_id,
            hint=f"run `moon-archive --session {transcript.session_id} | moon-index`; the next tick tries again",
        )
    if coverage.uncopied:
        raise NotCopiedYet("; ".join(coverage.uncopied), path=transcript.key or transcript.session_id)
    return coverage
