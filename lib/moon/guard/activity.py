"""Nobody is interrupted: is somebody at work in this session right now?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moon.clock import now_ms, parse_ms
from moon.config import Config
from moon.errors import MoonError, OpenClawFailed
from moon.openclaw.gateway import Gateway
from moon.openclaw.locate import Stores
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore

if TYPE_CHECKING:
    from moon.documents import Entry


class InUse(MoonError):
    """A run is active, or the user was active just now."""

    code = "in_use"


class GatewayAway(MoonError):
    """The gateway, which would have to do it, cannot be reached or does not answer."""

    code = "gateway_away"


def put_off(error: GatewayAway) -> Entry:
    """The entry of a session whose prune or rollover waits for the gateway; it is asked again after growing pauses."""
    return {
        "outcome": "deferred",
        "code": error.code,
        "reason": error.message,
        "hint": error.hint,
        "backoff": True,
    }


def current(stores: Stores, agent: str, session_key: str, session_id: str) -> tuple[TranscriptStore, SessionEntry]:
    """The session as the store has it now. Raises `InUse` when it is gone, or has another id than the one given."""
    for store, entry in stores.sessions():
        if (entry.agent, entry.key) == (agent, session_key):
            if session_id not in ("", entry.session_id):
                raise InUse(f"the session has a new id, {entry.session_id}", hint="the next tick looks at it afresh")
            return store, entry
    raise InUse("the session is no longer in the store", hint="nothing is left to do for it")


def require_idle(config: Config, gateway: Gateway, store: TranscriptStore, entry: SessionEntry) -> None:
    """Raise `InUse` or `GatewayAway` unless the session is idle, by the store and by the gateway."""
    if entry.running:
        raise InUse("a run is active")
    idle_for = seconds_at_rest(store, entry)
    if idle_for is not None and idle_for < config.guard.idle_seconds:
        raise InUse(f"somebody was at work {idle_for} seconds ago")
    require_no_run(gateway, entry.key)


def require_no_run(gateway: Gateway, session_key: str) -> None:
    """Raise `InUse` or `GatewayAway` unless the gateway says that nothing runs in this session."""
    try:
        busy = gateway.is_busy(session_key)
    except OpenClawFailed as error:
        words = f"OpenClaw's gateway is needed for this: {error.message}"
        raise GatewayAway(words, hint=error.hint, code=error.code) from error
    if busy:
        raise InUse("a run is active")


def seconds_at_rest(store: TranscriptStore, entry: SessionEntry) -> int | None:
    """How long nothing has happened: no word of the user, no change of the session, no event; None if nobody knows.

    The user's last word alone is not enough: a run that it began may have ended a moment ago, and be read right now.
    """
    signs = (entry.interacted_at, entry.updated_at, last_event_at(store, entry))
    known = [sign for sign in signs if sign is not None]
    return max(0, now_ms() - max(known)) // 1000 if known else None


def last_event_at(store: TranscriptStore, entry: SessionEntry) -> int | None:
    """When the last event of the transcript was written, in milliseconds; None when it does not say."""
    last = b""
    for event in store.events(entry.transcript):
        last = event.data
    try:
        line = json.loads(last)
    except (ValueError, RecursionError):
        return None
    return parse_ms(line.get("timestamp")) if isinstance(line, dict) else None
