"""What can be said about Moon without taking its lock, waiting, or changing anything: the `moon.status/1` document.

Each part is read for itself; a part that cannot be read becomes a problem and leaves the others as they are.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from moon import schema
from moon.clock import format_ms, local_date, now_ms
from moon.config import Config
from moon.cycle import cycle_document as cycles
from moon.cycle import session_states as states
from moon.documents import CycleDocument
from moon.errors import ArchiveDamaged, MoonError
from moon.files import read_bounded, unusable
from moon.fulltext import IndexMissing, open_reader
from moon.log_parts import parts
from moon.paths import Home
from moon.status.status_meaning import known_sessions, last_actions, open_cycle, session_entry, without_done
from moon.vault.ledger import Ledger, Line

Document = dict[str, Any]
Part = TypeVar("Part")
# The end of the audit log that is read: some thousand actions.
AUDIT_TAIL = 1 << 20


def gather(home: Home, config: Config) -> Document:
    """The status document. Raises `HomeUnusable` only when the home itself cannot be looked into."""
    problems: list[MoonError] = []

    def part(read: Callable[[], Part], otherwise: Part) -> Part:
        try:
            return read()
        except MoonError as error:
            problems.append(error)
            return otherwise

    now = now_ms()
    state = _read_state(home, problems)
    lines: list[Line] = part(lambda: _archives(Ledger(home.ledger), problems), [])
    actions = last_actions(part(lambda: _audit_tail(home.audit_log), b"").splitlines())
    kept = Counter((line["agent"], line["session_key"]) for line in lines)
    cycle = part(lambda: _latest_cycle(home, state.open_cycle), None)
    remembered = [without_done(session, cycle) for session in state.sessions.values()]
    document = {
        "schema": "moon.status/1",
        "taken_at": format_ms(now),
        "home": str(home.root),
        "set_up": _is_set_up(home),
        "heartbeat": _heartbeat(state.heartbeat, config.timer.interval_seconds, now),
        "counters": dict(sorted(state.counters.items())),
        "cycle": None if cycle is None else open_cycle(cycle),
        "sessions": [session_entry(each, actions, kept) for each in known_sessions(remembered, lines)],
        "archives": {
            "archives": len(lines),
            "sessions": len({(line["agent"], line["session_id"]) for line in lines}),
            "events": sum(line["events"] for line in lines),
            "bytes": sum(line["bytes"] for line in lines),
            "last_at": max((line["archived_at"] for line in lines), default=None),
        },
        "index": part(lambda: _index(home, lines), {"archives": 0, "messages": 0, "lag": len(lines)}),
        "distillation": part(lambda: _distillation(home, config, now), None),
        "disk": _disk(home),
    }
    return {**document, "problems": [error.as_dict() for error in problems]}


def _archives(ledger: Ledger, problems: list[MoonError]) -> list[Line]:
    """The archives that stand; a ledger with lines that cannot be read is a problem, and the others count."""
    unread = sum(1 for _ in ledger.raw_lines()) - sum(1 for _ in ledger.numbered())
    if unread:
        what = f"{unread} line{'' if unread == 1 else 's'} of the ledger cannot be read"
        hint = "`moon-archive --verify` names each; `moon-archive --repair` takes in again what it named"
        problems.append(ArchiveDamaged(what, path=str(ledger.path), hint=hint))
    return list(ledger.archives())


def _is_set_up(home: Home) -> bool:
    try:
        return home.root.exists() and any(home.root.iterdir())
    except OSError as error:
        raise unusable(home.root, error) from error


def _read_state(home: Home, problems: list[MoonError]) -> states.State:
    state = states.peek(home)
    if not state.heartbeat and home.state_file.exists():
        hint = "the next tick of moon-sample sets it aside and makes it anew from the ledger and the audit log"
        problems.append(MoonError("the state file cannot be read", path=str(home.state_file), hint=hint))
    return state


def _heartbeat(heartbeat: int, interval: int, now: int) -> Document:
    age = max(0, now - heartbeat) // 1000 if heartbeat else None
    return {
        "at": format_ms(heartbeat) if heartbeat else None,
        "age_seconds": age,
        "interval_seconds": interval,
        "late": states.is_late(age, interval),
    }


def _latest_cycle(home: Home, cycle_id: str) -> CycleDocument | None:
    """The cycle that the state has not taken in yet."""
    if not cycle_id:
        return None
    path = cycles.cycle_path(home, cycle_id)
    try:
        return cycles.parse(read_bounded(path), str(path))
    except FileNotFoundError:
        return None


def _audit_tail(log: Path) -> bytes:
    """The end of the audit log, over the last two of its parts; its first line may be the end of one."""
    tail = b""
    for path in reversed(parts(log)[-2:]):
        left = AUDIT_TAIL - len(tail)
        try:
            with path.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - left))
                tail = stream.read(left) + tail
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unusable(path, error) from error
    return tail


def _index(home: Home, lines: list[Line]) -> Document:
    wanted = {line["sha256"] for line in lines}
    try:
        with open_reader(home.text_index) as index:
            counts, known = index.counts(), index.segment_shas()
    except IndexMissing:
        counts, known = {"segments": 0, "messages": 0}, set()
    return {"archives": counts["segments"], "messages": counts["messages"], "lag": len(wanted - known)}


def _distillation(home: Home, config: Config, now: int) -> Document | None:
    try:
        memory = schema.read("models", home.state / "models.json")
    except FileNotFoundError:
        return None
    spent = memory["spent"]
    today = spent.get("day") == local_date(now, config.timezone).isoformat()
    waits = {name: circuit["open_until"] for name, circuit in memory["circuits"].items()}
    return {
        "calls": spent.get("calls", 0) if today else 0,
        "tokens": spent.get("tokens", 0) if today else 0,
        "calls_per_day": config.distill.budget.calls_per_day,
        "tokens_per_day": config.distill.budget.tokens_per_day,
        "waiting": {name: until for name, until in waits.items() if until and until > format_ms(now)},
    }


def _disk(home: Home) -> Document:
    try:
        free = shutil.disk_usage(home.root).free
    except OSError:
        free = None
    return {
        "raw_bytes": size_of(home.raw),
        "pages_bytes": size_of(home.markdown),
        "index_bytes": size_of(home.index),
        "free_bytes": free,
    }


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:
                continue
    return total


def as_json(document: Document) -> str:
    """The document, checked, as JSON text."""
    return schema.dump("status", document)
