"""Rollover: a fresh window that opens with the map, once, however often it is cut short."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.support import events
from tests.support.crash import killed_between
from tests.support.gateway import DESTRUCTIVE, KEY, Gateway

from moon.openclaw import openclaw_command
from moon.rollover import rollover_station as rollover_station
from moon.vault.ledger import Ledger


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A session at 94 %, archived, indexed and distilled, and a gateway that does as it is told."""
    made = Gateway(tmp_path / "machine", monkeypatch)
    monkeypatch.setattr(rollover_station, "ARRIVAL_SECONDS", 1.0)
    made.fill()
    made.archive_and_index()
    made.set(MOON_DISTILL__PROVIDERS="local")
    assert made.run("distill", "--session", KEY) == 0
    return made


def complete(gateway: Gateway) -> None:
    """One reset, one map behind it, one link, no journal."""
    assert gateway.resets() == 1
    (arrived,) = gateway.maps()
    kinds = [event["type"] for event in gateway.transcript()]
    assert kinds.index("reset") < gateway.transcript().index(arrived)
    (link,) = gateway.links()
    home = gateway.moon.home
    document = json.loads((home.root / link["continuity_path"]).read_bytes())
    assert document["rollover_id"] == link["rollover_id"]
    assert arrived["message"]["idempotencyKey"] == f"moon-{link['rollover_id']}:user"
    text = (home.root / link["continuity_path"]).with_suffix(".md").read_text(encoding="utf-8")
    assert arrived["message"]["content"] == text.rstrip("\n")
    assert (link["from_session_id"], link["to_session_id"], link["session_key"]) == ("s1", "s1", KEY)
    assert link["boundary_event_id"] == document["boundary_event_id"] == "big"
    assert Ledger(home.ledger).verify() == []
    assert list(home.rollovers.glob("*.json")) == []


def test_the_whole_of_it(gateway):
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "done"
    complete(gateway)
    (audit,) = gateway.moon.audit("rollover")
    assert audit["outcome"] == "done" and audit["ids"] == [gateway.links()[0]["rollover_id"]]
    (call,) = gateway.calls("sessions.reset")
    assert json.loads(call[call.index("--params") + 1]) == {"key": KEY, "reason": "new", "expectedSessionId": "s1"}
    (turn,) = gateway.calls("agent")
    assert json.loads(turn[turn.index("--params") + 1])["deliver"] is False, "nothing goes out to a channel"


def test_the_map_names_archives_memory_and_commands(gateway):
    assert gateway.run("rollover", "--session", KEY) == 0
    (link,) = gateway.links()
    document = json.loads((gateway.moon.home.root / link["continuity_path"]).read_bytes())
    records = [line for line in gateway.moon.ledger() if line["kind"] == "archive"]
    assert [each["sha256"] for each in document["archives"]] == [each["sha256"] for each in records]
    assert document["memory_files"] and all(Path(each).exists() for each in document["memory_files"])
    assert document["recall_hints"] and all(hint.startswith("moon-recall ") for hint in document["recall_hints"])


def test_a_second_rollover_has_a_map_and_a_link_of_its_own(gateway):
    assert gateway.run("rollover", "--session", KEY) == 0
    gateway.later(3_600)
    gateway.archive_and_index()
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.resets() == 2 and len(gateway.maps()) == 2
    first, second = gateway.links()
    assert first["rollover_id"] != second["rollover_id"]
    names = [
        each["archive_path"]
        for each in json.loads((gateway.moon.home.root / second["continuity_path"]).read_bytes())["archives"]
    ]
    assert names == [gateway.moon.ledger()[-2]["archive_path"]], "only what was archived since the first rollover"


def test_off_and_dry_run_do_nothing(gateway):
    assert gateway.run("rollover", "--session", KEY, "--dry-run") == 0
    gateway.set(MOON_ROLLOVER__MODE="off")
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.calls() == [] and gateway.resets() == 0 and not gateway.moon.home.continuity.exists()


def test_create_makes_a_session_that_succeeds(gateway):
    gateway.set(MOON_ROLLOVER__MODE="create")
    assert gateway.run("rollover", "--session", KEY) == 0
    entry = gateway.entry("rollover")
    assert entry["to_session_key"].startswith("agent:main:moon-") and entry["to_session_id"].startswith("child-")
    assert gateway.resets() == 0 and len(gateway.maps(entry["to_session_id"])) == 1
    (link,) = gateway.links()
    assert (link["from_session_id"], link["to_session_id"]) == ("s1", entry["to_session_id"])


# Cut short.

STEPS = (
    (rollover_station, "write_atomic"),
    (rollover_station, "write_journal"),
    (openclaw_command.OpenClaw, "reset"),
    (openclaw_command.OpenClaw, "send_turn"),
    (Ledger, "append"),
    (rollover_station, "remove_journal"),
)


def test_killed_before_and_behind_every_step_it_is_finished_once(gateway, tmp_path):
    prepared, folder = tmp_path / "prepared", tmp_path / "machine"
    shutil.copytree(folder, prepared)
    step = 0
    while True:
        if not killed_between(STEPS, step, lambda: gateway.run("rollover", "--session", KEY)):
            break
        gateway.later(600)
        if not gateway.links() or list(gateway.moon.home.rollovers.glob("*.json")):
            assert gateway.run("rollover", "--session", KEY) == 0, f"killed at step {step}"
        complete(gateway)
        gateway.later(0)
        shutil.rmtree(folder)
        shutil.copytree(prepared, folder)
        step += 1
    assert step == 14, "each of the steps was seen, before and behind"
    complete(gateway)


def test_killed_at_one_step_after_the_other_in_one_home(gateway):
    step = 0
    while killed_between(STEPS, step, lambda: gateway.run("rollover", "--session", KEY)):
        step += 1
        gateway.later(600 * step)
    complete(gateway)


def test_a_map_that_is_there_is_not_sent_again(gateway):
    """A restarted gateway would run a turn for it and fail."""
    assert killed_between(
        ((openclaw_command.OpenClaw, "send_turn"),), 1, lambda: gateway.run("rollover", "--session", KEY)
    )
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    assert len(gateway.calls("agent")) == 1


def tick(gateway: Gateway, seconds: int) -> int:
    """One tick of the timer, with all that it starts."""
    gateway.later(seconds)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(("MOON_", "FAKE_", "OPENCLAW_"))
    }
    done = gateway.moon.run("sample", env=environment)
    assert "Traceback" not in done.stderr
    return done.code


def test_the_timer_finishes_what_was_cut_short_though_usage_is_low_now(gateway):
    gateway.behave(agent="no")
    assert gateway.run("rollover", "--session", KEY) == 1
    assert "the map did not arrive" in gateway.entry("rollover")["reason"]
    assert (gateway.resets(), gateway.maps(), gateway.links()) == (1, [], [])
    gateway.behave()
    assert tick(gateway, 60) == 0
    assert gateway.maps() == [], "somebody might be at work: the session was touched a minute ago"
    assert tick(gateway, 600) == 0
    complete(gateway)
    assert tick(gateway, 1_200) == 0 and tick(gateway, 1_800) == 0
    complete(gateway)


def test_the_timer_waits_with_the_map_while_somebody_talks(gateway):
    gateway.behave(agent="no")
    gateway.run("rollover", "--session", KEY)
    gateway.behave(active=[KEY])
    assert tick(gateway, 600) == 0
    assert gateway.maps() == [] and gateway.calls("agent")[1:] == []
    gateway.behave()
    assert tick(gateway, 1_200) == 0
    complete(gateway)


def test_prepared_and_then_no_longer_due_is_forgotten(gateway):
    def die(*_arguments):
        os._exit(9)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openclaw_command.OpenClaw, "reset", die)
        child = os.fork()
        if child == 0:
            gateway.run("rollover", "--session", KEY)
        os.waitpid(child, 0)
    assert len(list(gateway.moon.home.rollovers.glob("*.json"))) == 1
    gateway.fill(used=5_000)
    assert tick(gateway, 600) == 0
    assert gateway.resets() == 0 and list(gateway.moon.home.rollovers.glob("*.json")) == []


# What OpenClaw says counts for nothing.


@pytest.mark.parametrize("mood", ["lie", "garbage", "error0", "no", "hang"])
def test_a_reset_that_did_not_happen(gateway, monkeypatch, mood):
    monkeypatch.setattr(openclaw_command, "ANSWER_SECONDS", 0.5)
    gateway.set(MOON_OPENCLAW__TIMEOUT_SECONDS="2")
    gateway.behave(reset=mood)
    assert gateway.run("rollover", "--session", KEY) == 1
    entry = gateway.entry("rollover")
    assert entry["outcome"] == "failed" and "no new window" in entry["reason"] and entry["hint"]
    assert (gateway.resets(), gateway.maps(), gateway.links()) == (0, [], [])
    assert gateway.calls("agent") == [], "no map goes into a window that is not new"
    gateway.behave()
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


@pytest.mark.parametrize("action", ["reset", "agent"])
@pytest.mark.parametrize("mood", ["silent", "hang_after"])
def test_what_happened_counts_whatever_was_said(gateway, monkeypatch, action, mood):
    monkeypatch.setattr(openclaw_command, "ANSWER_SECONDS", 0.5)
    gateway.set(MOON_OPENCLAW__TIMEOUT_SECONDS="3", MOON_OPENCLAW__ACTION_TIMEOUT_SECONDS="3")
    gateway.behave(**{action: mood})
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


@pytest.mark.parametrize("mood", ["lie", "garbage", "error0", "hang"])
def test_a_map_that_did_not_arrive_is_delivered_later_once(gateway, monkeypatch, mood):
    monkeypatch.setattr(openclaw_command, "ANSWER_SECONDS", 0.5)
    gateway.set(MOON_OPENCLAW__ACTION_TIMEOUT_SECONDS="2")
    gateway.behave(agent=mood)
    assert gateway.run("rollover", "--session", KEY) == 1
    assert "did not arrive" in gateway.entry("rollover")["reason"]
    gateway.behave()
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


def test_a_message_that_slips_in_before_the_reset_is_kept_and_archived_later(gateway):
    gateway.behave(reset="late")
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    gateway.archive_and_index()
    from tests.support.moon import archived_events

    assert any(b"slips in" in data for data in archived_events(gateway.moon.home, "s1"))


def test_a_message_that_came_while_the_map_was_made_stops_it(gateway, monkeypatch):
    build = rollover_station.build_map

    def build_slowly(*arguments):
        gateway.store.write("s1", [*gateway.fill(), events.message("new", "wait, one more thing")])
        return build(*arguments)

    monkeypatch.setattr(rollover_station, "build_map", build_slowly)
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred"
    assert gateway.calls(*DESTRUCTIVE) == [] and list(gateway.moon.home.rollovers.glob("*.json")) == []


def test_a_journal_that_cannot_be_read_is_set_aside(gateway):
    path = gateway.moon.home.rollover_journal("main", KEY)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema":"moon.rollover/1"}')
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    assert len(list(path.parent.glob("*.invalid"))) == 1


def test_no_secret_reaches_the_map(gateway):
    secret = "ghp_" + "a1B2" * 9
    lines = [*events.conversation("s1", 4), events.message("k", f"We decided: the token is {secret}, always use it.")]
    gateway.store.write("s1", lines)
    gateway.archive_and_index()
    gateway.run("distill", "--session", KEY)
    assert gateway.run("rollover", "--session", KEY) == 0
    assert secret not in json.dumps(gateway.maps())
    for path in gateway.moon.home.continuity.iterdir():
        assert secret not in path.read_text()
