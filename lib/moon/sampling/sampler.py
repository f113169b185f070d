"""One tick: settle the last cycle, measure, decide, and open a new cycle when something is due."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms
from moon.config import Config
from moon.cycle import cycle_document as cycles
from moon.cycle.session_states import Owed, SessionState, State
from moon.errors import NOTICES, DocumentInvalid, MoonError, StoreAbsent
from moon.files import Lock, remove_abandoned
from moon.health import health_file
from moon.health.problems import Subject
from moon.openclaw.locate import Stores, open_stores
from moon.openclaw.transcript_store import Holding, Transcript
from moon.openclaw.usage import Measured, Reading, measure
from moon.openclaw.usage_rows import row_of, usage_document
from moon.paths import Home
from moon.policies import for_session
from moon.sampling.next_look import quiet_until, rests_at
from moon.sampling.quiet import LOOK_AGAIN_MS
from moon.sampling.thresholds import Decision, decide, finish_rollover, outlives, settle, settle_owed
from moon.sampling.transcripts_due import in_order, select_due, unarchived, with_work, work_for

if TYPE_CHECKING:
    from moon.documents import Row

# A cycle whose stations crash again and again is given up after so many ticks; its sessions then count as failed.
RESUMES = 3
# A store that cannot be read stays so for a while; the command that stands in for it is not asked at every tick.
ASK_AGAIN_MS = 300_000


class Sample(NamedTuple):
    """What one look at all sessions found."""

    rows: list[Row]
    problems: list[MoonError]
    decisions: list[Decision]
    # When each transcript that holds something to archive comes to rest (milliseconds).
    rests: list[int]

    @property
    def failures(self) -> list[MoonError]:
        """The problems that keep something from being seen or done."""
        return [problem for problem in self.problems if problem.code not in NOTICES]

    @property
    def has_work(self) -> bool:
        """Is any station due now?"""
        return any(set(row["due"]) - set(row["deferred"]) for row in self.rows)


def look(home: Home, config: Config, state: State, now: int) -> Sample:
    """Measure every session, look at every transcript, and decide what is due. Changes nothing."""
    problems: list[MoonError] = []
    stores: Stores | None = None
    try:
        stores = open_stores(config)
    except StoreAbsent as error:
        problems.append(error)
    measured: Measured = measure(config, stores, now, now - state.asked_command >= ASK_AGAIN_MS)
    cut_short = names_in(home.rollovers)
    rows: list[Row] = []
    decisions = []
    for reading in measured.readings:
        own = for_session(config, reading.agent, reading.session_key)
        decision = decide(state.sessions.get((reading.agent, reading.session_key)), reading, own, now)
        if cut_short and home.rollover_journal(reading.agent, reading.session_key).name in cut_short:
            decision = finish_rollover(decision, reading, now)
        decisions.append(decision)
        rows.append(decided_row(reading, decision))
    waiting = to_archive(home, stores) if stores else []
    due = with_keys(select_due(waiting, config.archive.idle_seconds, now), state)
    rows = with_work(rows, work_for(due, state.owed, now))
    problems += measured.problems
    problems += [each for each in stores.problems if each not in problems] if stores else []
    return Sample(rows, problems, decisions, rests_at(waiting, config.archive.idle_seconds))


def to_archive(home: Home, stores: Stores) -> list[Holding]:
    """The transcripts of all stores that hold something to archive."""
    holdings = [holding for _, holding in stores.holdings()]
    if not holdings:
        return []
    from moon.vault.transcript_marks import known_marks

    return unarchived(holdings, known_marks(home))


def with_keys(due: list[Transcript], state: State) -> list[Transcript]:
    """The older store forgets whose transcript it was as soon as the session is gone; the last tick still knows."""
    keys = {(each.agent, each.session_id): each.session_key for each in state.sessions.values()} if due else {}
    return [each._replace(key=each.key or keys.get((each.agent, each.session_id), "")) for each in due]


def stays_quiet_until(home: Home, config: Config, state: State, sample: Sample, now: int) -> int:
    """Until when nothing is due unless something moves (milliseconds); 0 where the next tick has to look again."""
    asks_each_time = "store" not in config.usage.providers
    if sample.has_work or sample.failures or state.owed or asks_each_time or names_in(home.rollovers):
        return 0
    if health_file.read(home).problems:  # that one is over shows in a look
        return 0
    rests = sample.rests if config.archive.idle_seconds else []
    latest = now + LOOK_AGAIN_MS
    if config.copies:
        from moon.copies.copy_due import copy_due_at

        latest = min(latest, copy_due_at(home, config, now) or latest)
    if config.index.engine == "postgresql":
        from moon.shared_index.outbox_state import send_due_at

        latest = min(latest, send_due_at(home, config, now) or latest)
    return quiet_until(state.sessions.values(), rests, config, latest)


def _audit(home: Home, action: str, outcome: str, **more: Any) -> None:
    from moon import audit

    audit.record(home, action, outcome, **more)


def decided_row(reading: Reading, decision: Decision) -> Row:
    """A usage row with what was decided."""
    row = row_of(
        reading, due=decision.due, deferred=decision.deferred, reason=decision.reason, state=decision.state.state
    )
    return {**row, "resume": True} if decision.resume else row


def names_in(folder: Path) -> set[str]:
    """The names in a folder; none when it is not there."""
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def remember(home: Home, config: Config, state: State, sample: Sample, now: int) -> None:
    """Take the decisions into the state; a deferral or a notice is audited once, when it begins."""
    seen = set()
    for decision in sample.decisions:
        after = decision.state
        key = (after.agent, after.session_key)
        before = state.sessions.get(key)
        seen.add(key)
        state.sessions[key] = after
        if before is not None and before.session_id != after.session_id:
            _owe(state, before, config)
        if after.deferred and after.deferred != (before.deferred if before else ""):
            state.count("deferred")
            reason = f"{', '.join(decision.deferred)}: {after.deferred}"
            _audit(home, "sample", "deferred", **_ids(after), reason=reason)
    _note_notices(home, state, sample)
    if sample.failures:
        state.asked_command = now if now - state.asked_command >= ASK_AGAIN_MS else state.asked_command
        return
    for key in [key for key in state.sessions if key not in seen]:
        _owe(state, state.sessions.pop(key), config)


def _ids(session: SessionState) -> dict[str, str]:
    return {"agent": session.agent, "session_key": session.session_key, "session_id": session.session_id}


def _owe(state: State, session: SessionState, config: Config) -> None:
    """Keep what can still be done for a session that is gone or has another id."""
    stations = outlives(session, config)
    if stations:
        owed = Owed(session.agent, session.session_key, session.session_id, stations)
        known = state.owed.get((owed.agent, owed.session_id))
        more = known._replace(stations=in_order((*known.stations, *stations))) if known else owed
        state.owed[(owed.agent, owed.session_id)] = more


def _note_notices(home: Home, state: State, sample: Sample) -> None:
    notices = [problem.message for problem in sample.problems if problem.code in NOTICES]
    for message in notices:
        if message not in state.notices:
            _audit(home, "sample", "noticed", reason=message)
    state.notices = notices


def open_cycle(home: Home, config: Config, state: State, sample: Sample, now: int) -> cycles.Document:
    """A new cycle document, noted as the open one."""
    usage = usage_document(format_ms(now), sample.rows, sample.problems)
    document = cycles.new_cycle(usage, "timer")
    cycles.remove_old(home, config.retention.cycles_days, document["cycle_id"])
    state.open_cycle = document["cycle_id"]
    state.count("cycles")
    return document


def take_up(home: Home, config: Config, state: State, lock: Lock, now: int) -> None:
    """Settle the open cycle; if it was cut short, go on with it instead, which does not return."""
    document = _read_open(home, state) if state.open_cycle else None
    if document is None:
        state.open_cycle = ""
        return
    following = cycles.next_station(document)
    if document["finished_at"] is None and following:
        if document.get("resumed", 0) >= RESUMES:
            _note_given_up(home, config, document, following)
        else:
            document["resumed"] = document.get("resumed", 0) + 1
            _audit(home, "sample", "resumed", cycle_id=document["cycle_id"], reason=f"cut short before {following}")
            start(home, document, lock)
    settle_cycle(state, document, now)


def _note_given_up(home: Home, config: Config, document: cycles.Document, station: str) -> None:
    """Keep for moon-status that a station ended again and again without an end of its own."""
    from moon.health import noting

    words = f"moon-{station} was cut short {RESUMES + 1} times in one cycle, which was given up"
    path = cycles.cycle_path(home, document["cycle_id"])
    subjects = [
        Subject(row["agent"], row["session_key"], row["session_id"])
        for row in document["usage"]["sessions"]
        if station in row["due"]
    ]
    _audit(home, "sample", "failed", cycle_id=document["cycle_id"], reason=words)
    noting.note_crash(home, config, station, MoonError(words, path=str(path), code="cycle_given_up"), subjects)


def start(home: Home, document: cycles.Document, lock: Lock) -> None:
    """Write the cycle document and become its first station that has work. Does not return."""
    remove_abandoned(home.root)
    cycles.write(home, document)
    from moon.cycle.station_runner import start_station

    start_station(home, cycles.next_station(document), document, lock)


def _read_open(home: Home, state: State) -> cycles.Document | None:
    path = cycles.cycle_path(home, state.open_cycle)
    try:
        return cycles.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except DocumentInvalid as error:
        path.replace(path.with_suffix(".json.invalid"))
        _audit(home, "sample", "failed", cycle_id=state.open_cycle, reason=error.message)
        return None


def settle_cycle(state: State, document: cycles.Document, now: int) -> None:
    """Take what a cycle did into the state; what a given-up cycle left undone counts as failed."""
    for row in document["usage"]["sessions"]:
        outcomes = cycles.outcomes(document, row)
        key = (row["agent"], row["session_key"])
        session = state.sessions.get(key)
        for station, outcome in outcomes.items():
            state.count(station if outcome == "done" else f"{station}_{outcome}")
        if session is not None and row["session_id"] == session.session_id:
            state.sessions[key] = settle(session, outcomes, now)
        _settle_owed(state, row, outcomes, now)
    state.open_cycle = ""


def _settle_owed(state: State, row: Row, outcomes: dict[str, str], now: int) -> None:
    """A transcript that could not be archived or indexed is owed that, whatever its session does meanwhile."""
    session = row["agent"], row["session_id"]
    owed = state.owed.pop(session, Owed(row["agent"], row["session_key"], row["session_id"], ()))
    stations = in_order((*owed.stations, *({"archive", "index"} & outcomes.keys())))
    about = {station: outcome for station, outcome in outcomes.items() if station in stations}
    left = settle_owed(owed._replace(stations=stations), about, now)
    if left is not None:
        state.owed[session] = left
