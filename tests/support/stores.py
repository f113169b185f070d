"""Session stores of both generations, written as OpenClaw writes them.

`JsonlStoreBuilder` and `SqliteStoreBuilder` have the same methods, so that a test can run on either.
"""

from __future__ import annotations

import hashlib
import json
import os
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
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, transcript_updated_at INTEGER,
  transcript_observed_at INTEGER
) STRICT;
CREATE TABLE transcript_rewrite_watermarks (
  session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL, updated_at INTEGER NOT NULL
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
  created_at INTEGER NOT NULL, published_at INTEGER, PRIMARY KEY (session_id, generation)
) STRICT;
CREATE TABLE session_transcript_cold_archives (
  session_id TEXT NOT NULL PRIMARY KEY, generation TEXT NOT NULL, archive_name TEXT NOT NULL UNIQUE,
  archive_sha256 TEXT NOT NULL CHECK (length(archive_sha256) = 64), event_count INTEGER NOT NULL,
  raw_bytes INTEGER NOT NULL, archive_bytes INTEGER NOT NULL, last_seq INTEGER NOT NULL, archived_at INTEGER NOT NULL,
  storage TEXT NOT NULL CHECK (storage IN ('file', 'sqlite')), archive_blob BLOB,
  CHECK ((storage = 'file' AND archive_blob IS NULL) OR (storage = 'sqlite' AND archive_blob IS NOT NULL))
) STRICT;
"""
# When the transcripts of the builders were last written to, unless a test says otherwise.
WRITTEN_MS = NOW_MS - 600_000


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

    def path(self, session_id: str) -> Path:
        """A transcript's file."""
        return self.folder / f"{session_id}.jsonl"

    def write(self, session_id: str, lines: Sequence[bytes], *, torn: bytes = b"", at: int = WRITTEN_MS) -> None:
        """Set a transcript. `torn`: the beginning of a line that is still being written."""
        self._keep(session_id, b"".join(each + b"\n" for each in lines) + torn, at)

    def append(self, session_id: str, *lines: bytes, at: int = WRITTEN_MS) -> None:
        """Add events to a transcript."""
        self._keep(session_id, self.path(session_id).read_bytes() + b"".join(each + b"\n" for each in lines), at)

    def _keep(self, session_id: str, data: bytes, at: int) -> None:
        """Write, at another time than what stood there before."""
        path = self.path(session_id)
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_bytes(data)
        when = at * 1_000_000 + 1_000 * (at * 1_000_000 == before)
        os.utime(path, ns=(when, when))

    def put(self, key: str, session_id: str, lines: Sequence[bytes], *, at: int = WRITTEN_MS, **usage: Any) -> None:
        """Set a session's transcript and usage."""
        self.write(session_id, lines, at=at)
        self.put_entry(key, usage_entry(session_id, **usage))

    def put_away(self, key: str) -> None:
        """Archive a session in OpenClaw: it leaves the list, its transcript stays."""
        self.put_entry(key, {**self.entries()[key], "archivedAt": NOW_MS})

    def delete(self, key: str, session_id: str, how: str = "deleted") -> None:
        """Delete or reset a session as OpenClaw does: its transcript gets another name."""
        self.remove_entry(key)
        path = self.path(session_id)
        path.rename(path.with_name(f"{path.name}.{how}.2026-11-22T06-40-00.{len(list(self.folder.iterdir())):03d}Z"))

    def remove(self, key: str, session_id: str) -> None:
        """Make a session and its transcript vanish without a trace."""
        self.remove_entry(key)
        self.path(session_id).unlink()


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
                "INSERT INTO session_windows (session_id, session_key, reason, created_at, updated_at) "
                "VALUES (?, ?, 'initial', ?, ?) ON CONFLICT DO UPDATE SET session_key = excluded.session_key",
                (session_id, key, when, when),
            )

    def remove_entry(self, key: str) -> None:
        """Forget a session; its transcript stays."""
        with closing(self.connect()) as connection, connection:
            connection.execute("DELETE FROM session_nodes WHERE session_key = ?", (key,))

    def write(self, session_id: str, lines: Sequence[bytes], *, at: int = WRITTEN_MS) -> None:
        """Set a transcript, numbered from 0 and with a new generation, as the real program does after each change."""
        with closing(self.connect()) as connection, connection:
            connection.execute("DELETE FROM transcript_events WHERE session_id = ?", (session_id,))
            for seq, data in enumerate(lines):
                insert_event(connection, session_id, seq, data)
            self._touch(connection, session_id, at)
            connection.execute(
                "INSERT OR REPLACE INTO transcript_rewrite_watermarks VALUES (?, lower(hex(randomblob(16))), ?)",
                (session_id, at),
            )

    def append(self, session_id: str, *lines: bytes, at: int = WRITTEN_MS) -> None:
        """Add events to a transcript, in the same generation."""
        with closing(self.connect()) as connection, connection:
            sql = "SELECT coalesce(max(seq), -1) + 1 FROM transcript_events WHERE session_id = ?"
            start = connection.execute(sql, (session_id,)).fetchone()[0]
            for seq, data in enumerate(lines, start):
                insert_event(connection, session_id, seq, data)
            self._touch(connection, session_id, at)

    @staticmethod
    def _touch(connection: sqlite3.Connection, session_id: str, at: int) -> None:
        """Set the transcript's time, to another one than it had."""
        connection.execute(
            "INSERT OR IGNORE INTO session_windows (session_id, session_key, created_at, updated_at) "
            "VALUES (?, '', ?, ?)",
            (session_id, at, at),
        )
        connection.execute(
            "UPDATE session_windows SET transcript_updated_at = ? + (transcript_updated_at IS ?) WHERE session_id = ?",
            (at, at, session_id),
        )

    def put(self, key: str, session_id: str, lines: Sequence[bytes], *, at: int = WRITTEN_MS, **usage: Any) -> None:
        """Set a session's transcript and usage."""
        self.write(session_id, lines, at=at)
        self.put_entry(key, usage_entry(session_id, **usage))

    def put_away(self, key: str) -> None:
        """Archive a session in OpenClaw: it leaves the list, its transcript stays."""
        with closing(self.connect()) as connection, connection:
            connection.execute("UPDATE session_nodes SET archived_at = ? WHERE session_key = ?", (NOW_MS, key))

    def delete(self, key: str, session_id: str, how: str = "deleted") -> None:
        """Delete a session as OpenClaw does: its transcript becomes a blob, the session's rows go."""
        with closing(self.connect()) as connection, connection:
            lines, generation = self._take(connection, session_id)
            blob = zstandard.ZstdCompressor().compress(b"".join(each + b"\n" for each in lines))
            connection.execute(
                "INSERT INTO session_transcript_archives VALUES (?, ?, ?, ?, 'zstd', ?, ?, ?, ?, NULL)",
                (
                    session_id,
                    generation,
                    key,
                    how,
                    blob,
                    sha256(blob),
                    f"{session_id}.jsonl.{how}.{generation}",
                    NOW_MS,
                ),
            )
            connection.execute("DELETE FROM session_windows WHERE session_id = ?", (session_id,))
            connection.execute("DELETE FROM transcript_rewrite_watermarks WHERE session_id = ?", (session_id,))
            connection.execute("DELETE FROM session_nodes WHERE session_key = ?", (key,))

    def go_cold(self, session_id: str, storage: str = "file") -> Path:
        """Move a transcript into cold storage as OpenClaw does; where its file lies."""
        with closing(self.connect()) as connection, connection:
            lines, generation = self._take(connection, session_id)
            records = [
                {"kind": "header", "version": 1, "sessionId": session_id, "generation": generation},
                *(
                    {"kind": "event", "row": {"seq": seq, "event_json": line.decode(), "created_at": NOW_MS}}
                    for seq, line in enumerate(lines)
                ),
                {"kind": "fts", "row": {"text": "for its own search", "message_id": "x", "role": "user"}},
            ]
            packed = zstandard.ZstdCompressor(write_content_size=False).compress(
                b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in records)
            )
            path = self.main_file.parent.parent / "sessions" / "cold" / f"{sha256(packed)}.jsonl.zst"
            size = sum(map(len, lines)) + len(lines) - 1
            connection.execute(
                "INSERT INTO session_transcript_cold_archives VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (session_id, generation, path.name, sha256(packed), len(lines), size, len(packed), len(lines) - 1,
                 NOW_MS, storage, packed if storage == "sqlite" else None),
            )  # fmt: skip
        if storage == "file":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed)
        return path

    @staticmethod
    def _take(connection: sqlite3.Connection, session_id: str) -> tuple[list[bytes], str]:
        """A transcript's events and generation; the events leave the table."""
        sql = "SELECT event_json, event_zstd FROM transcript_events WHERE session_id = ? ORDER BY seq"
        rows = connection.execute(sql, (session_id,)).fetchall()
        lines = [text.encode() if text is not None else zstandard.decompress(packed) for text, packed in rows]
        sql = "SELECT generation FROM transcript_rewrite_watermarks WHERE session_id = ?"
        generation: str = connection.execute(sql, (session_id,)).fetchone()[0]
        connection.execute("DELETE FROM transcript_events WHERE session_id = ?", (session_id,))
        return lines, generation

    def remove(self, key: str, session_id: str) -> None:
        """Make a session and its transcript vanish without a trace."""
        self.remove_entry(key)
        self.write(session_id, [])


def sha256(data: bytes) -> str:
    """The hash as text."""
    return hashlib.sha256(data).hexdigest()


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
