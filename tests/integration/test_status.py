"""moon-status: what it says at each stage of a home's life, from reading alone."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest
from tests.support.moon import ROOT, Moon, files_below
from tests.support.stores import NOW_MS

from moon.clock import format_ms
from moon.cycle import session_states as states


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path)
    shutil.copytree(ROOT / "tests" / "recorded" / "sqlite", made.state_dir)
    return made


def status(moon: Moon, **env: str) -> dict:
    """The document; the exit code agrees with it."""
    done = moon.run("status", "--json", env=env)
    document = done.json()
    assert done.code == any(each["needs_person"] for each in document["problems"]), done.stderr
    return document


def words(moon: Moon, *arguments: str, **env: str) -> str:
    return moon.run("status", *arguments, env=env).stdout.decode()


def codes(document: dict) -> list[str]:
    return [each["code"] for each in document["problems"]]


def later(seconds: int) -> str:
    return format_ms(NOW_MS + seconds * 1000)


def session(document: dict, key: str) -> dict:
    return next(each for each in document["sessions"] if each["session_key"] == key)


def test_before_anything_ran(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    document = status(moon)
    assert document["set_up"] is False and codes(document) == ["never_looked"]
    assert "moon-sample" in words(moon)
    assert not moon.home.root.exists()


def test_a_sound_state_that_no_tick_wrote_is_no_problem(moon: Moon) -> None:
    states.save(moon.home, states.State())
    assert moon.home.state_file.exists()
    assert "state_unreadable" not in codes(status(moon))


def test_after_a_tick(moon: Moon) -> None:
    moon.run("sample")
    document = status(moon, MOON_NOW=later(20))
    assert document["heartbeat"] == {
        "at": format_ms(NOW_MS),
        "age_seconds": 20,
        "ahead_seconds": 0,
        "interval_seconds": 30,
        "late": False,
    }
    assert document["counters"]["cycles"] == 1
    assert document["archives"]["archives"] == len(moon.ledger())
    assert document["archives"]["events"] == sum(line["events"] for line in moon.ledger())
    assert document["index"]["lag"] == 0 and document["index"]["messages"] > 0
    for line in moon.audit():
        if line["session_key"]:
            assert session(document, line["session_key"])["last"]
    assert document["disk"]["raw_bytes"] > 0


def test_the_last_action_is_the_last_of_that_session(moon: Moon) -> None:
    moon.run("sample")
    document = status(moon)
    expected = {line["session_key"]: (line["action"], line["outcome"]) for line in moon.audit() if line["agent"]}
    for each in document["sessions"]:
        last = each["last"]
        assert (last and (last["action"], last["outcome"])) == expected.get(each["session_key"])


@pytest.mark.parametrize(("seconds", "late"), [(299, False), (301, True)])
def test_a_timer_that_stopped_shows(moon: Moon, seconds: int, late: bool) -> None:
    moon.run("sample")
    document = status(moon, MOON_NOW=later(seconds))
    assert document["heartbeat"]["late"] is late
    assert codes(document) == (["timer_stopped"] if late else [])
    assert ("LATE" in words(moon, MOON_NOW=later(seconds))) is late


def test_archives_without_index_are_counted_as_lag(moon: Moon) -> None:
    moon.ok("archive", "--all")
    document = status(moon)
    assert document["index"] == {"archives": 0, "messages": 0, "lag": len(moon.ledger()), "vectors": None}
    assert "NOT yet indexed" in words(moon)
    moon.ok("index", "--all")
    assert status(moon)["index"]["lag"] == 0


def test_right_after_a_snapshot_nothing_is_wrong_and_a_lost_index_is(moon: Moon) -> None:
    moon.ok("snapshot")
    assert codes(status(moon)) == [] and words(moon, "--check").startswith("OK")
    shutil.rmtree(moon.home.index)
    assert codes(status(moon)) == ["index_behind"] and words(moon, "--check").startswith("PROBLEM")


def test_why_a_full_session_waits_is_said(moon: Moon) -> None:
    moon.run("sample", env={"MOON_USAGE__MAX_AGE_SECONDS": "1", "MOON_NOW": later(86_400)})
    held = [each for each in status(moon)["sessions"] if each["held"]]
    assert held and all("max_age_seconds" in each["held"] for each in held)
    assert "held back from prune and rollover: " in words(moon, "--all")


def test_sessions_that_only_the_ledger_knows_are_listed(moon: Moon) -> None:
    moon.ok("archive", "--all")
    listed = {each["session_key"]: each["archives"] for each in status(moon)["sessions"]}
    assert listed == {line["session_key"]: 1 for line in moon.ledger()}


def test_it_neither_waits_for_the_lock_nor_changes_anything(moon: Moon) -> None:
    moon.run("sample")
    before = files_below(moon.home.root)
    with moon.home.lock_file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status(moon)
        words(moon)
    after = files_below(moon.home.root)
    # A reader of an SQLite database in WAL mode makes these; they hold nothing.
    assert {name: data for name, data in after.items() if not name.endswith(("-shm", "-wal"))} == before


def test_an_unfinished_cycle_shows_with_its_next_station(moon: Moon) -> None:
    moon.run("sample")
    cycle = moon.cycles()[0]
    cycle["finished_at"] = None
    cycle["stations"] = [each for each in cycle["stations"] if each["station"] == "archive"]
    path = moon.home.cycles / f"{cycle['cycle_id']}.json"
    path.write_text(json.dumps(cycle))
    assert status(moon)["cycle"] == {
        "cycle_id": cycle["cycle_id"],
        "created_at": cycle["created_at"],
        "next_station": "index",
        "resumed": 0,
    }
    assert "next index" in words(moon)


@pytest.mark.parametrize("victim", ["state/moon_state.json", "index/recall.sqlite", "archives/ledger.jsonl", "cycle"])
def test_a_part_that_cannot_be_read_is_a_problem_of_its_own(moon: Moon, victim: str) -> None:
    moon.run("sample")
    path = next(moon.home.cycles.glob("*.json")) if victim == "cycle" else moon.home.root / victim
    path.write_bytes(b"\x00 rubbish\n" * 40)
    document = status(moon)
    assert len(document["problems"]) == 1
    assert document["problems"][0]["path"].endswith(path.name) and document["problems"][0]["hint"]
    assert document["disk"]["raw_bytes"] > 0
    assert words(moon).startswith("1 problem, which needs you\n! ")


def test_spent_model_calls_of_today_only(moon: Moon) -> None:
    moon.run("sample")
    spent = {"day": "2026-11-22", "calls": 4, "tokens": 9000}
    why = {"code": "model_key_refused", "reason": "HTTP 401: the key was refused"}
    circuits = {
        "gemini": {"failures": 3, "open_until": later(600), **why},
        "openai": {"failures": 1, "open_until": None},
    }
    memory = {"schema": "moon.models/1", "circuits": circuits, "withdrawn": {}, "told": {}, "spent": spent}
    (moon.home.state / "models.json").write_text(json.dumps(memory))
    env = {"MOON_TIMEZONE": "UTC"}
    day = format_ms(NOW_MS)[:10]
    spent["day"] = day
    (moon.home.state / "models.json").write_text(json.dumps(memory))
    assert status(moon, **env)["distillation"] == {
        "calls": 4,
        "tokens": 9000,
        "calls_per_day": 200,
        "tokens_per_day": 2_000_000,
        "waiting": {"gemini": later(600)},
        "reasons": {"gemini": "HTTP 401: the key was refused"},
    }
    tomorrow = status(moon, **env, MOON_NOW=later(86_400))["distillation"]
    assert (tomorrow["calls"], tomorrow["waiting"]) == (0, {})
    assert "left alone until" in words(moon, **env) and "the key was refused" in words(moon, **env)


def test_keys_cannot_reach_the_terminal_with_control_characters(moon: Moon) -> None:
    moon.run("sample")
    state = json.loads(moon.home.state_file.read_bytes())
    state["sessions"][0]["session_key"] = "agent:main:\x1b[31mred\nline"
    moon.home.state_file.write_text(json.dumps(state))
    said = words(moon)
    assert "\x1b" not in said and "agent:main:\\x1b[31mred line" in said


def test_an_audit_log_with_broken_lines(moon: Moon) -> None:
    moon.run("sample")
    with moon.home.audit_log.open("ab") as stream:
        stream.write(b'{"torn": \n[1]\n\xff\xfe\n')
    assert any(each["last"] for each in status(moon)["sessions"])


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    moon.home.root.write_text("x")
    done = moon.run("status", "--json")
    assert done.code == 1 and done.json()["errors"][0]["code"] == "home_unusable"
