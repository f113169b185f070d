"""Between the threshold machine and the world: rows, deferrals, and what a finished cycle teaches."""

from __future__ import annotations

import json

import pytest
from tests.support import events
from tests.support.settings import settings
from tests.support.stores import NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder

from moon.cycle import cycle_document as cycles
from moon.cycle.session_states import Owed, SessionState, State
from moon.openclaw.transcript_store import Transcript
from moon.paths import Home
from moon.sampling import sampler
from moon.sampling.transcripts_due import Work, with_work, work_for

KEY = "agent:main:main"


@pytest.fixture
def machine(tmp_path):
    """A home, a configuration, and a store with one session."""
    store = JsonlStoreBuilder(tmp_path / "openclaw")
    store.put(KEY, "s2", events.conversation("s2", 1), used=1_000)
    return Home(tmp_path / "moon"), settings(openclaw={"state_dir": str(tmp_path / "openclaw")})


def remembered(**more) -> State:
    state = State()
    state.sessions = {("main", KEY): SessionState("main", KEY, "s2", **more)}
    state.heartbeat = NOW_MS
    return state


def cycle_of(home, config, state, now, **outcomes):
    """A cycle over what a look finds, with this outcome of each station for each row that is due there."""
    sample = sampler.look(home, config, state, now)
    document = cycles.new_cycle({"schema": "moon.usage/1", "sessions": sample.rows}, "timer")
    for station in cycles.STATIONS:
        entries = [
            {**{name: row[name] for name in ("agent", "session_key", "session_id")}, "outcome": outcomes[station]}
            for row in cycles.sessions_due(document, station)
            if station in outcomes
        ]
        cycles.set_record(document, {"station": station, "finished_at": "now", "sessions": entries})
    return document


def left_behind(config) -> JsonlStoreBuilder:
    """What an earlier session id left in the store."""
    store = JsonlStoreBuilder(config_dir(config))
    store.write("s1", events.conversation("s1", 1))
    return store


def rows_of(home, config, state, now=NOW_MS):
    return {row["session_id"]: row["due"] for row in sampler.look(home, config, state, now).rows if row["due"]}


def test_a_transcript_that_cannot_be_archived_is_tried_again_with_growing_pauses(machine):
    home, config = machine
    left_behind(config)
    state, now, attempts = remembered(), NOW_MS, 0
    for _ in range(200):
        if not rows_of(home, config, state, now).get("s1"):
            now += 30_000
            continue
        attempts += 1
        sampler.settle_cycle(state, cycle_of(home, config, state, now, archive="failed"), now)
        now += 30_000
    assert state.owed["main", "s1"].stations == ("archive", "index")
    assert 5 <= attempts <= 12, "an hour and a half of ticks are no storm of attempts"


def test_an_index_that_failed_is_owed_though_the_transcript_is_archived(machine):
    home, config = machine
    left_behind(config)
    state = remembered()
    sampler.settle_cycle(state, cycle_of(home, config, state, NOW_MS, archive="done", index="failed"), NOW_MS)
    assert {each.stations for each in state.owed.values()} == {("index",)}
    (config_dir(config) / "agents/main/sessions/s1.jsonl").unlink()
    assert rows_of(home, config, state)["s1"] == ["index"]
    sampler.settle_cycle(state, cycle_of(home, config, state, NOW_MS, archive="done", index="done"), NOW_MS)
    assert state.owed == {}


@pytest.mark.parametrize(("due", "said"), [(["archive", "prune"], "0.86 of the budget"), ([], "left undone before")])
def test_a_row_says_why_its_work_is_due(due, said):
    """What a threshold made due has its own reason; else it is that of the transcript."""
    row = {"agent": "main", "session_id": "s2", "due": due, "deferred": [], "reason": "0.86 of the budget"}
    (found,) = with_work([row], [Work([Transcript("main", KEY, "s2")], ("index",), "left undone before")])
    assert found["reason"] == said and "index" in found["due"]


def test_what_is_owed_to_a_transcript_does_not_wait_for_the_failure_of_something_else(machine):
    home, config = machine
    at_rest = {"at": NOW_MS - 901_000, "used": 42_000}
    JsonlStoreBuilder(config_dir(config)).put(KEY, "s2", events.conversation("s2", 1), **at_rest)
    state = remembered(pending=("prune",), level=2, state="PruneTriggered", ratio=0.86)
    ended = cycle_of(home, config, state, NOW_MS, archive="done", index="deferred", prune="failed")
    sampler.settle_cycle(state, ended, NOW_MS)
    owed = state.owed["main", "s2"]
    assert (owed.stations, owed.attempts, owed.retry_at) == (("index",), 0, 0)


@pytest.mark.parametrize(
    ("due", "left_behind", "places"),
    [(["archive"], "old", ["old", ""]), (["archive"], "", [""]), (["distill"], "old", ["old"]), ([], "old", ["old"])],
)
def test_what_a_threshold_made_due_is_about_the_live_transcript_too(due, left_behind, places):
    row = {"agent": "main", "session_id": "s2", "due": due, "deferred": ["index", "prune"], "reason": ""}
    (found,) = with_work([row], [Work([Transcript("main", KEY, "s2", left_behind)], ("archive", "index"), "new")])
    assert (found["places"], found["deferred"]) == (places, ["prune"])


def test_work_says_whether_it_is_new_or_was_left_undone():
    new = Transcript("main", KEY, "s1")
    owed = {("main", name): Owed("main", KEY, name, ("index",)) for name in ("s1", "s2")}
    assert [(each.transcripts[0].session_id, each.stations, each.reason) for each in work_for([new], owed, NOW_MS)] == [
        ("s1", ("archive", "index"), "it holds events that are not archived yet"),
        ("s2", ("index",), "left undone before"),
    ]


def test_work_for_a_transcript_joins_the_row_of_its_session(machine):
    """Numbers in doubt, or somebody at work, hold back what is destructive and not the archive."""
    home, config = machine
    state = remembered(pending=("prune",), level=2, state="PruneTriggered", ratio=0.86)
    JsonlStoreBuilder(config_dir(config)).put(
        KEY, "s2", events.conversation("s2", 1), at=NOW_MS - 901_000, used=42_000, status="running"
    )
    (row,) = sampler.look(home, config, state, NOW_MS).rows
    assert (row["due"], row["deferred"], row["places"]) == (["archive", "index", "prune"], ["prune"], [""])


def test_a_pending_distillation_does_not_keep_a_transcript_from_being_archived(machine):
    home, config = machine
    at_rest = {"at": NOW_MS - 901_000, "used": 45_000}
    JsonlStoreBuilder(config_dir(config)).put(KEY, "s2", events.conversation("s2", 1), **at_rest)
    state = remembered(pending=("distill",), level=3, state="DistillTriggered", ratio=0.93)
    assert rows_of(home, config, state)["s2"] == ["archive", "index", "distill"]


@pytest.mark.parametrize("how", ["gone", "another id"])
@pytest.mark.parametrize("more", [{"pending": ("archive", "index", "distill", "rollover")}, {"undistilled": True}])
def test_pending_work_of_a_session_that_is_gone_is_done_where_it_can_be(machine, how, more):
    home, config = machine
    state = remembered()
    if how == "gone":
        state.sessions["main", "agent:main:gone"] = SessionState("main", "agent:main:gone", "s9", **more)
    else:
        state.sessions["main", KEY] = SessionState("main", KEY, "s9", **more)
    sampler.remember(home, config, state, sampler.look(home, config, state, NOW_MS), NOW_MS)
    assert list(state.sessions) == [("main", KEY)]
    assert rows_of(home, config, state)["s9"] == ["distill"]
    sampler.settle_cycle(state, cycle_of(home, config, state, NOW_MS, distill="failed"), NOW_MS)
    assert state.owed["main", "s9"].attempts == 1
    sampler.settle_cycle(state, cycle_of(home, config, state, NOW_MS, distill="done"), NOW_MS)
    assert state.owed == {}


def test_nothing_is_owed_to_a_session_that_is_gone_and_had_nothing_left_to_do(machine):
    home, config = machine
    state = remembered()
    state.sessions["main", "agent:main:gone"] = SessionState("main", "agent:main:gone", "s9", pending=("prune",))
    sampler.remember(home, config, state, sampler.look(home, config, state, NOW_MS), NOW_MS)
    assert (list(state.sessions), state.owed) == ([("main", KEY)], {})


def test_a_notice_is_audited_once_and_counts_as_no_failure(machine, tmp_path):
    home, config = machine
    SqliteStoreBuilder(tmp_path / "openclaw", "future", version=24).put(
        "agent:future:main", "f1", events.conversation("f1", 1), at=NOW_MS - 901_000, used=47_000
    )
    state = remembered()
    for tick in range(3):
        sample = sampler.look(home, config, state, NOW_MS + tick)
        assert [problem.code for problem in sample.problems] == ["store_too_new"] and sample.failures == []
        assert rows_of(home, config, state)["f1"] == ["archive", "index"], "and nothing destructive"
        sampler.remember(home, config, state, sample, NOW_MS + tick)
    lines = [json.loads(line) for line in home.audit_log.read_bytes().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [("sample", "noticed")]
    assert state.asked_command == 0, "the store itself was read; nothing has to stand in for it"


def test_one_session_s_failures_are_not_forgotten_over_another_s_success(machine):
    home, config = machine
    state = remembered(attempts=6, retry_at=NOW_MS + 600_000)
    before = state.sessions["main", KEY]
    document = cycle_of(home, config, state, NOW_MS)
    document["usage"]["sessions"].append(
        {**document["usage"]["sessions"][0], "session_key": "agent:main:other", "due": ["archive"]}
    )
    sampler.settle_cycle(state, document, NOW_MS)
    assert state.sessions["main", KEY] == before


@pytest.mark.parametrize(
    ("entry", "attempts"),
    [({"outcome": "deferred"}, 0), ({"outcome": "deferred", "backoff": True}, 1), ({"outcome": "refused"}, 1), ({}, 1)],
)
def test_what_a_deferral_and_an_unreachable_gateway_cost(machine, entry, attempts):
    home, config = machine
    state = remembered(pending=("prune",), level=2, state="PruneTriggered", ratio=0.86)
    row = {"agent": "main", "session_key": KEY, "session_id": "s2", "due": ["prune"]}
    entries = [{**{name: row[name] for name in ("agent", "session_key", "session_id")}, **entry}] if entry else []
    stations = [{"station": "prune", "finished_at": "now", "sessions": entries}]
    sampler.settle_cycle(state, {"usage": {"sessions": [row]}, "stations": stations, "finished_at": "now"}, NOW_MS)
    settled = state.sessions["main", KEY]
    assert (settled.pending, settled.attempts) == (("prune",), attempts)


def test_a_session_that_is_gone_is_forgotten_only_when_every_store_could_be_read(machine, tmp_path):
    home, config = machine
    state = remembered()
    state.sessions["main", "agent:main:gone"] = SessionState("main", "agent:main:gone", "s9")
    (tmp_path / "openclaw" / "agents" / "broken" / "sessions").mkdir(parents=True)
    broken = tmp_path / "openclaw" / "agents" / "broken" / "sessions" / "sessions.json"
    broken.write_text("garbage")
    store_only = settings(openclaw={"state_dir": str(tmp_path / "openclaw")}, usage={"providers": ["store"]})
    sampler.remember(home, store_only, state, sampler.look(home, store_only, state, NOW_MS), NOW_MS)
    assert ("main", "agent:main:gone") in state.sessions
    broken.unlink()
    sampler.remember(home, store_only, state, sampler.look(home, store_only, state, NOW_MS), NOW_MS)
    assert ("main", "agent:main:gone") not in state.sessions


def test_a_deferral_is_audited_once_when_it_begins(machine):
    home, config = machine
    state = remembered(pending=("prune",), level=2, state="PruneTriggered", ratio=0.86)
    JsonlStoreBuilder(config_dir(config)).put(KEY, "s2", events.conversation("s2", 1), used=42_000, status="running")
    for tick in range(4):
        now = NOW_MS + tick * 30_000
        sampler.remember(home, config, state, sampler.look(home, config, state, now), now)
    lines = [json.loads(line) for line in home.audit_log.read_bytes().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [("sample", "deferred")]
    assert "in use" in lines[0]["reason"]


def config_dir(config):
    from moon.openclaw.locate import state_dir

    return state_dir(config)
