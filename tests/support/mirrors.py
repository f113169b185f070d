"""Homes that copy, in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import events
from tests.support.archiving import Archiver
from tests.support.settings import settings
from tests.support.stores import SqliteStoreBuilder

from moon.config import Config
from moon.copies.copy_record import CopyRecord, read_record
from moon.copies.place import Place, open_place
from moon.copies.sealing import Age, Seal, Unsealed
from moon.host_id import own_host
from moon.mirror import restoring
from moon.mirror.mirror_station import Outcome, copy_all
from moon.paths import Home
from moon.vault.verify import verify


@dataclass
class Mirrored:
    """A home beside an OpenClaw, with one copy."""

    folder: Path
    url: str
    encrypt: dict[str, Any] = field(default_factory=lambda: {"encrypt": "off"})

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.archiver = Archiver(self.folder)
        self.home.root.mkdir(mode=0o700, exist_ok=True)

    @property
    def home(self) -> Home:
        return Home(self.folder / "moon")

    @property
    def config(self) -> Config:
        return settings(copies=[{"url": self.url, **self.encrypt}])

    @property
    def host(self) -> str:
        return own_host(self.home).id

    def hear(self, session_id: str, turns: int = 3, start: int = 0, words: str = "") -> None:
        """Somebody talks to the agent, and it is archived."""
        store = SqliteStoreBuilder(self.archiver.state_dir)
        lines = events.conversation(session_id, turns, start)
        if words:
            lines.append(events.message(f"{session_id}-{start}-words", words))
        key = f"agent:main:{session_id}"
        if start:
            store.append(session_id, *lines)
        else:
            store.put(key, session_id, lines, used=1000)
        self.archiver.archive(session_id, key)

    def copy(self, seconds: float = 60.0, *, anew: bool = False) -> Outcome:
        """One run."""
        (outcome,) = copy_all(self.home, self.config, seconds, anew=anew)
        return outcome

    def record(self) -> CopyRecord:
        """What it knows of its copy."""
        found = read_record(self.home, self.url)
        assert found is not None
        return found

    def place(self) -> Place:
        return open_place(self.url, seconds=10)


def restored(url: str, folder: Path, host: str, identity: bytes = b"", *, sealed: bool = False) -> Home:
    """A home made from a copy, of which nothing may be lost."""
    home, lost = restore_into(url, folder, host, Age((), [identity] if identity else []) if sealed else Unsealed())
    assert lost == []
    assert verify(home).errors == []
    return home


def restore_into(url: str, folder: Path, host: str, seal: Seal) -> tuple[Home, list[str]]:
    """(the home, what was lost, in words)."""
    place, home = open_place(url, seconds=10), Home(folder)
    restoring.refuse_what_is_used(home, url, host)
    copied = restoring.read_copy(place, host, seal)
    done = restoring.restore(place, copied, seal, home, None)
    return home, [each.message for each in (*copied.problems, *done.lost)]


def same_archive(one: Home, other: Home) -> bool:
    """Do two homes hold the same archive, byte for byte?"""
    return _archive(one) == _archive(other)


def _archive(home: Home) -> dict[str, bytes]:
    from moon.vault.ledger import Ledger

    standing = Ledger(home.ledger).standing().files
    found = {path: (home.root / path).read_bytes() for path in standing}
    return {**found, "ledger": home.ledger.read_bytes()}


def head_of(place: Place, host: str) -> dict[str, Any]:
    """A head as it stands."""
    found: dict[str, Any] = json.loads(place.get(f"{host}/head.json", 1 << 20))
    return found
