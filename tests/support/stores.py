"""Session stores of both generations, written as OpenClaw writes them.

`JsonlStoreBuilder` and `SqliteStoreBuilder` have the same methods, so that a test can run on either.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import zstandard

NOW_MS = 1_795_330_000_000
# The real program packs events from about this size on.
PACK_FROM = 1_500
# The tables that matter here as OpenClaw 2026.9.6 makes them; only the checks that need a recent SQLite are left out.
SCHEMA = """
CREATE TABLE schema_meta (
  meta_key TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, schema_version INTEGER NOT NULL, agent_id TEXT,
  app_version TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE session_nodes (
  session_key TEXT NOT NULL PRIMARY KEY, current_session_id TEXT NOT NULL, entry_json TEXT NOT NULL,
  legacy_acp_migration_json TEXT, entry_valid INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL,
  status TEXT CHECK (status IS NULL OR status IN ('running', 'done', 'failed', 'killed', 'timeout')),
  created_at INTEGER, created_via TEXT, label TEXT, display_name TEXT, pinned_at INTEGER, archived_at INTEGER,
  last_read_at INTEGER, last_interaction_at INTEGER, last_activity_at INTEGER
) STRICT;
CREATE TABLE session_windows (
  session_id TEXT NOT NULL PRIMARY KEY, session_key TEXT NOT NULL, previous_session_id TEXT, reason TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE transcript_events (
  session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL, event_zstd BLOB,
  event_utf8_bytes INTEGER CHECK (event_utf8_bytes IS NULL OR event_utf8_bytes >= 0), navigation_json TEXT,
  PRIMARY KEY (session_id, seq),
  CHECK ((event_json IS NOT NULL AND event_zstd IS NULL) OR (event_json IS NULL AND event_zstd IS NOT NULL
    AND event_utf8_bytes IS NOT NULL AND event_utf8_bytes BETWEEN 1 AND 4194304 AND navigation_json IS NOT NULL))
) STRICT;
CREATE TABLE transcript_event_identities (
  session_id TEXT NOT NULL, event_id TEXT NOT NULL, seq INTEGER NOT NULL, event_type TEXT, parent_id TEXT,
  message_idempotency_key TEXT, created_at INTEGER NOT NULL, PRIMARY KEY (session_id, event_id)
) STRICT;
CREATE TABLE session_transcript_archives (
  session_id TEXT NOT NULL, generation TEXT NOT NULL, session_key TEXT NOT NULL, reason TEXT NOT NULL,
  encoding TEXT NOT NULL, archive_blob BLOB NOT NULL, archive_sha256 TEXT NOT NULL, archive_name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL, PRIMARY KEY (session_id, generation)
) STRICT;
"""


def usage_entry(
    session_id: str,
    used: int | None = 1_000,
    window: int | None = 64_000,
    budget: int | None = 48_000,
    *,
    fresh: bool = True,
    updated_at: int | None = NOW_MS - 600_000,
    interacted_at: int | None = NOW_MS - 600_000,
    compactions: int = 0,
    status: str = "done",
) -> dict[str, Any]:
    """A session entry as both generations hold it; what is None is left out, as OpenClaw does."""
    entry = {
        "sessionId": session_id,
        "updatedAt": updated_at,
        "lastInteractionAt": interacted_at,
        "status": status,
        "totalTokens": used,
        "contextTokens": window,
        "totalTokensFresh": fresh,
        "compactionCount": compactions,
        "contextBudgetStatus": None if budget is None else {"route": "fits", "promptBudgetBeforeReserve": budget},
    }
    return {name: value for name, value in entry.items() if value is not None}


class JsonlStoreBuilder:
    """`agents/<agent>/sessions` of OpenClaw up to 2026.7.1."""

    generation = "jsonl"

    def __init__(self, state_dir: Path, agent: str = "main") -> None:
        self.agent = agent
        self.folder = state_dir / "agents" / agent / "sessions"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def main_file(self) -> Path:
        """The file without which there is no list of sessions."""
        return self.folder / "sessions.json"

    def entries(self) -> dict[str, Any]:
        """What sessions.json holds."""
        if not self.main_file.exists():
            return {}
        listed: dict[str, Any] = json.loads(self.main_file.read_text(encoding="utf-8"))
        return listed

    def put_entry(self, key: str, entry: dict[str, Any]) -> None:
        """Set a session's entry."""
        text = json.dumps({**self.entries(), key: entry}, ensure_ascii=False)
        self.main_file.write_text(text, encoding="utf-8")

    def remove_entry(self, key: str) -> None:
        """Forget a session; its transcript stays."""
        self.main_file.write_text(json.dumps({k: v for k, v in self.entries().items() if k != key}))

    def write(self, session_id: str, lines: Sequence[bytes], *, torn: bytes = b"") -> None:
        """Set a transcript. `torn`: the beginning of a line that is still being written."""
        data = b"".join(each + b"\n" for each in lines) + torn
        (self.folder / f"{session_id}.jsonl").write_bytes(data)

    def put(self, key: str, session_id: str, lines: Sequence[bytes], **usage: Any) -> None:
        """Set a session's transcript and usage."""
        self.write(session_id, lines)
        self.put_entry(key, usage_entry(session_id, **usage))

    def remove(self, key: str, session_id: str) -> None:
        """Delete a session and its transcript."""
        self.remove_entry(key)
        (self.folder / f"{session_id}.jsonl").unlink()


class SqliteStoreBuilder:
    """`agents/<agent>/agent/openclaw-agent.sqlite` of OpenClaw 2026.7.2 and later."""

    generation = "sqlite"

    def __init__(self, state_dir: Path, agent: str = "main", version: int = 23) -> None:
        self.agent = agent
        self.main_file = state_dir / "agents" / agent / "agent" / "openclaw-agent.sqlite"
        if self.main_file.exists():
            return
        self.main_file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self.connect()) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
            connection.execute(
                "INSERT INTO schema_meta VALUES ('primary', 'agent', ?, ?, '2026.9.6', ?, ?)",
                (version, agent, NOW_MS, NOW_MS),
            )

    def connect(self) -> sqlite3.Connection:
        """A connection that may write, as OpenClaw's own."""
        return sqlite3.connect(self.main_file, timeout=10)

    def put_entry(self, key: str, entry: dict[str, Any]) -> None:
        """Set a session's entry."""
        session_id, when = entry["sessionId"], entry.get("updatedAt", 0)
        with closing(self.connect()) as connection, connection:
            connection.execute(
                "INSERT OR REPLACE INTO session_nodes "
                "(session_key, current_session_id, entry_json, updated_at, status, last_interaction_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (key, session_id, json.dumps(entry), when, entry.get("status"), entry.get("lastInteractionAt")),
            )
            connection.execute(
                "INSERT OR IGNORE INTO session_windows VALUES (?, ?, NULL, 'initial', ?, ?)",
                (session_id, key, when, when),
            )

    def remove_entry(self, key: str) -> None:
        """Forget a session; its transcript stays."""
        with closing(self.connect()) as connection, connection:
            connection.execute("DELETE FROM session_nodes WHERE session_key = ?", (key,))

    def write(self, session_id: str, lines: Sequence[bytes]) -> None:
        """Set a transcript, numbered from 0 as the real program does after each change."""
        with closing(self.connect()) as connection, connection:
            connection.execute("DELETE FROM transcript_events WHERE session_id = ?", (session_id,))
            for seq, data in enumerate(lines):
                insert_event(connection, session_id, seq, data)

    def put(self, key: str, session_id: str, lines: Sequence[bytes], **usage: Any) -> None:
        """Set a session's transcript and usage."""
        self.write(session_id, lines)
        self.put_entry(key, usage_entry(session_id, **usage))

    def remove(self, key: str, session_id: str) -> None:
        """Delete a session and its transcript."""
        self.remove_entry(key)
        self.write(session_id, [])


def insert_event(connection: sqlite3.Connection, session_id: str, seq: int, data: bytes) -> None:
    """One row of a transcript: plain text, or from a certain size on zstd."""
    when = NOW_MS + seq
    if len(data) < PACK_FROM:
        connection.execute(
            "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes) "
            "VALUES (?, ?, CAST(? AS TEXT), ?, ?)",
            (session_id, seq, data, when, len(data)),
        )
        return
    packed = zstandard.ZstdCompressor().compress(data)
    connection.execute(
        "INSERT INTO transcript_events (session_id, seq, created_at, event_zstd, event_utf8_bytes, navigation_json) "
        "VALUES (?, ?, ?, ?, ?, '{}')",
        (session_id, seq, when, packed, len(data)),
    )


StoreBuilder = JsonlStoreBuilder | SqliteStoreBuilder
BUILDERS = {"jsonl": JsonlStoreBuilder, "sqlite": SqliteStoreBuilder}
