"""Where OpenClaw keeps its state, and which stores lie there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from moon.config import Config
from moon.errors import MoonError, SessionUnknown, StoreAbsent, StoreForeign
from moon.openclaw.jsonl_store import JsonlStore
from moon.openclaw.sqlite_store import SqliteStore
from moon.openclaw.transcript_store import Holding, SessionEntry, Transcript, TranscriptStore, storable


def state_dir(config: Config) -> Path:
    """`openclaw.state_dir`, else `$OPENCLAW_STATE_DIR`, else `~/.openclaw`."""
    named = config.openclaw.state_dir or os.environ.get("OPENCLAW_STATE_DIR", "")
    return Path(named).expanduser() if named else Path.home() / ".openclaw"


class Stores:
    """All stores of one OpenClaw. What can not be read is kept in `problems`; the other stores go on."""

    def __init__(self, folder: Path, stores: list[TranscriptStore], problems: Iterable[MoonError] = ()) -> None:
        self.folder = folder
        self.stores = stores
        self.problems = list(problems)

    def sessions(self) -> Iterator[tuple[TranscriptStore, SessionEntry]]:
        """Every session with the store it is in. A key that two generations list counts once, in the newer one."""
        seen: set[tuple[str, str]] = set()
        for store in self.stores:
            try:
                entries = store.sessions()
            except MoonError as error:
                self.note(error)
                continue
            for entry in entries:
                if (entry.agent, entry.key) not in seen:
                    seen.add((entry.agent, entry.key))
                    yield store, entry

    def holdings(self) -> Iterator[tuple[TranscriptStore, Holding]]:
        """Every transcript of every store, in whatever form. The same place twice counts once, in the newer store."""
        seen: set[tuple[str, str, str]] = set()
        for store in self.stores:
            try:
                found = store.holdings()
            except MoonError as error:
                self.note(error)
                continue
            for each in found:
                identity = each.transcript.agent, each.transcript.session_id, each.transcript.place
                if identity not in seen:
                    seen.add(identity)
                    yield store, each

    def notices(self) -> list[MoonError]:
        """What should be known of the stores that were looked into, though it stops nothing."""
        return [store.notice for store in self.stores if store.notice is not None]

    def note(self, error: MoonError) -> None:
        """Remember a problem once."""
        if all(str(error) != str(known) for known in self.problems):
            self.problems.append(error)

    def find(self, name: str) -> tuple[TranscriptStore, SessionEntry]:
        """The session of that key or id. Raises `SessionUnknown`."""
        known = []
        for store, entry in self.sessions():
            if name in (entry.key, entry.session_id):
                return store, entry
            known.append(entry.key)
        from moon.schema import nearest

        close = nearest(name, known)
        raise SessionUnknown(
            f"no session {name!r} in {self.folder}",
            path=str(self.folder),
            hint=f"did you mean {close}?" if close else "`moon-sample --json --no-exec` lists the sessions",
        )

    def store_of(self, transcript: Transcript) -> TranscriptStore | None:
        """The store that holds this transcript; the newer generation where both do."""
        for store in self.stores:
            if store.agent == transcript.agent and store.mark(transcript):
                return store
        return None

    def locate(self, transcript: Transcript) -> tuple[TranscriptStore, Transcript] | None:
        """Where a session's transcript is: where it says, else in what a reset or a deletion left of it."""
        store = self.store_of(transcript)
        if store is not None:
            return store, transcript
        if not transcript.place:
            for holder, each in self.holdings():
                left = each.transcript
                if (left.agent, left.session_id) == (transcript.agent, transcript.session_id):
                    return holder, left._replace(key=left.key or transcript.key)
        return None


def open_stores(config: Config) -> Stores:
    """Find the store of every agent. Raises `StoreAbsent` when there is no OpenClaw state at all."""
    folder = state_dir(config)
    agents = folder / "agents"
    try:
        names = sorted(path.name for path in agents.iterdir() if path.is_dir())
    except FileNotFoundError as error:
        raise StoreAbsent(
            f"no OpenClaw sessions at {agents}",
            path=str(agents),
            hint="set OPENCLAW_STATE_DIR or openclaw.state_dir to OpenClaw's state folder, or talk to an agent first",
        ) from error
    except OSError as error:
        raise StoreAbsent(
            f"cannot read {agents}: {error.strerror}", path=str(agents), hint="check its permissions"
        ) from error
    found: list[TranscriptStore] = []
    problems: list[MoonError] = []
    for name in names:
        if storable(name) != name:
            what = f"{agents} holds a folder whose name is no text: {name!r}"
            problems.append(StoreForeign(what, path=str(agents), hint="rename it; it is passed over"))
            continue
        try:
            found += _stores_of(name, agents / name)
        except OSError as error:
            what = f"cannot read {agents / name}: {error.strerror}"
            problems.append(StoreForeign(what, path=str(agents / name), hint="check its permissions"))
    return Stores(folder, found, problems)


def _stores_of(agent: str, folder: Path) -> Iterator[TranscriptStore]:
    """The stores of one agent, the newer generation first."""
    database = folder / "agent" / "openclaw-agent.sqlite"
    if database.exists():
        yield SqliteStore(agent, database)
    if (folder / "sessions").is_dir():
        yield JsonlStore(agent, folder / "sessions", beside_newer=database.exists())
