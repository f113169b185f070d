"""What the store says of a rollover: was the window opened, and what arrived in it? Only reads.

Neither an exit code nor the gateway's answer proves either; the transcript does. What counts is what stands behind the
boundary event, which was the last one when the intent was on the disk already: a reset before it is another one's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moon.openclaw.transcript_store import SessionEntry, Transcript, TranscriptStore

Line = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """What lies behind the boundary event. `is_new` when that is a window of its own, with `lines` as its events."""

    session_id: str
    is_new: bool
    lines: Sequence[Line]

    def has_turn(self, idempotency_key: str, mark: str = "") -> bool:
        """Did a user message with this key arrive, or one with this mark in its text where keys are not kept?"""
        return any(is_turn(line, idempotency_key, mark) for line in self.lines)


def look_behind(store: TranscriptStore, entry: SessionEntry, from_session_id: str, boundary_event_id: str) -> Window:
    """Is there a new window behind the boundary, in the same transcript or in that of another session id?"""
    if entry.session_id != from_session_id:
        return Window(entry.session_id, True, tuple(_lines(store, entry.transcript)))
    behind = events_behind(store, entry.transcript, boundary_event_id)
    opening = next((place for place, line in enumerate(behind) if line.get("type") == "reset"), None)
    if opening is None:
        return Window(entry.session_id, False, ())
    return Window(entry.session_id, True, tuple(behind[opening:]))


def events_behind(store: TranscriptStore, transcript: Transcript, boundary_event_id: str) -> list[Line]:
    """The events behind the last one of that id; none where it is not there."""
    behind: list[Line] | None = None
    for line in _lines(store, transcript):
        if line.get("id") == boundary_event_id:
            behind = []
        elif behind is not None:
            behind.append(line)
    return behind or []


def is_last(store: TranscriptStore, entry: SessionEntry, event_id: str) -> bool:
    """Is this still the last event of the transcript?"""
    last = ""
    for line in _lines(store, entry.transcript):
        last = line.get("id", last)
    return last == event_id


def _lines(store: TranscriptStore, transcript: Transcript) -> Iterator[Line]:
    return (_load(event.data) for event in store.events(transcript))


def user_message(line: Line) -> Line | None:
    """The message of a user's event; None for every other event."""
    message = line.get("message")
    if line.get("type") != "message" or not isinstance(message, dict) or message.get("role") != "user":
        return None
    return message


def is_turn(line: Line, idempotency_key: str, mark: str = "") -> bool:
    """Is this the user message that was sent with that key?"""
    message = user_message(line)
    if message is None:
        return False
    if message.get("idempotencyKey") in (idempotency_key, f"{idempotency_key}:user"):
        return True
    return bool(mark) and mark in json.dumps(message.get("content"), ensure_ascii=False)


def _load(data: bytes) -> Line:
    try:
        line = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}
