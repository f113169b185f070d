"""Between the threshold machine and the world: rows, deferrals, and what a finished cycle teaches."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.settings import settings
from tests.support.stores import NOW_MS, JsonlStoreBuilder

from moon.cycle import cycle_document as cycles
from moon.cycle.session_states import SessionState, State
from moon.paths import Home
from moon.sampling import sampler

KEY = "agent:main:main"


@pytest.fixture
def machine(tmp_path):
    """A home, a configuration, and a store with one session of a new id."""
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


def test_a_replaced_transcript_that_was_archived_is_forgotten(machine):
    home, config = machine
    state = remembered(replaced=("s0", "s1"))
    sampler.settle_cycle(state, cycle_of(home, config, state, NOW_MS, archive="done", index="done"), NOW_MS)
    assert state.sessions["main", KEY].replaced == ()


def test_a_replaced_transcript_that_cannot_be_archived_is_tried_again_with_growing_pauses(machine):
    home, config = machine
    state, now, attempts = remembered(replaced=("s1",)), NOW_MS, 0
    for _ in range(200):
        if not sampler.look(home, config, state, now).has_work:
            now += 30_000
            continue
        attempts += 1
        sampler.settle_cycle(state, cycle_of(home, config, state, now, archive="failed"), now)
        now += 30_000
    assert state.sessions["main", KEY].replaced == ("s1",)
    assert 5 <= attempts <= 12, "an hour and a half of ticks are no storm of attempts"


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
    sampler.remember(home, state, sampler.look(home, store_only, state, NOW_MS), NOW_MS)
    assert ("main", "agent:main:gone") in state.sessions
    broken.unlink()
    sampler.remember(home, state, sampler.look(home, store_only, state, NOW_MS), NOW_MS)
    assert ("main", "agent:main:gone") not in state.sessions


def test_a_deferral_is_audited_once_when_it_begins(machine):
    import json

    home, config = machine
    state = remembered(pending=("prune",), level=2, state="PruneTriggered", ratio=0.86)
    JsonlStoreBuilder(config_dir(config)).put(KEY, "s2", events.conversation("s2", 1), used=42_000, status="running")
    for tick in range(4):
        now = NOW_MS + tick * 30_000
        sampler.remember(home, state, sampler.look(home, config, state, now), now)
    lines = [json.loads(line) for line in home.audit_log.read_bytes().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [("sample", "deferred")]
    assert "in use" in lines[0]["reason"]


def config_dir(config):
    from moon.openclaw.locate import state_dir

    return state_dir(config)
