"""Archive in this process, and look at what the archive holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.support.moon import archived_events
from tests.support.settings import settings

from moon.archive.transcript_archiver import Archived, archive_transcript
from moon.errors import MoonError
from moon.openclaw.locate import Stores, open_stores
from moon.openclaw.transcript_store import Transcript
from moon.paths import Home
from moon.vault import segments
from moon.vault.catalog import open_catalog
from moon.vault.ledger import Ledger
from moon.vault.restore import restore
from moon.vault.verify import verify


class Archiver:
    """One MOON_HOME beside one OpenClaw state folder."""

    def __init__(self, folder: Path, compress_from: int = 1 << 20) -> None:
        self.home = Home(folder / "moon")
        self.state_dir = folder / "openclaw"
        self.compress_from = compress_from

    def stores(self) -> Stores:
        """The stores as they are now."""
        return open_stores(settings(openclaw={"state_dir": str(self.state_dir)}))

    def archive(
        self, session_id: str, key: str = "agent:main:main", agent: str = "main", *, whole: bool = False
    ) -> Archived:
        """Archive one session's transcript from whichever store holds it; with `whole`, whatever its mark says."""
        stores = self.stores()
        transcript = Transcript(agent, key, session_id)
        store = stores.store_of(transcript)
        assert store is not None
        with open_catalog(self.home) as catalog:
            return archive_transcript(self.home, catalog, store, transcript, self.compress_from, whole=whole)

    def archive_all(self, session_ids: list[str], agent: str = "main") -> list[MoonError]:
        """Archive sessions in one run, as the station does: what fails for one does not stop the next."""
        errors = []
        stores = self.stores()
        with open_catalog(self.home) as catalog:
            for session_id in session_ids:
                transcript = Transcript(agent, f"agent:{agent}:{session_id}", session_id)
                store = stores.store_of(transcript)
                assert store is not None
                try:
                    archive_transcript(self.home, catalog, store, transcript, self.compress_from)
                except MoonError as error:
                    errors.append(error)
        return errors

    def held(self, session_id: str) -> Counter[bytes]:
        """Every archived event of a session and how often it is there."""
        return Counter(archived_events(self.home, session_id))

    def held_of(self, agent: str, session_id: str) -> Counter[bytes]:
        """The same for a session of one agent."""
        found: Counter[bytes] = Counter()
        for record in Ledger(self.home.ledger).archives():
            if (record["agent"], record["session_id"]) == (agent, session_id):
                found.update(segments.lines(self.home.root / record["archive_path"]))
        return found

    def damage(self) -> list[str]:
        """What `--verify` would report."""
        return [error.message for error in verify(self.home).errors]

    def restored(self, session_id: str, agent: str = "main") -> bytes:
        """The transcript, rebuilt."""
        parts: list[bytes] = []
        with open_catalog(self.home) as catalog:
            restore(catalog, agent, session_id, parts.append)
        return b"".join(parts)

    def leftovers(self) -> list[str]:
        """Files that should not outlive a run."""
        return [path.name for path in self.home.root.rglob("*.tmp")]
