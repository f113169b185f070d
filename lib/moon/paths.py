"""Every place under MOON_HOME, in one list."""

from __future__ import annotations

import os
import re
from pathlib import Path

SAFE = re.compile(r"[^A-Za-z0-9_-]+")


def safe_name(text: str, limit: int = 48) -> str:
    """A file name for any text: readable, unique, the same each time, and never a path.

    Text that is already a plain short lower-case name stays as it is; all else is cleaned, cut and given a hash of the
    whole text, so that `a/b` and `a.b` do not meet, nor `Main` and `main` on a file system that folds case.
    """
    plain = SAFE.sub("-", text).strip("-")[:limit]
    if plain and plain == text == text.lower():
        return plain
    import hashlib

    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{plain}.{digest}" if plain else digest


def launchd_log(user_home: Path) -> Path:
    """Where launchd writes what a tick says, on macOS."""
    return user_home / "Library" / "Logs" / "moon-sample.log"


class Home:
    """The folder MOON_HOME and what lies in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def from_environment(cls) -> Home:
        """`$MOON_HOME`, or `~/.lilac_metaflora`."""
        named = os.environ.get("MOON_HOME")
        return cls(Path(named).expanduser() if named else Path.home() / ".lilac_metaflora")

    @property
    def config_file(self) -> Path:
        """`$MOON_CONFIG`, or `moon.yaml` in the home."""
        named = os.environ.get("MOON_CONFIG")
        return Path(named).expanduser() if named else self.root / "moon.yaml"

    @property
    def format_file(self) -> Path:
        return self.root / "format.json"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def state_file(self) -> Path:
        return self.state / "moon_state.json"

    @property
    def health_file(self) -> Path:
        return self.state / "health.json"

    @property
    def lock_file(self) -> Path:
        return self.state / "cycle.lock"

    @property
    def cycles(self) -> Path:
        return self.state / "cycles"

    @property
    def rollovers(self) -> Path:
        return self.state / "rollovers"

    def rollover_journal(self, agent: str, session_key: str) -> Path:
        """The note of a rollover under way in that session; gone when it is complete."""
        return self.rollovers / f"{safe_name(f'{agent}/{session_key}')}.json"

    @property
    def outbox(self) -> Path:
        """What still has to be sent to the shared index."""
        return self.state / "outbox.json"

    @property
    def outbox_lock(self) -> Path:
        """Held by the one process that sends."""
        return self.state / "outbox.lock"

    @property
    def request_lock(self) -> Path:
        """Held by whatever carries out something that Moon asked of OpenClaw."""
        return self.state / "request.lock"

    @property
    def cache(self) -> Path:
        return self.state / "cache"

    @property
    def archives(self) -> Path:
        return self.root / "archives"

    @property
    def raw(self) -> Path:
        return self.archives / "raw"

    @property
    def markdown(self) -> Path:
        return self.archives / "md"

    @property
    def quarantine(self) -> Path:
        return self.archives / "quarantine"

    @property
    def ledger(self) -> Path:
        return self.archives / "ledger.jsonl"

    @property
    def index(self) -> Path:
        return self.root / "index"

    @property
    def catalog(self) -> Path:
        return self.index / "catalog.sqlite"

    @property
    def text_index(self) -> Path:
        return self.index / "recall.sqlite"

    @property
    def vectors(self) -> Path:
        return self.index / "vectors.bin"

    @property
    def distillations(self) -> Path:
        return self.root / "distillations"

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    @property
    def continuity(self) -> Path:
        return self.root / "continuity"

    @property
    def audit_log(self) -> Path:
        return self.root / "skills" / "moon-system" / "logs" / "audit.log"

    def relative(self, path: Path) -> str:
        """A path as documents hold it: below MOON_HOME, with forward slashes."""
        return path.relative_to(self.root).as_posix()
