"""The threshold machine under any walk of usage and time: order, no storm, nothing destructive on doubtful numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.properties import examples
from tests.support.settings import settings as configure

from moon.cycle.cycle_document import STATIONS
from moon.cycle.session_states import (
    ARCHIVE_TRIGGERED,
    COOLDOWN,
    DISTILL_TRIGGERED,
    NORMAL,
    PRUNE_TRIGGERED,
    SessionState,
)
from moon.openclaw.transcript_store import SessionEntry
from moon.openclaw.usage import Reading, read_one
from moon.sampling.thresholds import (
    LEVEL_NAMES,
    RETRY_LAST_MS,
    TRIGGERED,
    Decision,
    decide,
    finish_rollover,
    outlives,
    retry_pause,
    settle,
    threshold_of,
)

CONFIG = configure()
HYSTERESIS = 0.05
COOLDOWN_MS = 300_000
BUDGET = 100_000
WINDOW = 120_000
START = 1_795_330_000_000
DESTRUCTIVE = {"prune", "rollover"}
KEY = "agent:main:main"


class Sized:
    """Stands for a store whose transcript has this size."""

    notice = None

    def __init__(self, size: int = 0) -> None:
        self._size = size

    def size(self, _transcript: object) -> int:
        return self._size


def reading(
    ratio: float | None,
    now: int = START,
    *,
    fresh: bool = True,
    age: int = 600,
    idle: int = 600,
    running: bool = False,
    session_id: str = "s1",
    used: int | None = None,
    config=CONFIG,
) -> Reading:
    """A reading judged by the code itself, of a session that is so full and so old."""
    tokens = used if used is not None else None if ratio is None else round(ratio * BUDGET)
    entry = SessionEntry(
        "main",
        KEY,
        session_id,
        used_tokens=tokens,
        window_tokens=WINDOW,
        budget_tokens=BUDGET,
        fresh=fresh,
        updated_at=now - age * 1000,
        interacted_at=now - idle * 1000,
        running=running,
    )
    return read_one(config, Sized(), entry, now)


def walk(*readings: tuple[float | None, int], config=CONFIG) -> list[Decision]:
    """Decisions for (ratio, seconds since the start), with every cycle done in between."""
    state = None
    made = []
    for ratio, seconds in readings:
        now = START + seconds * 1000
        decision = decide(state, reading(ratio, now, config=config), config, now)
        made.append(decision)
        state = settle(decision.state, dict.fromkeys(decision.to_do, "done"), now)
    return made


# The table of the design, row by row.


@pytest.mark.parametrize(
    ("ratio", "due", "state"),
    [
        (0.0, (), NORMAL),
        (0.7999, (), NORMAL),
        (0.80, ("archive", "index"), ARCHIVE_TRIGGERED),
        (0.8499, ("archive", "index"), ARCHIVE_TRIGGERED),
        (0.85, ("archive", "index", "prune"), PRUNE_TRIGGERED),
        (0.8999, ("archive", "index", "prune"), PRUNE_TRIGGERED),
        (0.90, ("archive", "index", "distill", "rollover"), DISTILL_TRIGGERED),
        (1.1, ("archive", "index", "distill", "rollover"), DISTILL_TRIGGERED),
    ],
)
def test_table_of_thresholds(ratio, due, state):
    decision = decide(None, reading(ratio), CONFIG, START)
    assert (decision.due, decision.to_do, decision.state.state) == (due, due, state)


def test_prune_takes_the_place_of_a_rollover_that_is_off():
    config = configure(rollover={"mode": "off"})
    assert decide(None, reading(0.95), config, START).to_do == ("archive", "index", "prune", "distill")


def test_prune_that_is_off_is_never_due():
    config = configure(prune={"mode": "off"})
    assert decide(None, reading(0.87), config, START).to_do == ("archive", "index")
    both = configure(prune={"mode": "off"}, rollover={"mode": "off"})
    assert decide(None, reading(0.95), both, START).to_do == ("archive", "index", "distill")


def test_another_session_id_is_a_new_window():
    before = decide(None, reading(0.95), CONFIG, START).state
    after = decide(before, reading(0.1, session_id="s2"), CONFIG, START + 30_000)
    assert (after.state.session_id, after.state.state, after.due) == ("s2", NORMAL, ())
    assert after.state.last_trigger == before.last_trigger


@pytest.mark.parametrize(
    ("state", "pending", "left"),
    [
        ({"pending": ("archive", "index", "distill", "rollover")}, "idle", ("distill",)),
        ({"pending": ("archive", "index", "prune")}, "idle", ()),
        ({"undistilled": True}, "idle", ("distill",)),
        ({"undistilled": True}, "daily", ("distill",)),
        ({"undistilled": True}, "off", ()),
        ({"pending": ("distill",)}, "off", ("distill",)),
        ({}, "idle", ()),
    ],
)
def test_what_can_still_be_done_for_a_session_that_is_gone(state, pending, left):
    assert outlives(SessionState("main", KEY, "s1", **state), configure(distill={"pending": pending})) == left


@pytest.mark.parametrize(("high", "edge"), [(0.81, 0.75), (0.86, 0.80), (0.95, 0.85)])
def test_usage_has_fallen_only_below_the_edge_of_hysteresis(high, edge):
    """At the edge itself the state stays; a hundredth of a percent below it is left."""
    triggered = walk((high, 0))[-1].state
    at, below = (decide(triggered, reading(ratio), CONFIG, START).state for ratio in (edge, edge - 0.0001))
    assert at.state == triggered.state and below.state == COOLDOWN


def test_a_new_window_triggers_anew_though_the_old_one_did():
    before = walk((0.95, 0))[-1].state
    now = START + 30_000
    assert decide(before, reading(0.95, now, session_id="s2"), CONFIG, now).to_do == STATIONS_AT_DISTILL


STATIONS_AT_DISTILL = ("archive", "index", "distill", "rollover")


def test_pruned_but_never_distilled_is_distilled_when_idle():
    state = walk((0.86, 0))[-1]
    settled = settle(state.state, dict.fromkeys(state.to_do, "done"), START)
    assert settled.undistilled
    busy = reading(0.5, START + 1000, idle=100)
    assert decide(settled, busy, CONFIG, START + 1000).due == ()
    idle = reading(0.5, START + 1000, idle=900)
    decision = decide(settled, idle, CONFIG, START + 1000)
    assert decision.to_do == ("distill",)
    assert not settle(decision.state, {"distill": "done"}, START).undistilled
    off = configure(distill={"pending": "off"})
    assert decide(settled, idle, off, START + 1000).due == ()


def test_daily_distillation_of_what_was_pruned_comes_once_a_day():
    config = configure(distill={"pending": "daily"})
    state = SessionState("main", KEY, "s1", undistilled=True)
    due = []
    for hour in range(50):
        now = START + hour * 3_600_000
        decision = decide(state, reading(0.1, now), config, now)
        due += [hour] * bool(decision.due)
        # It fails every time, so that it stays wanted.
        state = settle(decision.state, dict.fromkeys(decision.to_do, "deferred"), now)
    assert due == [0, 24, 48]


# Order and jumps.


def test_jump_from_70_to_95_goes_in_order_in_one_cycle():
    low, high = walk((0.70, 0), (0.95, 30))
    assert low.due == ()
    assert high.to_do == ("archive", "index", "distill", "rollover")


def test_each_threshold_crossed_one_after_the_other_triggers_each_once():
    made = walk((0.79, 0), (0.81, 30), (0.82, 60), (0.86, 90), (0.87, 120), (0.91, 150), (0.95, 180))
    assert [each.to_do for each in made] == [
        (),
        ("archive", "index"),
        (),
        ("archive", "index", "prune"),
        (),
        ("archive", "index", "distill", "rollover"),
        (),
    ]


def test_flicker_around_a_threshold_triggers_once():
    made = walk(*((0.799 if number % 2 else 0.801, number * 30) for number in range(200)))
    assert sum(bool(each.due) for each in made) == 1


def test_flicker_wider_than_hysteresis_triggers_once_a_cooldown():
    made = walk(*((0.74 if number % 2 else 0.81, number * 10) for number in range(121)))
    triggered = [number * 10 for number, each in enumerate(made) if each.due]
    assert len(triggered) == 4
    assert all(later - sooner >= 300 for sooner, later in zip(triggered, triggered[1:], strict=False))


# Doubtful numbers and people at work.


@pytest.mark.parametrize(
    ("doubtful", "why"),
    [
        ({"ratio": 0.95, "fresh": False}, "not fresh"),
        ({"ratio": 0.95, "age": 21_601}, "max_age_seconds"),
        ({"ratio": None, "used": WINDOW * 955 // 100}, "cannot be"),
        ({"ratio": None}, "no usage"),
        ({"ratio": None, "used": 0, "fresh": False}, "not fresh"),
    ],
)
@pytest.mark.parametrize("before", [None, "pending"])
def test_doubtful_numbers_make_nothing_destructive_executable(doubtful, why, before):
    state = decide(None, reading(0.95), CONFIG, START).state if before else None
    decision = decide(state, reading(**doubtful), CONFIG, START)
    assert not DESTRUCTIVE & set(decision.to_do)
    assert why in reading(**doubtful).doubt
    if before:
        assert why in decision.reason
        assert DESTRUCTIVE & set(decision.due), "what a sound reading made due waits, and is not forgotten"


def test_why_a_full_session_is_left_alone_is_remembered_until_the_numbers_are_sound_again():
    held = decide(None, reading(0.93, age=21_601), CONFIG, START).state
    assert "max_age_seconds" in held.held and held.level == 1
    assert decide(held, reading(0.93), CONFIG, START).state.held == ""
    assert decide(held, reading(0.5, age=21_601), CONFIG, START).state.held == ""


def test_an_estimate_may_archive_and_nothing_more():
    entry = SessionEntry("main", KEY, "s1", updated_at=START - 600_000, interacted_at=START - 600_000)
    made = read_one(CONFIG, Sized(5_000_000), entry, START)
    assert made.provider == "estimate" and made.ratio is not None and made.ratio > 0.9
    assert decide(None, made, CONFIG, START).due == ("archive", "index")


def test_usage_that_is_not_known_makes_nothing_due():
    decision = decide(None, reading(None), CONFIG, START)
    assert (decision.due, decision.state.state, decision.reason) == ((), NORMAL, "no usage is known")


def test_numbers_that_are_no_numbers_are_no_usage():
    for used in (float("nan"), float("inf"), -5, "many", True, None):
        from moon.openclaw.transcript_store import read_entry

        entry = read_entry("main", KEY, "s1", {"totalTokens": used, "totalTokensFresh": True, "contextTokens": WINDOW})
        decision = decide(None, read_one(CONFIG, Sized(), entry, START), CONFIG, START)
        assert decision.to_do == () or decision.to_do == ("archive", "index")


@pytest.mark.parametrize("busy", [{"running": True}, {"idle": 119}, {"idle": 0}, {"idle": -50}])
def test_a_session_in_use_defers_and_is_tried_again_at_the_next_tick(busy):
    decision = decide(None, reading(0.95, **busy), CONFIG, START)
    assert decision.to_do == ("archive", "index", "distill")
    assert decision.deferred == ("rollover",)
    state = settle(decision.state, dict.fromkeys(decision.to_do, "done"), START)
    assert state.pending == ("rollover",)
    again = decide(state, reading(0.95, START + 30_000), CONFIG, START + 30_000)
    assert again.to_do == ("archive", "index", "rollover"), "the archive is brought up to date before it"


def test_nothing_but_waiting_while_only_something_destructive_is_left_in_a_busy_session():
    decision = decide(None, reading(0.86, running=True), CONFIG, START)
    state = settle(decision.state, dict.fromkeys(decision.to_do, "done"), START)
    later = decide(state, reading(0.86, START + 30_000, running=True), CONFIG, START + 30_000)
    assert later.due == ("archive", "index", "prune")
    assert later.to_do == ()


def test_a_rollover_cut_short_is_due_whatever_the_usage_is_and_waits_only_for_people():
    calm = decide(None, reading(0.01), CONFIG, START)
    finished = finish_rollover(calm, reading(0.01), START)
    assert finished.to_do == ("rollover",) and finished.resume
    busy = finish_rollover(calm, reading(0.01, idle=5), START)
    assert busy.to_do == () and busy.due == ("rollover",)
    waiting = calm._replace(state=calm.state._replace(retry_at=START + 60_000))
    assert finish_rollover(waiting, reading(0.01), START).due == ()


# Retries.


def test_failures_back_off_up_to_an_hour_and_recover():
    decision = decide(None, reading(0.86), CONFIG, START)
    state, now, pauses = decision.state, START, []
    for _ in range(14):
        state = settle(state, {"archive": "done", "index": "done", "prune": "failed"}, now)
        pauses.append(state.retry_at - now)
        if state.retry_at > now:
            waiting = decide(state, reading(0.86, now), CONFIG, now)
            assert waiting.due == () and "waits" in waiting.reason
        now = state.retry_at
        again = decide(state, reading(0.86, now), CONFIG, now)
        assert again.to_do == ("archive", "index", "prune")
        state = again.state
    assert pauses[:4] == [0, 0, 60_000, 120_000]
    assert pauses == sorted(pauses) and pauses[-1] == RETRY_LAST_MS
    done = settle(state, dict.fromkeys(again.to_do, "done"), now)
    assert (done.attempts, done.retry_at, done.pending) == (0, 0, ())


@given(st.integers(0, 10_000))
def test_pauses_grow_and_are_bounded(attempts):
    assert 0 <= retry_pause(attempts) <= retry_pause(attempts + 1) <= RETRY_LAST_MS


def test_a_higher_threshold_does_not_wait_for_the_retry_of_a_lower_one():
    state = decide(None, reading(0.86), CONFIG, START).state
    for _ in range(6):
        state = settle(state, {"archive": "failed"}, START)
    assert decide(state, reading(0.86), CONFIG, START).due == ()
    assert decide(state, reading(0.95), CONFIG, START).to_do == STATIONS_AT_DISTILL


@pytest.mark.parametrize("outcome", ["refused", "failed", "unreachable"])
def test_what_was_not_done_stays_pending(outcome):
    state = decide(None, reading(0.86), CONFIG, START).state
    after = settle(state, {"archive": "done", "index": "done", "prune": outcome}, START)
    assert after.pending == ("prune",) and after.attempts == 1


# A clock that is set back.


def test_a_clock_set_back_ends_a_cooldown():
    state = walk((0.81, 0), (0.5, 60))[-1].state
    assert state.state == COOLDOWN
    assert decide(state, reading(0.5, START - 86_400_000), CONFIG, START - 86_400_000).state.state == NORMAL


def test_a_clock_set_back_does_not_stop_retries_for_longer_than_the_longest_pause():
    state = decide(None, reading(0.86), CONFIG, START).state
    for _ in range(4):
        state = settle(state, {"archive": "failed"}, START)
    back = START - 30 * 86_400_000
    assert decide(state, reading(0.86, back), CONFIG, back).to_do == ("archive", "index", "prune")
    calm = Decision(state)
    assert finish_rollover(calm, reading(0.1, back), back).due == ("rollover",)


# Any walk at all.


@dataclass(frozen=True)
class Step:
    ratio: float | None
    seconds: int
    fresh: bool
    age: int
    idle: int
    running: bool
    used: int | None
    session: str
    fail: frozenset[str]
    settled: bool


RATIOS = st.one_of(
    st.none(),
    st.floats(0, 1.2),
    st.sampled_from([0.0, 0.74, 0.75, 0.7501, 0.79, 0.80, 0.801, 0.84, 0.85, 0.86, 0.8999, 0.90, 0.95, 1.0]),
)


def steps(seconds: st.SearchStrategy[int], sessions: tuple[str, ...] = ("s1",), sound: bool = False):
    """Any step; `sound` leaves out what makes numbers doubtful or sessions busy."""
    quiet = st.just(False)
    return st.builds(
        Step,
        ratio=RATIOS,
        seconds=seconds,
        fresh=st.just(True) if sound else st.booleans(),
        age=st.just(0) if sound else st.sampled_from([0, 600, 21_600, 21_601, 10**6]),
        idle=st.just(600) if sound else st.sampled_from([0, 119, 120, 900, 10**6]),
        running=quiet if sound else st.booleans(),
        used=st.none() if sound else st.sampled_from([None, None, 0, WINDOW, WINDOW + 1, WINDOW * 10]),
        session=st.sampled_from(sessions),
        fail=st.frozensets(st.sampled_from(STATIONS)),
        settled=st.booleans(),
    )


FULL = Step(0.95, 0, True, 0, 600, False, None, "s1", frozenset(), True)


def follow(walked: list[Step]) -> list[tuple[Step, Reading, Decision, int, SessionState | None]]:
    """Every step with its reading, its decision, its time and the state before it."""
    state: SessionState | None = None
    now = START
    seen = []
    for step in walked:
        now += step.seconds * 1000
        made = reading(
            step.ratio,
            now,
            fresh=step.fresh,
            age=step.age,
            idle=step.idle,
            running=step.running,
            used=step.used,
            session_id=step.session,
        )
        decision = decide(state, made, CONFIG, now)
        seen.append((step, made, decision, now, state))
        state = decision.state
        if step.settled:
            outcomes = {station: "failed" if station in step.fail else "done" for station in decision.to_do}
            state = settle(state, outcomes, now)
    return seen


def triggers(seen, level: int) -> list[int]:
    """The steps at which that threshold triggered."""
    found = []
    for position, (_, _, decision, now, before) in enumerate(seen):
        was = before.state if before else NORMAL
        if decision.state.state == TRIGGERED[level] != was:
            assert decision.state.last_trigger[LEVEL_NAMES[level]] == now
            found.append(position)
    return found


FORWARD = st.integers(0, 400)
ANY_TIME = st.integers(-100_000, 100_000)


@examples(250)
@given(st.lists(steps(FORWARD), max_size=40))
def test_no_trigger_storm(walked):
    seen = follow(walked)
    for level, name in LEVEL_NAMES.items():
        at = triggers(seen, level)
        for sooner, later in zip(at, at[1:], strict=False):
            assert seen[later][3] - seen[sooner][3] >= COOLDOWN_MS, f"{name} triggered twice in one cooldown"
            between = seen[sooner + 1 : later]
            fell = [
                now
                for _, made, _, now, before in between
                if made.ratio is not None and made.ratio < threshold_of(before.level, CONFIG) - HYSTERESIS
            ]
            assert fell and seen[later][3] - fell[0] >= COOLDOWN_MS, f"{name} triggered again without a clear fall"


@examples(250)
@given(st.lists(steps(ANY_TIME, ("s1", "s2", "s3")), max_size=40))
@example([replace(FULL, fail=frozenset({"archive"})), replace(FULL, session="s2", seconds=-1)])
def test_any_walk_keeps_order_and_safety(walked):
    for step, made, decision, now, before in follow(walked):
        order = [STATIONS.index(station) for station in decision.due]
        assert order == sorted(set(order)), "each station once, in pipeline order"
        assert set(decision.deferred) <= set(decision.due)
        if DESTRUCTIVE & set(decision.to_do):
            assert made.trusted and made.fresh and not made.active
            assert made.provider == "store" and made.age_seconds <= 21_600
            assert step.used is None or step.used <= WINDOW
            assert {"archive", "index"} <= set(decision.to_do), "archive and index come first in the same cycle"
            # A pause after a failure holds until something triggers anew: another window, or a cooldown that a clock
            # set back has ended.
            anew = before is None or (before.session_id, before.state) != (step.session, decision.state.state)
            assert anew or not 0 < before.retry_at - now <= RETRY_LAST_MS
        assert decision.state.session_id == step.session
        assert (decision.state.level == 0) == (decision.state.state == NORMAL)


@examples(150)
@given(st.lists(steps(FORWARD), max_size=25))
@example([])
def test_from_wherever_a_walk_ended_every_state_is_left_again(walked):
    seen = follow(walked)
    state = seen[-1][2].state if seen else None
    now = (seen[-1][3] if seen else START) + RETRY_LAST_MS
    state = decide(state, reading(0.10, now), CONFIG, now).state
    assert state.state in (NORMAL, COOLDOWN)
    now += COOLDOWN_MS
    calm = decide(state, reading(0.10, now), CONFIG, now)
    assert (calm.state.state, calm.state.level, calm.state.pending) == (NORMAL, 0, ())
    for ratio, reached in ((0.81, ARCHIVE_TRIGGERED), (0.86, PRUNE_TRIGGERED), (0.95, DISTILL_TRIGGERED)):
        calm = decide(calm.state, reading(ratio, now), CONFIG, now)
        assert calm.state.state == reached
        assert calm.to_do, "a fresh trigger does not wait for the retry of something older"
    fallen = decide(calm.state, reading(0.5, now), CONFIG, now)
    assert fallen.state.state == COOLDOWN


@examples(150)
@given(st.lists(steps(FORWARD, sound=True), min_size=1, max_size=25))
def test_what_is_due_gets_done_in_the_end(walked):
    """However cycles failed, with sound numbers and nobody at work the pending work is done once it succeeds."""
    seen = follow(walked)
    state = seen[-1][2].state
    now = seen[-1][3] + RETRY_LAST_MS
    ratio = 0.95
    decision = decide(state, reading(ratio, now), CONFIG, now)
    already_done = state.level == 3 and "rollover" not in state.pending
    assert already_done or "rollover" in decision.to_do
    state = settle(decision.state, dict.fromkeys(decision.to_do, "done"), now)
    assert state.pending == () and state.retry_at <= now


def test_a_cycle_about_other_sessions_changes_nothing():
    state = decide(None, reading(0.86), CONFIG, START).state
    for _ in range(5):
        state = settle(state, {"archive": "failed"}, START)
    assert state.retry_at > START
    assert settle(state, {}, START) == state, "the pause before the next attempt is not forgotten"
