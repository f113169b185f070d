"""Messages that OpenClaw has taken and that stand in no transcript: waiting, or interrupted before their run began.

OpenClaw 2026.9 keeps them in the table `session_pending_inputs` (docs/openclaw.md). A store without it, or one that
cannot be read, has none to tell of.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import quote

from moon.openclaw.sqlite_store import SqliteStore
from moon.openclaw.transcript_store import TranscriptStore

COLUMNS = {"input_id", "session_key", "message_json", "state", "accepted_at", "consumed_event_id"}


class PendingInput(NamedTuple):
    """`state`: `queued`, `interrupted`, `cancelled`; `accepted_at` in milliseconds; `message` as in a transcript."""

    input_id: str
    state: str
    accepted_at: int
    message: dict[str, Any]


def pending_inputs(store: TranscriptStore, session_key: str) -> list[PendingInput]:
    """What OpenClaw holds for that session and no run has taken, oldest first."""
    if not isinstance(store, SqliteStore):
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(store.path))}?mode=ro", uri=True, timeout=5)) as connection:
            columns = connection.execute("SELECT name FROM pragma_table_info('session_pending_inputs')").fetchall()
            if COLUMNS - {name for (name,) in columns}:
                return []
            rows = connection.execute(
                "SELECT input_id, state, accepted_at, message_json FROM session_pending_inputs "
                "WHERE session_key = ? AND consumed_event_id IS NULL ORDER BY accepted_at",
                (session_key,),
            ).fetchall()
    except sqlite3.Error:
        return []
    return [PendingInput(input_id, state, accepted, _load(text)) for input_id, state, accepted, text in rows]


def _load(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
