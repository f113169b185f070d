"""Bring recalled messages into a live session, so that its model reads them; the same pack at most once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from moon import audit
from moon.config import Config
from moon.errors import MoonError, SessionUnknown, UsageWrong
from moon.files import append_line
from moon.openclaw.gateway import Gateway
from moon.openclaw.locate import open_stores
from moon.openclaw.openclaw_command import agent_of
from moon.paths import Home
from moon.redact import Redactor

Document = dict[str, Any]
HEADING = (
    "Recalled from Moon's archive at the request of the user of this machine. No answer is needed beyond a short note."
)


class InjectionRefused(MoonError):
    """There is nothing to bring in, or it was brought in before."""

    code = "refused"


def inject(config: Config, home: Home, session_key: str, document: Document) -> Document:
    """Send the pack of an answer as a turn of the session. Raises `InjectionRefused`, `OpenClawFailed`."""
    # Redacted when it was indexed, and again with today's rules before it goes to a model.
    pack = Redactor.from_config(config.redact).redact(document["pack"] or "").text
    if not pack:
        raise UsageWrong("nothing was found that could be brought in", hint="see the `notes` of the answer")
    key = "moon-recall-" + hashlib.sha256(f"{session_key}\n{pack}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    events = [result["event_id"] for result in document["results"]]
    if _was_sent(home, key) or _has_arrived(config, session_key, key):
        audit.record(home, "inject", "refused", session_key=session_key, ids=[key], reason="brought in before")
        raise InjectionRefused(
            f"session {session_key} has these messages already", hint="pick other results with --pick, or ask again"
        )
    # Noted first: after a crash or a lost answer it may have arrived, and twice is worse than not at all.
    append_line(_journal(home), json.dumps({"key": key, "session_key": session_key}).encode())
    try:
        with Gateway(config, home.request_lock) as gateway:
            gateway.send_turn(session_key, agent_of(session_key), f"{HEADING}\n\n{pack}", key)
    except MoonError as error:
        audit.record(home, "inject", "failed", session_key=session_key, ids=[key], reason=error.message)
        raise
    audit.record(home, "inject", "done", agent=agent_of(session_key), session_key=session_key, ids=[key], events=events)
    return {"session_key": session_key, "idempotency_key": key, "events": events}


def _journal(home: Home) -> Any:
    return home.state / "injected.jsonl"


def _was_sent(home: Home, key: str) -> bool:
    try:
        return key.encode() in _journal(home).read_bytes()
    except FileNotFoundError:
        return False


def _has_arrived(config: Config, session_key: str, key: str) -> bool:
    """Does the session's transcript hold the message already? Raises `SessionUnknown`: a mistyped key would make one.

    A store that cannot be read counts as no, since the gateway checks as well.
    """
    try:
        store, entry = open_stores(config).find(session_key)
        return any(key.encode() in event.data for event in store.events(entry.transcript))
    except SessionUnknown:
        raise
    except MoonError:
        return False
