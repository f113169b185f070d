"""The threshold machine: (state, reading, config, now) → (state, what is due). Pure.

    Normal ──ratio ≥ archive──▶ ArchiveTriggered ──≥ prune──▶ PruneTriggered ──≥ distill──▶ DistillTriggered
      ▲                               │                            │                            │
      └──── cooldown over ── Cooldown ◀── fell hysteresis below the threshold that triggered ───┘

A threshold triggers once: it stays quiet until usage has fallen `hysteresis` below it and `cooldown_seconds` have
passed. A higher threshold may trigger at any time, so three triggers a cooldown are the most. Work that could not be
done (refused, failed) stays due and is tried again, with growing pauses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from moon.config import Config
from moon.cycle.cycle_document import STATIONS
from moon.cycle.session_states import (
    ARCHIVE_TRIGGERED,
    COOLDOWN,
    DISTILL_TRIGGERED,
    NORMAL,
    PRUNE_TRIGGERED,
    Owed,
    SessionState,
)
from moon.openclaw.usage import Reading

TRIGGERED = {1: ARCHIVE_TRIGGERED, 2: PRUNE_TRIGGERED, 3: DISTILL_TRIGGERED}
LEVEL_NAMES = {1: "archive", 2: "prune", 3: "distill"}
DESTRUCTIVE = frozenset({"prune", "rollover"})
# The first two retries come with the next ticks; after that the pause doubles from a minute up to an hour.
QUICK_RETRIES = 2
RETRY_FIRST_MS = 60_000
RETRY_LAST_MS = 3_600_000
DAY_MS = 86_400_000


class Decision(NamedTuple):
    """One session's next state, and what is due now. `deferred` is the part of `due` that waits."""

    state: SessionState
    due: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    reason: str = ""
    resume: bool = False

    @property
    def to_do(self) -> tuple[str, ...]:
        """What is done in this cycle."""
        return tuple(station for station in self.due if station not in self.deferred)


def level_of(ratio: float | None, config: Config) -> int:
    """0 below every threshold, 1 archive, 2 prune, 3 distill."""
    marks = config.thresholds
    return 0 if ratio is None else sum(ratio >= mark for mark in (marks.archive, marks.prune, marks.distill))


def threshold_of(level: int, config: Config) -> float:
    """The ratio at which that level begins."""
    marks = config.thresholds
    return (0.0, marks.archive, marks.prune, marks.distill)[level]


def stations_for(level: int, config: Config) -> tuple[str, ...]:
    """What the threshold of a level from 1 on makes due, in order (the table in docs/architecture.md)."""
    if level == 3:
        last = ("distill", "rollover") if config.rollover.mode != "off" else ("prune", "distill")
        return without_off(("archive", "index", *last), config)
    if level == 2:
        return without_off(("archive", "index", "prune"), config)
    return ("archive", "index")


def without_off(stations: Iterable[str], config: Config) -> tuple[str, ...]:
    """Leave out what the configuration switches off."""
    return tuple(each for each in stations if not (each == "prune" and config.prune.mode == "off"))


def decide(before: SessionState | None, reading: Reading, config: Config, now: int) -> Decision:
    """Advance one session's machine by one reading."""
    state = before or SessionState(reading.agent, reading.session_key, reading.session_id, since=now)
    if state.session_id != reading.session_id:
        state = _replaced(state, reading, now)
    wanted = level_of(reading.ratio, config)
    level = wanted if reading.trusted else min(wanted, 1)
    state = state._replace(ratio=reading.ratio, held=reading.doubt if level < wanted else "")
    state = _cool(_fall(state, reading, config, now), config, now)
    if level > state.level and level > 0:
        state = _trigger(state, level, config, now)
    return _what_is_due(state, reading, config, now)


def _replaced(state: SessionState, reading: Reading, now: int) -> SessionState:
    """Another session id under the same key: a new window."""
    fresh = SessionState(reading.agent, reading.session_key, reading.session_id, since=now)
    return fresh._replace(last_trigger=state.last_trigger)


def outlives(state: SessionState, config: Config) -> tuple[str, ...]:
    """What can still be done for a session that is gone, or has another id now: distill what was archived of it.

    Its transcript is archived by the rule for transcripts; there is nothing left to prune or to roll over.
    """
    undistilled = state.undistilled and config.distill.pending != "off"
    return ("distill",) if "distill" in state.pending or undistilled else ()


def _fall(state: SessionState, reading: Reading, config: Config, now: int) -> SessionState:
    """Leave a triggered state when usage has clearly fallen. The numbers must be believable, but may be old."""
    believable = reading.fresh or reading.provider == "estimate"
    if state.state not in TRIGGERED.values() or reading.ratio is None or not believable:
        return state
    if reading.ratio >= threshold_of(state.level, config) - config.thresholds.hysteresis:
        return state
    return state._replace(state=COOLDOWN, since=now, pending=(), attempts=0, retry_at=0, deferred="")


def _cool(state: SessionState, config: Config, now: int) -> SessionState:
    """Cooldown ends by time alone; a clock set back ends it too, since it can not be waited for."""
    if state.state != COOLDOWN:
        return state
    passed = now - state.since
    if 0 <= passed < config.thresholds.cooldown_seconds * 1000:
        return state
    return state._replace(state=NORMAL, level=0, since=now)


def _trigger(state: SessionState, level: int, config: Config, now: int) -> SessionState:
    return state._replace(
        state=TRIGGERED[level],
        level=level,
        since=now,
        pending=stations_for(level, config),
        attempts=0,
        retry_at=0,
        deferred="",
        last_trigger={**state.last_trigger, LEVEL_NAMES[level]: now},
    )


def _what_is_due(state: SessionState, reading: Reading, config: Config, now: int) -> Decision:
    if is_waiting(state, now):
        return Decision(state, reason=f"waits before the next attempt ({state.attempts} failed)")
    if state.pending:
        return _pending(state, reading)
    if is_undistilled(state, reading, config, now):
        marked = state._replace(last_trigger={**state.last_trigger, "pending": now})
        return Decision(marked, ("distill",), reason="pruned, but not distilled yet")
    return Decision(state, reason=reading.doubt)


def finish_rollover(decision: Decision, reading: Reading, now: int) -> Decision:
    """A rollover that was cut short is due whatever the usage is now; only somebody at work defers it."""
    if "rollover" in decision.due or is_waiting(decision.state, now):
        return decision
    due = tuple(station for station in STATIONS if station in decision.due or station == "rollover")
    held = ("rollover",) if reading.active else ()
    return decision._replace(due=due, deferred=decision.deferred + held, reason="a rollover was cut short", resume=True)


def _pending(state: SessionState, reading: Reading) -> Decision:
    """What a threshold made due. Destructive stations wait while somebody is at work or the numbers are in doubt."""
    held = tuple(station for station in state.pending if station in DESTRUCTIVE)
    # Before anything destructive the archive is brought up to date again, however short ago it was made.
    due = tuple(each for each in STATIONS if each in state.pending or (held and each in ("archive", "index")))
    reason = "the session is in use" if reading.active else reading.doubt
    if not held or not reason:
        return Decision(state._replace(deferred=""), due, reason=f"{state.ratio} of the prompt budget")
    waits = tuple(each for each in due if each in held or each not in state.pending)
    return Decision(state._replace(deferred=reason), due, waits, reason)


def is_undistilled(state: SessionState, reading: Reading, config: Config, now: int) -> bool:
    """Pruned since the last distillation, and is it time for that (`distill.pending`)?"""
    if not state.undistilled or config.distill.pending == "off":
        return False
    if config.distill.pending == "daily":
        return now - state.last_trigger.get("pending", 0) >= DAY_MS
    return reading.idle_seconds is None or reading.idle_seconds >= config.archive.idle_seconds


def settle(state: SessionState, outcomes: dict[str, str], now: int) -> SessionState:
    """Take in what a finished cycle did for this session.

    `outcomes`: station → done | nothing | deferred | refused | failed | unreachable. What is done is no longer pending;
    what was deferred is tried at the next tick, all else after a pause that grows. A cycle that was only about other
    sessions changes nothing.
    """
    if not outcomes:
        return state
    done = {station for station, outcome in outcomes.items() if outcome in ("done", "nothing")}
    failed = has_failed(outcomes)
    attempts = state.attempts + 1 if failed else 0
    return state._replace(
        pending=tuple(station for station in state.pending if station not in done),
        attempts=attempts,
        retry_at=now + retry_pause(attempts) if failed else 0,
        undistilled=(state.undistilled or outcomes.get("prune") == "done") and "distill" not in done,
    )


def settle_owed(owed: Owed, outcomes: dict[str, str], now: int) -> Owed | None:
    """Take in what a finished cycle did of the work that is owed to a transcript; None when nothing is left of it."""
    done = {station for station, outcome in outcomes.items() if outcome in ("done", "nothing")}
    left = tuple(station for station in owed.stations if station not in done)
    attempts = owed.attempts + has_failed(outcomes)
    retry_at = now + retry_pause(attempts) if attempts else 0
    return owed._replace(stations=left, attempts=attempts, retry_at=retry_at) if left else None


def has_failed(outcomes: dict[str, str]) -> bool:
    """Did anything go wrong, rather than wait?"""
    return any(outcome in ("failed", "refused", "unreachable") for outcome in outcomes.values())


def is_waiting(state: SessionState | Owed, now: int) -> bool:
    """Is the pause after a failure not over yet? One longer than any pause comes from a clock that was set back."""
    return 0 < state.retry_at - now <= RETRY_LAST_MS


def retry_pause(attempts: int) -> int:
    """Milliseconds to wait after so many failures in a row."""
    if attempts <= QUICK_RETRIES:
        return 0
    return int(min(RETRY_FIRST_MS * 2 ** min(attempts - QUICK_RETRIES - 1, 10), RETRY_LAST_MS))
