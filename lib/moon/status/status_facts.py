"""What can be said about Moon without taking its lock, waiting, or changing anything: the `moon.status/1` document.

Each part is read for itself; a part that cannot be read becomes a problem and leaves the others as they are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from moon import config as configuration
from moon import schema
from moon.clock import format_ms, local_date, now_ms, parse_ms
from moon.config import Config
from moon.cycle import cycle_document as cycles
from moon.cycle import session_states as states
from moon.errors import ArchiveDamaged, ConfigInvalid, DocumentInvalid, DocumentTooNew, MoonError
from moon.files import read_bounded, unusable
from moon.fulltext import IndexMissing, open_reader, vectors
from moon.health import disk_use, health_file
from moon.health.health_file import Health
from moon.health.noting import LOOK
from moon.health.problems import Trouble
from moon.health.signs import forget_trouble, heartbeat_of, index_trouble, timer_trouble
from moon.log_parts import parts
from moon.paths import Home
from moon.remedies import hint_for
from moon.shared_index.outbox_state import OutboxState, read_state
from moon.status.copies_state import copies_state, copies_trouble
from moon.status.status_meaning import known_sessions, last_actions, open_cycle, session_entry, without_done
from moon.status.status_problems import as_problems
from moon.trust import NotTrusted
from moon.vault.ledger import Ledger, Line

if TYPE_CHECKING:
    from moon.documents import CycleDocument

Document = dict[str, Any]
Part = TypeVar("Part")
# The end of the audit log that is read: some thousand actions.
AUDIT_TAIL = 1 << 20


def gather(home: Home) -> Document:
    """The status document. Raises `HomeUnusable` only when the home itself cannot be looked into."""
    problems: list[MoonError] = []
    config = _config(home, problems)

    def part(read: Callable[[], Part], otherwise: Part) -> Part:
        try:
            return read()
        except MoonError as error:
            problems.append(error)
            return otherwise

    now = now_ms()
    set_up = _is_set_up(home)
    state = _read_state(home, problems)
    health = health_file.read(home)
    kept_problems = _still(health.problems, home.config_file, [*problems])
    lines: list[Line] = part(lambda: _archives(Ledger(home.ledger), problems), [])
    actions = last_actions(part(lambda: audit_tail(home.audit_log), b"").splitlines())
    kept = Counter((line["agent"], line["session_key"]) for line in lines)
    cycle = part(lambda: _latest_cycle(home, state.open_cycle), None)
    remembered = [without_done(session, cycle) for session in state.sessions.values()]
    heartbeat = heartbeat_of(state.heartbeat, config.timer.interval_seconds, now)
    unfinished = None if cycle is None else open_cycle(cycle)
    indexed = part(lambda: _indexed(home), _Indexed(frozenset(), 0, 0))
    use = disk_use.look(home)
    growth = disk_use.growth(use, lines, now)
    if not any(each.path == str(home.state_file) for each in problems):
        problems += timer_trouble(heartbeat, unfinished, str(home.root), _age_of(home, now))
    gone = unfinished is None and not home.text_index.exists()
    problems += index_trouble(lines, indexed.shas, now, str(home.text_index), gone)
    problems += forget_trouble(home, now)
    problems += disk_use.troubles(home, config, use, growth)
    copies = copies_state(home, config)
    problems += copies_trouble(copies, now)
    outbox = read_state(home) if config.index.engine == "postgresql" else None
    kept_problems += list(_not_sent(outbox)) if outbox else []
    document = {
        "schema": "moon.status/1",
        "taken_at": format_ms(now),
        "home": str(home.root),
        "set_up": set_up,
        "heartbeat": heartbeat,
        "good": _good(health, state.heartbeat),
        "counters": dict(sorted(state.counters.items())),
        "cycle": unfinished,
        "sessions": [session_entry(each, actions, kept) for each in known_sessions(remembered, lines)],
        "archives": {
            "archives": len(lines),
            "sessions": len({(line["agent"], line["session_id"]) for line in lines}),
            "events": sum(line["events"] for line in lines),
            "bytes": sum(line["bytes"] for line in lines),
            "last_at": max((line["archived_at"] for line in lines), default=None),
        },
        "index": {
            "archives": indexed.archives,
            "messages": indexed.messages,
            "lag": len({line["sha256"] for line in lines} - indexed.shas),
            "vectors": vectors.count(home.vectors) if config.recall.semantic.source != "off" else None,
        },
        "copies": copies,
        "shared_index": outbox and {name: outbox[name] for name in ("waiting", "sent_at", "failure")},
        "distillation": part(lambda: _distillation(home, config, now), None),
        "disk": {
            "raw_bytes": use.raw,
            "pages_bytes": use.pages,
            "index_bytes": use.searched,
            "records_bytes": use.records,
            "budget_bytes": config.disk.budget_mb << 20,
            "free_bytes": use.free,
            "growth_bytes_a_day": growth.bytes_per_day,
            "days_left": growth.days_left,
        },
    }
    return {**document, "problems": as_problems(kept_problems, problems, now)}


def _not_sent(outbox: OutboxState) -> Iterator[Trouble]:
    """Why the shared index does not have everything."""
    failure = outbox["failure"]
    if failure is not None:
        since, last = parse_ms(failure["since"]) or 0, parse_ms(outbox["tried_at"]) or 0
        hint = failure["hint"] or hint_for(failure["code"])
        yield Trouble("index", failure["code"], failure["message"], hint, "", (), since, last, failure["times"])


def _still(kept: Iterable[Trouble], file: Path, seen: Iterable[MoonError]) -> list[Trouble]:
    """The kept problems less those of a configuration that this look finds mended, or wrong in another way, and of the
    disk, which it measures itself.
    """
    try:
        changed = int(file.stat().st_mtime * 1000)
    except OSError:
        changed = 0
    now = [each.message for each in seen if each.code == ConfigInvalid.code]
    return [
        each
        for each in kept
        if each.station != disk_use.STATION
        and (each.code != ConfigInvalid.code or (each.message in now if now else each.last >= changed))
    ]


def _config(home: Home, problems: list[MoonError]) -> Config:
    """The configuration; where it cannot be understood the last that could, or the defaults, and a problem."""
    try:
        config, error = configuration.load_to_read(home)
    except NotTrusted as refused:
        config, error = configuration.defaults(), refused
    if error is not None:
        problems.append(error)
    return config


def _good(health: Health, heartbeat: int) -> dict[str, str | None]:
    """By station: when it last did all its work well; a look without problems is a good one."""
    begun = min((each.since for each in health.problems if each.station == LOOK), default=heartbeat)
    last = heartbeat if heartbeat <= begun else health.good.get(LOOK, 0)
    good = {**health.good, LOOK: last}
    return {name: format_ms(when) if (when := good.get(name, 0)) else None for name in (LOOK, *cycles.STATIONS)}


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


def _age_of(home: Home, now: int) -> int | None:
    """For how many seconds Moon has been installed here, or at work; None where neither is known."""
    begun = []
    for path in (home.format_file, home.state / "install.json"):
        try:
            begun.append(path.stat().st_mtime * 1000)
        except OSError:
            continue
    return max(0, int(now - min(begun)) // 1000) if begun else None


def _read_state(home: Home, problems: list[MoonError]) -> states.State:
    state = states.peek(home)
    if not state.heartbeat and home.state_file.exists() and (why := _why_unreadable(home.state_file)):
        problems.append(why)
    return state


def _why_unreadable(path: Path) -> MoonError | None:
    """Why a state file that is there cannot be used: closed to this user, of a newer Moon, or damaged.

    None for a sound one: before the first tick, another command can have written it.
    """
    try:
        schema.read("state", path)
        return None
    except DocumentTooNew as error:
        return error
    except (FileNotFoundError, DocumentInvalid):
        pass
    except MoonError as error:
        return error
    return MoonError("the state file cannot be read", path=str(path), code="state_unreadable")


def _latest_cycle(home: Home, cycle_id: str) -> CycleDocument | None:
    """The cycle that the state has not taken in yet."""
    if not cycle_id:
        return None
    path = cycles.cycle_path(home, cycle_id)
    try:
        return cycles.parse(read_bounded(path), str(path))
    except FileNotFoundError:
        return None


def audit_tail(log: Path) -> bytes:
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


class _Indexed(NamedTuple):
    shas: frozenset[str]
    archives: int
    messages: int


def _indexed(home: Home) -> _Indexed:
    """What the index holds; nothing where there is none yet."""
    try:
        with open_reader(home.text_index) as index:
            counts = index.counts()
            return _Indexed(frozenset(index.segment_shas()), counts["segments"], counts["messages"])
    except IndexMissing as error:
        if error.code != IndexMissing.code:
            raise
    return _Indexed(frozenset(), 0, 0)


def _distillation(home: Home, config: Config, now: int) -> Document | None:
    try:
        memory = schema.read("models", home.state / "models.json")
    except FileNotFoundError:
        return None
    spent = memory["spent"]
    today = spent.get("day") == local_date(now, config.timezone).isoformat()
    waits = {name: circuit["open_until"] for name, circuit in memory["circuits"].items()}
    reasons = {name: circuit.get("reason", "") for name, circuit in memory["circuits"].items()}
    return {
        "calls": spent.get("calls", 0) if today else 0,
        "tokens": spent.get("tokens", 0) if today else 0,
        "calls_per_day": config.distill.budget.calls_per_day,
        "tokens_per_day": config.distill.budget.tokens_per_day,
        "waiting": {name: until for name, until in waits.items() if until and until > format_ms(now)},
        "reasons": {name: reason for name, reason in reasons.items() if reason},
    }


def as_json(document: Document) -> str:
    """The document, checked, as JSON text."""
    return schema.dump("status", document)
