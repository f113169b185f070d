"""state/moon_state.json: what is remembered between ticks, for every session.

Written by `moon-sample` alone. A file that does not fit its schema is set aside and made anew from the ledger and the
audit log; nothing destructive depends on it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from moon import schema
from moon.clock import format_ms, now_ms, parse_ms
from moon.digests import blake2b
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError
from moon.files import atomic_writer, read_bounded, replace_quickly, write_all
from moon.log_parts import parts
from moon.paths import Home
from moon.text import dump_json

NORMAL = "Normal"
ARCHIVE_TRIGGERED = "ArchiveTriggered"
PRUNE_TRIGGERED = "PruneTriggered"
DISTILL_TRIGGERED = "DistillTriggered"
COOLDOWN = "Cooldown"
# Not "state": a Moon of the first format would find there that this file is valid, and not refuse it.
REMEMBERED = "state-2"
TIMES = ("since", "retry_at")


class SessionState(NamedTuple):
    """What is remembered of a session. Times in milliseconds since the epoch here, as RFC 3339 text in the file."""

    agent: str
    session_key: str
    session_id: str
    state: str = NORMAL
    level: int = 0
    since: int = 0
    pending: tuple[str, ...] = ()
    attempts: int = 0
    retry_at: int = 0
    undistilled: bool = False
    last_trigger: Mapping[str, int] = MappingProxyType({})
    ratio: float | None = None
    deferred: str = ""
    held: str = ""


class Owed(NamedTuple):
    """Work for a transcript that no threshold asks for again: a station failed for it, or its session is gone."""

    agent: str
    session_key: str
    session_id: str
    stations: tuple[str, ...]
    attempts: int = 0
    retry_at: int = 0


class State:
    """The whole state. `open_cycle` names the cycle document that is not settled yet.

    `sessions` go by (agent, session key), `owed` by (agent, session id). `notices` are the problems that stop nothing
    and were said already.
    """

    def __init__(self) -> None:
        self.sessions: dict[tuple[str, str], SessionState] = {}
        self.owed: dict[tuple[str, str], Owed] = {}
        self.notices: list[str] = []
        self.open_cycle = ""
        self.counters: dict[str, int] = {}
        self.heartbeat = 0
        self.asked_command = 0

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self.counters[name] = self.counters.get(name, 0) + 1


def load(home: Home) -> tuple[State, MoonError | None]:
    """The state of this home, and what was wrong with it if it had to be rebuilt. Raises `DocumentTooNew`."""
    try:
        data = read_bounded(home.state_file)
    except FileNotFoundError:
        return State(), None
    try:
        return _decode(home, data), None
    except DocumentTooNew:
        raise
    except DocumentInvalid as error:
        aside = home.state_file.with_name(f"moon_state.json.corrupt-{now_ms()}")
        home.state_file.replace(aside)
        error.hint = f"set aside as {aside.name}; rebuilt from the ledger and the audit log"
        return rebuild(home), error


def peek(home: Home) -> State:
    """The state for a reader who changes nothing; empty when there is none that can be read."""
    try:
        return _decode(home, read_bounded(home.state_file))
    except (FileNotFoundError, MoonError):
        return State()


def _decode(home: Home, data: bytes) -> State:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(f"the state file is not JSON: {error}", path=str(home.state_file)) from error
    if isinstance(document, dict) and document.get("schema") == "moon.state/1":
        # The same fields; only that the home has a format of its own by now.
        document["schema"] = "moon.state/2"
    steady = _steady(data)
    if not (steady and schema.is_remembered(home.cache, REMEMBERED, steady)):
        schema.check("state", document, path=str(home.state_file))
    state = State()
    for session in map(_session, document["sessions"]):
        state.sessions[(session.agent, session.session_key)] = session
    for owed in map(_owed, document.get("owed", [])):
        state.owed[(owed.agent, owed.session_id)] = owed
    state.notices = list(document.get("notices", []))
    state.open_cycle = document["open_cycle"] or ""
    state.counters = dict(document["counters"])
    state.heartbeat = parse_ms(document["heartbeat"]) or 0
    state.asked_command = parse_ms(document.get("asked_command")) or 0
    return state


def _session(entry: dict[str, Any]) -> SessionState:
    values = dict(entry)
    for name in TIMES:
        values[name] = parse_ms(values[name]) or 0
    values["last_trigger"] = {name: parse_ms(when) or 0 for name, when in values["last_trigger"].items()}
    values["pending"] = tuple(values["pending"])
    return SessionState(**{name: value for name, value in values.items() if name in SessionState._fields})


def _owed(entry: dict[str, Any]) -> Owed:
    values = {**entry, "retry_at": parse_ms(entry["retry_at"]) or 0, "stations": tuple(entry["stations"])}
    return Owed(**{name: value for name, value in values.items() if name in Owed._fields})


def as_document(state: State) -> dict[str, Any]:
    """The `moon.state/2` document."""
    return {
        "schema": "moon.state/2",
        "heartbeat": format_ms(state.heartbeat),
        "open_cycle": state.open_cycle or None,
        "asked_command": format_ms(state.asked_command) if state.asked_command else None,
        "counters": state.counters,
        "sessions": [_entry(state.sessions[key]) for key in sorted(state.sessions)],
        "owed": [_owed_entry(state.owed[key]) for key in sorted(state.owed)],
        "notices": state.notices,
    }


def _owed_entry(owed: Owed) -> dict[str, Any]:
    retry_at = format_ms(owed.retry_at) if owed.retry_at else None
    return {**owed._asdict(), "stations": list(owed.stations), "retry_at": retry_at}


def _entry(session: SessionState) -> dict[str, Any]:
    values = session._asdict()
    for name in TIMES:
        values[name] = format_ms(values[name]) if values[name] else None
    values["last_trigger"] = {name: format_ms(when) for name, when in session.last_trigger.items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def save(home: Home, state: State) -> None:
    """Write the state; checked against its schema whenever more than the heartbeat changed."""
    document = as_document(state)
    text = _as_text(document)
    steady = _steady(text)
    if schema.is_remembered(home.cache, REMEMBERED, steady):
        # Only the heartbeat is new, and waiting for the disk is dear.
        replace_quickly(home.state_file, text)
        return
    schema.check("state", document)
    with atomic_writer(home.state_file) as descriptor:
        write_all(descriptor, text)
    schema.remember(home.cache, REMEMBERED, steady)


def _as_text(document: dict[str, Any]) -> bytes:
    """JSON with a session a line: to be read by people, and for thousands of sessions quickly written."""
    parts = []
    for name, value in document.items():
        rows = ",\n  ".join(map(dump_json, value)) if isinstance(value, list) else ""
        parts.append(f' "{name}": [\n  {rows}\n ]' if rows else f' "{name}": {dump_json(value)}')
    return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def _steady(text: bytes) -> bytes:
    """A digest of all but the heartbeat, which alone changes from one tick to the next; empty where there is none."""
    before, found, after = text.partition(b'\n "heartbeat": "')
    heartbeat, _, rest = after.partition(b'"')
    if not found or parse_ms(heartbeat.decode("ascii", "replace")) is None:
        return b""
    return blake2b(before + found + rest).hexdigest().encode()


def rebuild(home: Home) -> State:
    """A state from the ledger (which sessions there are) and the audit log (what was done when)."""
    from moon.vault.ledger import Ledger

    state = State()
    for line in Ledger(home.ledger).archives():
        key = (line["agent"], line["session_key"])
        state.sessions[key] = SessionState(line["agent"], line["session_key"], line["session_id"])
    levels = {"archive": 1, "prune": 2, "distill": 3, "rollover": 3}
    for entry in _audit_lines(home):
        action, key = entry.get("action"), (entry.get("agent", ""), entry.get("session_key", ""))
        when = parse_ms(entry.get("time"))
        if entry.get("outcome") != "done" or action not in levels or when is None:
            continue
        state.count(action)
        if key in state.sessions:
            known = state.sessions[key]
            triggered = {**known.last_trigger, "distill" if action == "rollover" else action: when}
            state.sessions[key] = SessionState(
                known.agent,
                known.session_key,
                known.session_id,
                state=COOLDOWN,
                level=levels[action],
                since=when,
                last_trigger=triggered,
            )
    return state


def _audit_lines(home: Home) -> Iterator[dict[str, Any]]:
    for path in parts(home.audit_log):
        with contextlib.suppress(OSError), path.open("rb") as stream:
            for line in stream:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry
