"""Nobody is interrupted: is somebody at work in this session right now?"""

from __future__ import annotations

from moon.clock import now_ms
from moon.config import Config
from moon.errors import MoonError, OpenClawFailed
from moon.openclaw.locate import Stores
from moon.openclaw.openclaw_command import OpenClaw
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.openclaw.usage import read_one


class InUse(MoonError):
    """A run is active, or the user was active just now."""

    code = "in_use"


class GatewayAway(MoonError):
    """The gateway, which would have to do it, cannot be reached or does not answer."""

    code = "gateway_away"


def current(stores: Stores, agent: str, session_key: str, session_id: str) -> tuple[TranscriptStore, SessionEntry]:
    """The session as the store has it now. Raises `InUse` when it is gone, or has another id than the one given."""
    for store, entry in stores.sessions():
        if (entry.agent, entry.key) == (agent, session_key):
            if session_id not in ("", entry.session_id):
                raise InUse(f"the session has a new id, {entry.session_id}", hint="the next tick looks at it afresh")
            return store, entry
    raise InUse("the session is no longer in the store", hint="nothing is left to do for it")


def require_idle(config: Config, client: OpenClaw, store: TranscriptStore, entry: SessionEntry) -> None:
    """Raise `InUse` or `GatewayAway` unless the session is idle, by the store and by the gateway."""
    reading = read_one(config, store, entry, now_ms())
    if entry.running:
        raise InUse("a run is active")
    if reading.active:
        raise InUse(f"the user was active {reading.idle_seconds} seconds ago")
    try:
        running = client.has_active_run(entry.key)
    except OpenClawFailed as error:
        raise GatewayAway(f"OpenClaw's gateway is needed for this: {error.message}", hint=error.hint) from error
    if running:
        raise InUse("a run is active")
