"""The state file: what is remembered, what a damaged one costs, and that nobody trusts it blindly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.properties import examples
from tests.support.stores import NOW_MS, JsonlStoreBuilder

from moon import audit, schema
from moon.cycle import session_states as states
from moon.cycle.session_states import COOLDOWN, NORMAL, Owed, SessionState, State
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError
from moon.paths import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "moon")


def state_of(*sessions: SessionState, heartbeat: int = NOW_MS) -> State:
    """A state with these sessions."""
    made = State()
    made.sessions = {(each.agent, each.session_key): each for each in sessions}
    made.heartbeat = heartbeat
    return made


def is_empty(state: State) -> bool:
    """Does it remember nothing?"""
    return vars(state) == vars(State())


TIMES = st.integers(1, 4_000_000_000_000)
NAMES = st.text(min_size=1, max_size=12)
SESSIONS = st.builds(
    SessionState,
    agent=NAMES,
    session_key=st.text(max_size=20),
    session_id=NAMES,
    state=st.sampled_from([NORMAL, "ArchiveTriggered", "PruneTriggered", "DistillTriggered", COOLDOWN]),
    level=st.integers(0, 3),
    since=st.just(0) | TIMES,
    pending=st.lists(st.sampled_from(["archive", "index", "prune", "distill", "rollover"]), unique=True).map(tuple),
    attempts=st.integers(0, 100),
    retry_at=st.just(0) | TIMES,
    undistilled=st.booleans(),
    last_trigger=st.dictionaries(st.sampled_from(["archive", "prune", "distill", "pending"]), TIMES, max_size=4),
    ratio=st.none() | st.floats(0, 20),
    deferred=st.text(max_size=9),
)

OWED = st.builds(
    Owed,
    agent=NAMES,
    session_key=st.text(max_size=20),
    session_id=NAMES,
    stations=st.lists(st.sampled_from(["archive", "index", "distill"]), min_size=1, unique=True).map(tuple),
    attempts=st.integers(0, 100),
    retry_at=st.just(0) | TIMES,
)


@examples(40)
@given(
    st.lists(SESSIONS, max_size=4, unique_by=lambda each: (each.agent, each.session_key)),
    st.lists(OWED, max_size=3),
    st.lists(st.text(max_size=8), max_size=2),
    st.dictionaries(st.text(max_size=8), st.integers(0, 9), max_size=3),
    TIMES,
)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, sessions, owed, notices, counters, heartbeat):
    home = Home(tmp_path_factory.mktemp("state"))
    state = state_of(*sessions, heartbeat=heartbeat)
    state.owed = {(each.agent, each.session_id): each for each in owed}
    state.notices = notices
    state.open_cycle, state.counters = "cycle-1", counters
    for _ in range(2):
        states.save(home, state)
        loaded, problem = states.load(home)
        assert problem is None
        assert vars(loaded) == vars(states.peek(home)) == vars(state)


def saved(home: Home) -> dict[str, object]:
    session = SessionState("main", "agent:main:main", "s1", since=NOW_MS, last_trigger={"archive": NOW_MS})
    states.save(home, state_of(session))
    loaded: dict[str, object] = json.loads(home.state_file.read_bytes())
    return loaded


def test_no_file_is_an_empty_state(home):
    loaded, problem = states.load(home)
    assert is_empty(loaded) and problem is None and is_empty(states.peek(home))
    assert not home.root.exists()


def broken_documents():
    return {
        "not json": b"{",
        "no object": b"[]",
        "null": b"null",
        "empty": b"",
        "binary": b"\x00\xff" * 50,
        "half": b'{"schema": "moon.state/2", "heartbeat": "2026-11-22T06:0',
        "deep": b"[" * 100_000,
    }


@pytest.mark.parametrize("name", list(broken_documents()))
def test_a_corrupt_file_is_set_aside_and_rebuilt(home, name):
    content = broken_documents()[name]
    saved(home)
    home.state_file.write_bytes(content)
    assert is_empty(states.peek(home)), "a reader changes nothing"
    assert home.state_file.read_bytes() == content
    state, problem = states.load(home)
    assert is_empty(state) and isinstance(problem, DocumentInvalid)
    aside = list(home.state.glob("moon_state.json.corrupt-*"))
    assert [each.read_bytes() for each in aside] == [content]
    assert aside[0].name in problem.hint
    states.save(home, state)
    assert states.load(home)[1] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("heartbeat"),
        lambda document: document.update(heartbeat=5),
        lambda document: document.update(heartbeat=None),
        lambda document: document.pop("sessions"),
        lambda document: document["sessions"][0].pop("state"),
        lambda document: document["sessions"][0].update(state="Elsewhere"),
        lambda document: document["sessions"][0].update(level=9),
        lambda document: document["sessions"][0].update(pending=["sleep"]),
        lambda document: document["sessions"][0].update(retry_at=5),
        lambda document: document.update(counters={"a": -1}),
        lambda document: document.update(asked_command=[]),
        lambda document: document.update(owed=[{"agent": "main", "session_id": "s1"}]),
        lambda document: document.update(owed={}),
        lambda document: document.update(notices=[5]),
    ],
)
def test_a_document_that_does_not_fit_is_set_aside_with_its_failing_path(home, change):
    document = saved(home)
    assert states.load(home)[1] is None
    change(document)
    home.state_file.write_text(json.dumps(document))
    state, problem = states.load(home)
    assert problem is not None and str(home.state_file) in problem.message + problem.path
    assert list(home.state.glob("*.corrupt-*"))
    assert isinstance(state, State)


def test_a_newer_one_is_refused_by_name_and_left_alone(home):
    document = {**saved(home), "schema": "moon.state/3"}
    home.state_file.write_text(json.dumps(document))
    with pytest.raises(DocumentTooNew, match="moon.state/3"):
        states.load(home)
    assert json.loads(home.state_file.read_bytes()) == document


def test_fields_of_a_later_minor_version_do_no_harm(home):
    document = saved(home)
    document["more"] = {"a": 1}
    document["sessions"][0]["more"] = [1]
    home.state_file.write_text(json.dumps(document))
    state, problem = states.load(home)
    assert problem is None and len(state.sessions) == 1


def test_a_file_of_the_version_before_is_taken_as_it_is(home):
    document = saved(home)
    document["sessions"][0].update(archived_mark="4:5:6", replaced=["s0"])
    del document["owed"], document["notices"]
    home.state_file.write_text(json.dumps(document))
    state, problem = states.load(home)
    assert problem is None and len(state.sessions) == 1 and state.owed == {}
    states.save(home, state)
    assert "replaced" not in json.loads(home.state_file.read_bytes())["sessions"][0]


def test_rebuilt_from_ledger_and_audit_log(tmp_path, monkeypatch):
    # Each line in a part of its own.
    monkeypatch.setattr(audit, "PART_BYTES", 1)
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    for number in (1, 2):
        store.write(f"s{number}", events.conversation(f"s{number}", 1))
        archiver.archive(f"s{number}", key=f"agent:main:k{number}")
    home = archiver.home
    for action, outcome, key in (
        ("archive", "done", "agent:main:k1"),
        ("rollover", "done", "agent:main:k1"),
        ("prune", "refused", "agent:main:k2"),
        ("prune", "done", "agent:main:unknown"),
    ):
        audit.record(home, action, outcome, agent="main", session_key=key, session_id="x")
    with home.audit_log.open("ab") as log:
        log.write(b'{"torn\nnot json\n[]\n{"action":"archive"}\n\xff\n')
    home.state.mkdir()
    home.state_file.write_bytes(b"garbage")
    state, problem = states.load(home)
    assert problem is not None
    assert set(state.sessions) == {("main", "agent:main:k1"), ("main", "agent:main:k2")}
    first = state.sessions["main", "agent:main:k1"]
    assert (first.state, first.session_id) == (COOLDOWN, "s1") and set(first.last_trigger) == {"archive", "distill"}
    assert state.sessions["main", "agent:main:k2"].state == NORMAL
    assert state.counters == {"archive": 1, "rollover": 1, "prune": 1}
    states.save(home, state)


def test_an_invalid_state_is_never_written(home):
    before = saved(home)
    with pytest.raises(DocumentInvalid):
        states.save(home, state_of(SessionState("main", "k", "", level=7)))
    assert json.loads(home.state_file.read_bytes()) == before


def test_a_heartbeat_alone_is_written_too(home):
    states.save(home, state_of(heartbeat=NOW_MS))
    states.save(home, state_of(heartbeat=NOW_MS + 30_000))
    assert states.load(home)[0].heartbeat == NOW_MS + 30_000
    assert [path.name for path in home.state.glob(".*")] == []
    assert home.state_file.stat().st_mode & 0o777 == 0o600


def test_a_state_folder_that_is_a_file(home):
    home.root.mkdir()
    home.state.write_text("in the way")
    with pytest.raises(MoonError):
        states.save(home, state_of(heartbeat=NOW_MS))
    with pytest.raises(MoonError) as caught:
        states.load(home)
    assert caught.value.hint


def test_the_document_fits_its_schema():
    assert schema.problems("state", states.as_document(state_of(heartbeat=NOW_MS))) == []
