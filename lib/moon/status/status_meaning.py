"""What the pieces of a status mean. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moon.clock import format_ms
from moon.cycle.cycle_document import next_station, outcomes
from moon.cycle.session_states import SessionState

if TYPE_CHECKING:
    from moon.documents import CycleDocument, LedgerLine

SHOWN = ("time", "action", "outcome", "reason", "cycle_id")
Actions = dict[tuple[str, str], dict[str, str]]


def last_actions(lines: Iterable[bytes]) -> Actions:
    """By agent and session key: the last action that the audit log names."""
    found: Actions = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("agent"):
            key = (str(entry["agent"]), str(entry.get("session_key", "")))
            found[key] = {name: str(entry.get(name, "")) for name in SHOWN}
    return found


def open_cycle(document: CycleDocument) -> dict[str, Any] | None:
    """The unfinished cycle of a cycle document; None when it is finished."""
    if document["finished_at"] is not None:
        return None
    return {
        "cycle_id": document["cycle_id"],
        "created_at": document["created_at"],
        "next_station": next_station(document),
        "resumed": document.get("resumed", 0),
    }


def without_done(session: SessionState, cycle: CycleDocument | None) -> SessionState:
    """The session less what the latest cycle did for it, which moon-sample takes in at its next tick."""
    done: set[str] = set()
    if cycle is None:
        return session
    for row in cycle["usage"]["sessions"]:
        if (row["agent"], row["session_id"]) == (session.agent, session.session_id):
            done |= {name for name, outcome in outcomes(cycle, row).items() if outcome in ("done", "nothing")}
    return session._replace(pending=tuple(station for station in session.pending if station not in done))


def known_sessions(remembered: Iterable[SessionState], archives: Iterable[LedgerLine]) -> list[SessionState]:
    """The sessions of the state, and those that only the ledger knows, by agent and key."""
    found = {(each.agent, each.session_key): each for each in remembered}
    for line in archives:
        session = SessionState(line["agent"], line["session_key"], line["session_id"])
        found.setdefault((session.agent, session.session_key), session)
    return [found[key] for key in sorted(found)]


def session_entry(session: SessionState, actions: Actions, archives: Counter[tuple[str, str]]) -> dict[str, Any]:
    """A session's part of the status document."""
    key = (session.agent, session.session_key)
    return {
        "agent": session.agent,
        "session_key": session.session_key,
        "session_id": session.session_id,
        "state": session.state,
        "ratio": session.ratio,
        "pending": list(session.pending),
        "attempts": session.attempts,
        "retry_at": format_ms(session.retry_at) if session.retry_at else None,
        "deferred": session.deferred,
        "held": session.held,
        "archives": archives[key],
        "last": actions.get(key),
    }
