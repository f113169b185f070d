"""docs/failure_policy.md, row by row: what is broken costs only its own step and is said in words."""

from __future__ import annotations

import json
import os
from contextlib import closing

import pytest
from tests.support import events
from tests.support.moon import Moon, archived_events, files_below
from tests.support.stores import BUILDERS, NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder
from tests.support.unprivileged import held_back_by_permissions

from moon.clock import format_ms
from moon.cycle import session_states as states

KEY = "agent:main:main"


@pytest.fixture
def moon(tmp_path):
    return Moon(tmp_path)


@pytest.fixture
def filled(moon):
    """One session at 82 %."""
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=40_000)
    return moon


def words(done) -> str:
    assert "Traceback" not in done.stderr and "report it as a bug" not in done.stderr, done.stderr
    return str(done.stderr)


# OpenClaw's state.


def test_no_openclaw_state(moon):
    done = moon.run("sample")
    assert done.code == 1
    assert "no OpenClaw sessions at" in words(done) and "OPENCLAW_STATE_DIR" in done.stderr
    assert moon.run("sample", "--no-exec").json()["problems"][0]["code"] == "store_absent"
    for tool in ("archive", "prune", "rollover"):
        assert moon.run(tool, "--all").code == 1


def test_a_broken_store_costs_only_its_agent_and_the_command_stands_in(filled):
    SqliteStoreBuilder(filled.state_dir, "broken").main_file.write_bytes(b"garbage " * 999)
    done = filled.run("sample")
    assert "openclaw-agent.sqlite" in words(done)
    assert list(archived_events(filled.home)) == events.conversation("s1", 2)


def test_a_newer_store_is_named_and_nothing_in_it_is_pruned(moon):
    SqliteStoreBuilder(moon.state_dir, version=24).put(KEY, "s1", events.conversation("s1", 2), used=47_000)
    moon.extra["FAKE_OPENCLAW"] = str(moon.folder / "fake.json")
    done = moon.run("sample")
    assert done.code == 0 and "schema version 24" in words(done)
    assert list(archived_events(moon.home)) == events.conversation("s1", 2)
    assert [record["station"] for record in moon.cycles()[0]["stations"]] == ["archive", "index"]
    assert not (moon.folder / "fake.json.log").exists(), "OpenClaw was asked for nothing"


def store_of_another_shape(moon: Moon, **usage: int) -> None:
    """A store of an OpenClaw to come, with a table that Moon cannot read."""
    store = SqliteStoreBuilder(moon.state_dir, version=24)
    store.put(KEY, "s1", events.conversation("s1", 2), **usage)
    with closing(store.connect()) as connection, connection:
        connection.execute("ALTER TABLE transcript_events RENAME COLUMN seq TO position")


def test_usage_comes_from_the_command_where_a_store_cannot_be_read(moon):
    store_of_another_shape(moon, used=41_000)
    (row,) = moon.run("sample", "--no-exec").json()["sessions"]
    assert (row["provider"], row["used_tokens"]) == ("cli", 41_000)


def test_both_the_store_and_the_command_are_broken(moon):
    store_of_another_shape(moon)
    done = moon.run("sample", env={"MOON_OPENCLAW__BIN": "no-such-openclaw"})
    assert done.code == 1
    assert "transcript_events lacks seq" in words(done) and "no-such-openclaw" in done.stderr
    assert states.peek(moon.home).heartbeat == NOW_MS, "the tick itself went well"


def test_a_transcript_that_cannot_be_read_costs_only_its_session(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 1), used=40_000)
    store.put("agent:main:other", "s2", events.conversation("s2", 1), used=40_000)
    (store.folder / "s1.jsonl").unlink()
    (store.folder / "s1.jsonl").mkdir()
    done = moon.run("archive", "--session", KEY, "--session", "s2")
    assert done.code == 3
    assert "s1.jsonl" in words(done)
    assert list(archived_events(moon.home)) == events.conversation("s2", 1)


def test_malformed_lines_are_archived_counted_and_said(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", [events.header("s1"), b"oops {", events.message("e1", "after it")], used=40_000)
    done = moon.ok("archive", "--session", KEY)
    assert "line 2 is not a JSON object; kept as it is" in words(done)
    assert len(list(archived_events(moon.home))) == 3
    moon.ok("index", "--session", KEY)


# Moon's own files.


def test_a_home_that_is_a_file(filled):
    filled.home.root.write_text("in the way")
    done = filled.run("sample")
    assert done.code == 1 and "hint:" in words(done)
    assert filled.home.root.read_text() == "in the way"


@pytest.mark.parametrize("tool", ["sample", "archive"])
def test_a_home_that_cannot_be_written(filled, tool):
    filled.home.root.mkdir()
    with held_back_by_permissions():
        filled.home.root.chmod(0o500)
        try:
            done = run_here(filled, tool, *(["--all"] if tool == "archive" else []))
        finally:
            filled.home.root.chmod(0o700)
    assert done == 1


def run_here(moon: Moon, tool: str, *arguments: str) -> int:
    """Run a tool in a child of this process, which keeps what this one may not do."""
    import importlib

    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.environ.update(moon.env)
            from moon.cli.run_tool import run_tool

            code = run_tool(f"moon-{tool}", importlib.import_module(f"moon.cli.{tool}").main, list(arguments))
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_corrupt_state_file_is_set_aside_said_and_rebuilt(filled):
    filled.ok("sample")
    filled.home.state_file.write_bytes(b"\x00garbage")
    done = filled.run("sample")
    assert done.code == 0
    assert "moon_state.json.corrupt-" in words(done) and "rebuilt" in done.stderr
    rebuilt = states.peek(filled.home)
    assert ("main", KEY) in rebuilt.sessions and rebuilt.counters["archive"] == 1


def test_a_newer_state_file_stops_with_78_and_is_left_alone(filled):
    filled.ok("sample")
    document = {**json.loads(filled.home.state_file.read_bytes()), "schema": "moon.state/9"}
    filled.home.state_file.write_text(json.dumps(document))
    done = filled.run("sample")
    assert done.code == 78 and "moon.state/9" in words(done)
    assert json.loads(filled.home.state_file.read_bytes()) == document


def test_a_bad_configuration_stops_every_tool_with_78_and_changes_nothing(filled):
    filled.home.root.mkdir()
    filled.home.config_file.write_text("threshold: {archive: 0.5}\nprune: {mode: sometimes}\n")
    before = files_below(filled.home.root)
    for tool in ("sample", "archive", "index", "prune", "distill", "rollover"):
        done = filled.run(tool, "--json", *([] if tool == "sample" else ["--all"]))
        assert done.code == 78, tool
        assert "did you mean thresholds?" in words(done) and "prune.mode" in done.stderr
        assert done.json()["errors"][0]["code"] == "config_invalid"
    assert files_below(filled.home.root) == before


def test_a_damaged_archive_is_named_by_verify(filled):
    filled.ok("archive", "--session", KEY)
    (record,) = filled.ledger()
    path = filled.home.root / record["archive_path"]
    path.write_bytes(path.read_bytes().replace(b"lantern", b"lanterm"))
    done = filled.run("archive", "--verify", "--json")
    assert done.code == 1
    report = done.json()
    assert report["ok"] is False and record["archive_path"] in report["errors"][0]["message"]
    assert "moon-archive --repair" in report["errors"][0]["hint"]


def test_a_damaged_ledger_line_is_named_and_stops_nothing(filled):
    filled.ok("archive", "--session", KEY)
    filled.home.ledger.write_bytes(b"garbage\n" + filled.home.ledger.read_bytes())
    before = filled.home.ledger.read_bytes()
    filled.home.catalog.unlink()
    assert "line 1 of the ledger" in words(filled.run("archive", "--verify"))
    words(filled.ok("archive", "--session", KEY))
    assert filled.home.ledger.read_bytes() == before, "nothing is archived a second time"


def test_an_index_that_is_broken_is_made_anew(filled):
    filled.ok("archive", "--session", KEY)
    filled.ok("index", "--session", KEY)
    for path in filled.home.index.iterdir():
        path.write_bytes(b"garbage " * 2_000)
    words(filled.ok("index", "--session", KEY))
    assert filled.ok("archive", "--session", KEY).json()["stations"][0]["sessions"][0]["new"] == 0


# Programs.


@pytest.mark.parametrize("program", ["no-such-openclaw", "/", "/dev/null"])
def test_openclaw_that_cannot_be_started_defers_prune_and_lets_the_rest_be(moon, program):
    SqliteStoreBuilder(moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=41_500)
    done = moon.run("sample", env={"MOON_OPENCLAW__BIN": program})
    assert done.code == 0 and "prune: 1 deferred" in words(done)
    assert len(list(archived_events(moon.home))) == 5


def test_an_unreachable_gateway_is_asked_with_growing_pauses_and_then_obeyed(moon):
    SqliteStoreBuilder(moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=41_500)
    plan = moon.folder / "fake.json"
    plan.write_text('{"down": true}')
    moon.extra["FAKE_OPENCLAW"] = str(plan)
    for tick in range(0, 900, 60):
        moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + tick * 1000)})
    asked = len(plan.with_name("fake.json.log").read_text().splitlines())
    assert 4 <= asked <= 8
    plan.write_text("{}")
    done = moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + 2_400_000)})
    assert "prune: 1 done" in words(done)


# The audit log.


def test_every_action_leaves_one_line_with_what_is_promised(moon):
    SqliteStoreBuilder(moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=41_500)
    moon.extra["FAKE_OPENCLAW"] = str(moon.folder / "fake.json")
    moon.ok("sample")
    lines = moon.audit()
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("archive", "done"),
        ("index", "done"),
        ("prune", "done"),
    ]
    (document,) = moon.cycles()
    for line in lines:
        assert line["time"] == format_ms(NOW_MS)
        assert (line["cycle_id"], line["session_key"], line["session_id"]) == (document["cycle_id"], KEY, "s1")
        assert line["duration_ms"] >= 0
    (record,) = moon.ledger()
    assert lines[0]["ids"] == [record["sha256"]]
    assert "lantern" not in moon.home.audit_log.read_text(), "no transcript text"
    assert moon.home.audit_log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("generation", list(BUILDERS))
def test_the_recorded_stores_through_the_whole_timer(tmp_path, generation):
    import shutil

    from tests.support.moon import ROOT

    moon = Moon(tmp_path)
    shutil.copytree(ROOT / "tests" / "recorded" / generation, moon.state_dir)
    moon.ok("archive", "--all")
    expected = json.loads((moon.state_dir / "expected.json").read_text())
    counted = {}
    for agent, found in expected.items():
        for session_id in found:
            target = tmp_path / "restored"
            moon.ok("archive", "--restore", session_id, "--agent", agent, "--to", str(target), "--force")
            import hashlib

            data = target.read_bytes()
            counted.setdefault(agent, {})[session_id] = {
                "events": data.count(b"\n"),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
    assert counted == expected
    assert moon.ok("archive", "--all").json()["stations"][0]["sessions"]
    assert "all as recorded" in moon.ok("archive", "--verify").stderr
