"""No event is lost however a session ends: what the ticks of the timer take in from either store, in every form."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
import zstandard
from tests.support import events
from tests.support.moon import Moon, archived_events
from tests.support.stores import BUILDERS, NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder

from moon.clock import format_ms
from moon.cycle import session_states as states

KEY = "agent:main:main"
JUST_NOW = NOW_MS - 1_000


@pytest.fixture(params=list(BUILDERS))
def generation(request):
    return request.param


@pytest.fixture
def moon(tmp_path):
    return Moon(tmp_path, {"MOON_DISTILL__PROVIDERS": "local"})


def at(seconds: int) -> dict[str, str]:
    """The environment of a tick so many seconds after the usual now."""
    return {"MOON_NOW": format_ms(NOW_MS + seconds * 1000)}


def tick(moon: Moon, seconds: int = 0) -> int:
    return moon.run("sample", env=at(seconds)).code


ENDS = {
    "deleted": lambda store: store.delete(KEY, "s1"),
    "reset": lambda store: store.delete(KEY, "s1", "reset"),
    "put away": lambda store: store.put_away(KEY),
    "another id": lambda store: store.put(KEY, "s2", [events.header("s2")], at=JUST_NOW),
    "forgotten": lambda store: store.remove_entry(KEY),
    "cold": lambda store: store.go_cold("s1"),
}


@pytest.mark.parametrize("end", list(ENDS))
@pytest.mark.parametrize("seen", ["never", "at work", "archived before"])
def test_no_event_is_lost_however_early_a_session_ends(moon, generation, end, seen):
    """One second after its last message, whether or not a tick ever saw it."""
    if (generation, end) == ("jsonl", "cold"):
        return  # only the newer generation has cold storage
    store = BUILDERS[generation](moon.state_dir)
    lines = [*events.conversation("s1", 2), events.message("big", "long " * 3_000)]
    if seen == "archived before":
        store.put(KEY, "s1", lines[:3], at=NOW_MS - 1_000_000)
        assert tick(moon, -60) == 0 and list(archived_events(moon.home)) == lines[:3]
    long_ago = NOW_MS - 40 * 86_400_000
    store.put(KEY, "s1", lines, at=long_ago if end == "cold" else JUST_NOW)
    if seen == "at work" and end != "cold":
        assert tick(moon, -30) == 0 and list(archived_events(moon.home)) == []
    ENDS[end](store)
    assert tick(moon) == 0
    assert Counter(archived_events(moon.home, "s1")) == Counter(lines)
    cycles = len(moon.cycles())
    assert tick(moon, 30) == 0
    assert len(moon.cycles()) == cycles, "archived once"


def test_two_changes_of_the_session_id_between_two_ticks_lose_nothing(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 2), at=JUST_NOW)
    assert tick(moon) == 0
    for session_id in ("s2", "s3"):
        store.put(KEY, session_id, events.conversation(session_id, 2), at=JUST_NOW)
    assert tick(moon, 30) == 0
    for session_id in ("s1", "s2"):
        assert list(archived_events(moon.home, session_id)) == events.conversation(session_id, 2)
    assert list(archived_events(moon.home, "s3")) == [], "it is live and not at rest"


def test_a_session_at_work_is_left_until_it_is_at_rest(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 1), at=NOW_MS)
    assert tick(moon, 899) == 0 and list(archived_events(moon.home)) == []
    assert tick(moon, 900) == 0 and len(list(archived_events(moon.home))) == 3


def test_an_event_rewritten_in_place_is_archived_as_a_revision(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    lines = events.conversation("s1", 2)
    store.put(KEY, "s1", lines, at=NOW_MS - 901_000)
    assert tick(moon) == 0
    lines[1] = lines[1].replace(b"question", b"QUESTION")
    store.write("s1", lines, at=NOW_MS - 900_500)
    assert tick(moon, 30) == 0
    assert list(archived_events(moon.home))[-1] == lines[1]


def test_archiving_everything_takes_in_every_form(moon):
    store = SqliteStoreBuilder(moon.state_dir)
    everything = {}
    for session_id in ("deleted", "cold", "put-away", "live"):
        everything[session_id] = events.conversation(session_id, 2)
        store.put(f"agent:main:{session_id}", session_id, everything[session_id], at=JUST_NOW)
    store.delete("agent:main:deleted", "deleted")
    store.go_cold("cold")
    store.put_away("agent:main:put-away")
    moon.ok("archive", "--all")
    for session_id, lines in everything.items():
        assert list(archived_events(moon.home, session_id)) == lines
    again = moon.ok("archive", "--all").json()
    (record,) = again["stations"]
    assert {entry["outcome"] for entry in record["sessions"]} == {"nothing"}
    assert {entry["unchanged"] for entry in record["sessions"]} == {True}


def test_one_new_message_is_all_that_is_read(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 30), at=NOW_MS - 2_000_000)
    assert tick(moon) == 0
    store.append("s1", events.message("new", "one more"), at=NOW_MS - 901_000)
    assert tick(moon, 30) == 0
    (entry,) = moon.cycles()[-1]["stations"][0]["sessions"]
    assert (entry["seen"], entry["new"]) == (1, 1)
    assert entry["unchanged"] is False


def test_a_person_who_names_a_session_has_all_of_it_compared(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 3), at=NOW_MS - 901_000)
    assert tick(moon) == 0
    (entry,) = moon.ok("archive", "--session", KEY).json()["stations"][0]["sessions"]
    assert (entry["outcome"], entry["seen"]) == ("nothing", 7)


def test_an_update_of_openclaw_stops_no_archiving_and_is_said_once(moon):
    store = SqliteStoreBuilder(moon.state_dir, version=24)
    lines = events.conversation("s1", 2)
    store.put(KEY, "s1", lines, at=NOW_MS - 901_000, used=45_000)
    said = []
    for number in range(3):
        done = moon.run("sample", env=at(number * 30))
        assert done.code == 0
        said.append("schema version 24" in done.stderr)
    assert list(archived_events(moon.home)) == lines
    assert said == [True, False, False]
    assert [entry["outcome"] for entry in moon.audit("sample")] == ["noticed"]
    shown = moon.run("sample", "--no-exec", "--json")
    assert shown.code == 0
    assert [problem["code"] for problem in shown.json()["problems"]] == ["store_too_new"]
    assert shown.json()["sessions"][0]["due"] == []
    checks = moon.run("verify", "--json").json()["details"]
    assert any(check["check"] == "stores" and check["level"] == "warn" and "24" in str(check) for check in checks)


def test_a_broken_copy_of_a_deleted_session_is_kept_and_not_tried_again(moon):
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 50), at=JUST_NOW)
    store.delete(KEY, "s1")
    with closing(store.connect()) as connection, connection:
        (blob,) = connection.execute("SELECT archive_blob FROM session_transcript_archives").fetchone()
        connection.execute("UPDATE session_transcript_archives SET archive_blob = ?", (blob[:-40],))
    assert tick(moon) == 0
    (line,) = [line for line in moon.ledger() if line["kind"] == "aside"]
    assert line["sha256"] == hashlib.sha256(blob[:-40]).hexdigest() and "cut short" in line["reason"]
    assert (moon.home.quarantine / f"{line['sha256']}.bin").read_bytes() == blob[:-40]
    assert not any("report it as a bug" in json.dumps(entry) for entry in moon.audit())
    cycles = len(moon.cycles())
    assert tick(moon, 30) == 0 and len(moon.cycles()) == cycles
    assert moon.run("archive", "--verify").code == 0
    restored = moon.ok("archive", "--restore", "s1", "--to", str(moon.folder / "s1.jsonl"), "--json").json()
    assert restored["details"][0]["set_aside"] == [line["sha256"]] and "quarantine" in restored["outcome"]


def test_a_bomb_in_what_a_deletion_left_is_refused_and_kept_as_it_is(moon, monkeypatch):
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 1), at=JUST_NOW)
    store.delete(KEY, "s1")
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (1200 << 20))
    with closing(store.connect()) as connection, connection:
        connection.execute("UPDATE session_transcript_archives SET archive_blob = ?", (bomb,))
    assert tick(moon) == 0
    (path,) = moon.home.quarantine.glob("*.bin")
    assert path.read_bytes() == bomb


def test_a_cold_archive_that_is_gone_costs_only_its_transcript(moon):
    store = SqliteStoreBuilder(moon.state_dir)
    for session_id in ("s1", "s2"):
        store.put(f"agent:main:{session_id}", session_id, events.conversation(session_id, 1), at=NOW_MS - 901_000)
        path = store.go_cold(session_id)
    path.unlink()
    assert tick(moon) == 3
    assert list(archived_events(moon.home)) == events.conversation("s1", 1)
    (entry,) = moon.audit("archive")[1:]
    assert entry["outcome"] == "failed" and path.name in entry["reason"]
    attempts = sum(bool(moon.run("sample", env=at(seconds)).code) for seconds in range(30, 1_800, 30))
    assert 2 <= attempts <= 6, "tried again after growing pauses"


def test_a_list_of_sessions_that_cannot_be_read_keeps_no_transcript_from_the_archive(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 2), at=NOW_MS - 901_000)
    store.main_file.write_text("garbage")
    assert tick(moon) == 3
    assert list(archived_events(moon.home)) == events.conversation("s1", 2)


def test_a_pending_distillation_of_a_deleted_session_is_done(moon):
    """Deleted between the archive and a distillation that had failed."""
    store = SqliteStoreBuilder(moon.state_dir)
    decided = events.message(
        "d", "We decided to keep the lighthouse register in /srv/lighthouse/register.csv from now on."
    )
    store.put(KEY, "s1", [*events.conversation("s1", 3), decided], at=JUST_NOW, used=30_000)
    state = states.State()
    state.heartbeat = NOW_MS
    state.sessions["main", KEY] = states.SessionState(
        "main", KEY, "s1", state="DistillTriggered", level=3, pending=("distill", "rollover"), since=NOW_MS
    )
    states.save(moon.home, state)
    store.delete(KEY, "s1")
    for number in range(3):
        assert tick(moon, number * 30) == 0
    (memory,) = moon.home.memory.glob("20*.md")
    assert "lighthouse register" in memory.read_text()
    assert states.peek(moon.home).owed == {} and states.peek(moon.home).sessions == {}


# Exit codes of a look.


def test_a_look_that_sees_nothing_fails_and_one_that_sees_a_part_says_so(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    store.main_file.write_text("garbage")
    assert moon.run("sample", "--no-exec").code == 1
    JsonlStoreBuilder(moon.state_dir, "other").put("agent:other:main", "s1", events.conversation("s1", 1))
    assert moon.run("sample", "--no-exec").code == 3
    store.main_file.write_text("{}")
    assert moon.run("sample", "--no-exec").code == 0


def test_a_catalog_that_is_damaged_deep_inside_is_made_anew_by_the_next_run(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    for number in range(60):
        store.put(f"{KEY}:{number}", f"s{number}", events.conversation(f"s{number}", 6))
    moon.ok("archive", "--all")
    before = set(archived_events(moon.home))
    with closing(sqlite3.connect(moon.home.catalog)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
    with moon.home.catalog.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(bytes(size))
    store.append("s3", events.message("late", "one word more"))
    assert tick(moon, 10_000) == 1 and not moon.home.catalog.exists()
    assert tick(moon, 10_060) == 0
    assert set(archived_events(moon.home)) == before | {events.message("late", "one word more")}
    assert len(moon.ok("archive", "--restore", "s3", "--to", "-").stdout.splitlines()) == 14
    moon.ok("archive", "--verify")
