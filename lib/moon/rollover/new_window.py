"""What the store says of a rollover: was the window opened, and did the map arrive? Only reads.

Neither an exit code nor the gateway's answer proves either; the transcript does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.rollover.continuity_map import idempotency_key


@dataclass(frozen=True)
class Window:
    """The part of a session behind the boundary event."""

    session_id: str
    is_new: bool
    has_map: bool


def look_behind(
    store: TranscriptStore, entry: SessionEntry, from_session_id: str, boundary_event_id: str, rollover_id: str
) -> Window:
    """Is there a new window behind the boundary, in the same transcript or in that of another session id?"""
    is_new = behind = entry.session_id != from_session_id
    has_map = False
    for line in _lines(store, entry):
        is_new = is_new or (behind and line.get("type") == "reset")
        has_map = has_map or carries_map(line, rollover_id)
        behind = behind or line.get("id") == boundary_event_id
    return Window(entry.session_id, is_new, has_map)


def is_last(store: TranscriptStore, entry: SessionEntry, event_id: str) -> bool:
    """Is this still the last event of the transcript?"""
    last = ""
    for line in _lines(store, entry):
        last = line.get("id", last)
    return last == event_id


def _lines(store: TranscriptStore, entry: SessionEntry) -> Iterator[dict[str, Any]]:
    return (_load(event.data) for event in store.events(entry.transcript))


def carries_map(line: dict[str, Any], rollover_id: str) -> bool:
    """Is this event the user message that brought the map?"""
    message = line.get("message")
    if line.get("type") != "message" or not isinstance(message, dict) or message.get("role") != "user":
        return False
    key = message.get("idempotencyKey")
    if isinstance(key, str) and key.startswith(idempotency_key(rollover_id)):
        return True
    return f"# Continuity map {rollover_id}" in json.dumps(message.get("content"), ensure_ascii=False)


def _load(data: bytes) -> dict[str, Any]:
    try:
        line = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}
