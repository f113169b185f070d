"""The rows of a usage document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from moon.errors import MoonError
from moon.openclaw.transcript_store import Transcript
from moon.openclaw.usage import Reading

if TYPE_CHECKING:
    from moon.documents import Row, UsageDocument


def row_of(
    reading: Reading, *, due: Sequence[str], deferred: Sequence[str] = (), reason: str = "", state: str = "Normal"
) -> Row:
    """A session's row from its reading."""
    return {
        "agent": reading.agent,
        "session_key": reading.session_key,
        "session_id": reading.session_id,
        "provider": reading.provider,
        "used_tokens": reading.used_tokens,
        "window_tokens": reading.window_tokens,
        "budget_tokens": reading.budget_tokens,
        "ratio": reading.ratio,
        "fresh": reading.fresh,
        "age_seconds": reading.age_seconds,
        "active": reading.active,
        "state": state,
        "due": list(due),
        "deferred": list(deferred),
        "reason": reason,
    }


def transcript_row(transcripts: Sequence[Transcript], *, due: Sequence[str], reason: str) -> Row:
    """A row for the transcripts of one session id that is no session's current one: no usage, only events."""
    agent, _, session_id, _ = transcripts[0]
    return {
        "agent": agent,
        "session_key": next((each.key for each in transcripts if each.key), ""),
        "session_id": session_id,
        "used_tokens": None,
        "window_tokens": None,
        "budget_tokens": None,
        "ratio": None,
        "fresh": False,
        "age_seconds": None,
        "active": False,
        "state": "Normal",
        "due": list(due),
        "deferred": [],
        "reason": reason,
        "places": [each.place for each in transcripts],
    }


def usage_document(taken_at: str, rows: Sequence[Row], problems: Iterable[MoonError]) -> UsageDocument:
    """The `moon.usage/1` document around its rows."""
    providers = [row["provider"] for row in rows if "provider" in row]
    return {
        "schema": "moon.usage/1",
        "taken_at": taken_at,
        "provider": max(set(providers), key=providers.count) if providers else "none",
        "sessions": list(rows),
        "problems": [problem.as_dict() for problem in problems],
    }
