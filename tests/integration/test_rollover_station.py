"""Rollover: a fresh window that opens with the map, once, however often it is cut short."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.fakes import gateway as fake
from tests.fakes.gateway_server import GatewayServer
from tests.support import events
from tests.support.crash import killed_between
from tests.support.gateway import DESTRUCTIVE, KEY, WAYS, Gateway
from tests.support.moon import ROOT
from tests.support.stores import NOW_MS

from moon.clock import format_ms
from moon.errors import LockBusy
from moon.files import exclusively
from moon.openclaw.gateway import Gateway as Port
from moon.rollover import map_delivery, map_making, window_opening
from moon.vault.ledger import Ledger


@pytest.fixture
def by_command(tmp_path, monkeypatch):
    """A session at 94 %, archived, indexed and distilled, and a gateway that only the command can reach."""
    made = Gateway(tmp_path / "machine", monkeypatch)
    monkeypatch.setattr(map_delivery, "ARRIVAL_SECONDS", 1.0)
    monkeypatch.setattr(window_opening, "REST_SECONDS", 0.5)
    monkeypatch.setattr(window_opening, "QUIET_SECONDS", 0.0)
    made.fill()
    made.archive_and_index()
    made.set(MOON_DISTILL__PROVIDERS="local")
    assert made.run("distill", "--session", KEY) == 0
    return made


@pytest.fixture
def by_socket(by_command):
    """The same with a gateway that listens."""
    with GatewayServer() as server:
        by_command.listen(server.port)
        yield by_command


@pytest.fixture(params=WAYS)
def gateway(request):
    """The same, asked either way."""
    return request.getfixturevalue("by_socket" if request.param == "socket" else "by_command")


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


def test_a_release_that_knows_no_guard_is_asked_for_the_session_right_before(gateway):
    gateway.behave(before_2026_8=True)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    methods = [call[2] for call in gateway.calls("sessions.reset", "sessions.list")]
    refused, done = [place for place, method in enumerate(methods) if method == "sessions.reset"]
    assert methods[refused + 1 : done] == ["sessions.list"]


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


def names_in_last_map(gateway: Gateway) -> list[str]:
    link = gateway.links()[-1]
    document = json.loads((gateway.moon.home.root / link["continuity_path"]).read_bytes())
    return [each["archive_path"] for each in document["archives"]]


def test_a_third_map_names_what_was_archived_since_the_second(gateway):
    for number in range(3):
        gateway.later(3_600 * number)
        gateway.archive_and_index()
        assert gateway.run("rollover", "--session", KEY) == 0
    assert names_in_last_map(gateway) == [gateway.moon.ledger()[-2]["archive_path"]]


def test_a_link_of_another_agent_under_the_same_key_is_not_ours(gateway):
    assert gateway.run("rollover", "--session", KEY) == 0
    gateway.later(3_600)
    gateway.archive_and_index()
    gateway.later(3_700)
    foreign = {
        **gateway.links()[0],
        "agent": "other",
        "rollover_id": "r-other",
        "linked_at": format_ms(NOW_MS + 3_650_000),
    }
    foreign.pop("prev")
    Ledger(gateway.moon.home.ledger).append(foreign)
    assert gateway.run("rollover", "--session", KEY) == 0
    (since,) = [each for each in gateway.moon.ledger() if each["kind"] == "archive"][1:]
    assert names_in_last_map(gateway) == [since["archive_path"]]


def test_off_and_dry_run_do_nothing(gateway):
    assert gateway.run("rollover", "--session", KEY, "--dry-run") == 0
    gateway.set(MOON_ROLLOVER__MODE="off")
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.calls(*DESTRUCTIVE) == [] and gateway.resets() == 0 and not gateway.moon.home.continuity.exists()


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
    (map_making, "write_atomic"),
    (window_opening, "write_journal"),
    (Port, "reset"),
    (Port, "send_turn"),
    (Ledger, "append"),
    (map_delivery, "remove_journal"),
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
    assert killed_between(((Port, "send_turn"),), 1, lambda: gateway.run("rollover", "--session", KEY))
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
        patch.setattr(Port, "reset", die)
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
def test_a_reset_that_did_not_happen(gateway, mood):
    gateway.hurry()
    gateway.behave(reset=mood)
    assert gateway.run("rollover", "--session", KEY) == 1
    entry = gateway.entry("rollover")
    assert entry["outcome"] == "failed" and "no new window" in entry["reason"] and entry["hint"]
    assert (gateway.resets(), gateway.maps(), gateway.links()) == (0, [], [])
    assert gateway.calls("agent") == [], "no map goes into a window that is not new"
    gateway.relax()
    assert gateway.run("rollover", "--session", KEY) == 0
    if mood not in ("no", "error0"):
        assert gateway.entry("rollover")["outcome"] == "deferred", "it may come yet"
        gateway.later(600)
        assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


@pytest.mark.parametrize("action", ["reset", "agent"])
@pytest.mark.parametrize("mood", ["silent", "hang_after"])
def test_what_happened_counts_whatever_was_said(gateway, action, mood):
    gateway.hurry()
    gateway.behave(**{action: mood})
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


@pytest.mark.parametrize("mood", ["lie", "garbage", "error0", "hang"])
def test_a_map_that_did_not_arrive_is_delivered_later_once(gateway, mood):
    gateway.hurry()
    gateway.behave(agent=mood)
    assert gateway.run("rollover", "--session", KEY) == 1
    assert "did not arrive" in gateway.entry("rollover")["reason"]
    gateway.relax()
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


def test_a_message_that_slips_in_before_the_reset_is_archived_later_too(gateway):
    gateway.behave(reset="late")
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    gateway.archive_and_index()
    from tests.support.moon import archived_events

    assert any(b"slips in" in data for data in archived_events(gateway.moon.home, "s1"))


def test_a_message_that_came_while_the_map_was_made_stops_it(gateway, monkeypatch):
    build = map_making.build_map

    def build_slowly(*arguments):
        gateway.store.write("s1", [*gateway.fill(), events.message("new", "wait, one more thing")])
        return build(*arguments)

    monkeypatch.setattr(map_making, "build_map", build_slowly)
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


# Nothing but the intent and the store decides.


def kill_while_it_is_at_the_reset(gateway: Gateway, number: int = signal.SIGKILL) -> int:
    """Start `moon-rollover` as a process group and send all of it a signal once the reset was asked for."""
    program = str(ROOT / "bin" / "moon-rollover")
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([program, "--session", KEY], start_new_session=True, **silent)
    wait_until(lambda: gateway.calls("sessions.reset"))
    os.killpg(process.pid, number)
    return process.wait()


def wait_until(true):
    deadline = time.monotonic() + 180
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_free(lock: Path) -> bool:
    try:
        with exclusively(lock):
            return True
    except LockBusy:
        return False


def journals(gateway: Gateway) -> list[Path]:
    return list(gateway.moon.home.rollovers.glob("*.json"))


def test_a_reset_that_comes_after_moon_was_killed_belongs_to_this_rollover(gateway):
    """The `openclaw` command lives on in a session of its own, the gateway works on without its client."""
    gateway.behave(delay={"reset": 1.5})
    kill_while_it_is_at_the_reset(gateway)
    assert gateway.resets() == 0 and len(journals(gateway)) == 1
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred", "it is under way still"
    assert len(gateway.calls("sessions.reset")) == 1
    wait_until(gateway.resets)
    assert tick(gateway, 30) == 0
    assert gateway.links() == [], "the reset was just now: somebody may be there"
    assert tick(gateway, 600) == 0
    complete(gateway)
    assert tick(gateway, 1_200) == 0
    complete(gateway)


def test_nothing_is_asked_again_while_the_command_of_a_killed_station_lives(by_command):
    by_command.behave(delay={"reset": 3.0})
    kill_while_it_is_at_the_reset(by_command)
    by_command.later(600)
    assert by_command.run("rollover", "--session", KEY) == 0
    entry = by_command.entry("rollover")
    assert entry["outcome"] == "deferred" and "carried out still" in entry["reason"]
    assert by_command.run("prune", "--session", KEY) == 0
    assert by_command.entry("prune")["outcome"] == "deferred"
    wait_until(by_command.resets)
    by_command.later(1_200)
    assert by_command.run("rollover", "--session", KEY) == 0
    complete(by_command)


def test_what_was_never_carried_out_is_begun_anew_when_that_is_certain(by_command):
    by_command.behave(reset="hang")
    kill_while_it_is_at_the_reset(by_command)
    note = Path(f"{by_command.plan_file}.pid")
    wait_until(lambda: note.exists() and note.read_text())
    (journal,) = journals(by_command)
    first = json.loads(journal.read_bytes())["rollover_id"]
    by_command.behave()
    by_command.later(600)
    assert by_command.run("rollover", "--session", KEY) == 0
    assert by_command.entry("rollover")["outcome"] == "deferred", "the hanging command may do it yet"
    os.kill(int(note.read_text()), signal.SIGKILL)
    wait_until(lambda: is_free(by_command.moon.home.request_lock))
    assert by_command.run("rollover", "--session", KEY) == 0
    complete(by_command)
    assert by_command.links()[0]["rollover_id"] != first


def test_a_time_out_in_the_middle_of_a_reset_is_no_end(by_socket):
    gateway = by_socket
    gateway.behave(delay={"reset": 3 * gateway.hurry()})
    assert gateway.run("rollover", "--session", KEY) == 1
    entry = gateway.entry("rollover")
    assert "in time" in entry["reason"] and "may come yet" in entry["hint"] and len(journals(gateway)) == 1
    wait_until(gateway.resets)
    gateway.relax()
    # The stand-in may still be at the end of its work when the first tick looks.
    wait_until(lambda: tick(gateway, 600) == 0 and gateway.maps())
    complete(gateway)


def test_sigterm_ends_it_at_once_with_its_command_and_it_goes_on_later(by_command):
    by_command.behave(delay={"reset": 60.0})
    assert kill_while_it_is_at_the_reset(by_command, signal.SIGTERM) == 143
    by_command.behave()
    by_command.later(600)
    assert by_command.run("rollover", "--session", KEY) == 0, "no command is left that holds the lock"
    complete(by_command)


def test_sigterm_in_a_chain_leaves_a_cycle_that_is_taken_up(gateway):
    gateway.behave(delay={"reset": 1.0})
    gateway.later(1)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(("MOON_", "FAKE_", "OPENCLAW_"))
    }
    process = subprocess.Popen(
        [str(ROOT / "bin" / "moon-sample")], env={**gateway.moon.env, **environment}, stdin=subprocess.DEVNULL
    )
    wait_until(lambda: gateway.calls("sessions.reset"))
    process.terminate()
    assert process.wait() == 143
    assert gateway.moon.cycles()[-1]["finished_at"] is None
    if gateway.listens:
        wait_until(gateway.resets)  # the gateway does what it was asked for; only a command ends with Moon
    gateway.behave()
    assert tick(gateway, 600) == 0
    assert tick(gateway, 1_200) == 0
    complete(gateway)


def test_an_earlier_reset_is_not_the_new_window(gateway):
    assert gateway.run("rollover", "--session", KEY) == 0
    gateway.later(3_600)
    gateway.archive_and_index()
    gateway.behave(reset="no")
    assert gateway.run("rollover", "--session", KEY) == 1
    assert "no new window" in gateway.entry("rollover")["reason"]
    assert len(gateway.maps()) == 1 and len(gateway.links()) == 1 and journals(gateway) == []


def test_somebody_else_s_reset_behind_the_boundary_is_taken_for_ours(gateway):
    """Moon was killed before its request went out; a reset by hand then does what it asked for."""
    assert killed_between(((Port, "reset"),), 0, lambda: gateway.run("rollover", "--session", KEY))
    fake.reset(fake.Session("main", KEY))
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


def test_a_reset_by_hand_just_before_stops_it(gateway, monkeypatch):
    build = map_making.build_map

    def build_slowly(*arguments):
        fake.reset(fake.Session("main", KEY))
        return build(*arguments)

    monkeypatch.setattr(map_making, "build_map", build_slowly)
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred"
    assert gateway.calls(*DESTRUCTIVE) == [] and journals(gateway) == []


def test_a_message_that_waits_for_its_run_stops_it(gateway, monkeypatch):
    fake.Session("main", KEY).interrupted_input("wait, one more thing", state="queued")
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred"
    assert gateway.calls(*DESTRUCTIVE) == [] and journals(gateway) == []


def test_an_intent_of_an_earlier_version_may_have_been_asked_for(gateway):
    """It noted no request; so it counts as sent when the file was written."""
    path = gateway.moon.home.rollover_journal("main", KEY)
    path.parent.mkdir(parents=True)
    document = {
        "schema": "moon.rollover/1",
        "rollover_id": "r-1",
        "agent": "main",
        "session_key": KEY,
        "from_session_id": "s1",
        "boundary_event_id": "big",
        "mode": "reset",
        "step": "prepared",
    }
    path.write_text(json.dumps(document))
    os.utime(path, (NOW_MS / 1000, NOW_MS / 1000))
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred" and gateway.calls(*DESTRUCTIVE) == []
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)


# Whose run was cut off is answered.

CUT = {
    "late": "a word that slips in just before",
    "taken": "a word that is in no transcript",
    "behind": "a word whose run fails",
}


@pytest.mark.parametrize("mood", CUT)
def test_a_message_that_lost_its_answer_is_sent_again_once_behind_the_map(gateway, mood):
    gateway.behave(reset=mood)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    (again,) = gateway.sent_again()
    assert (
        again["message"]["content"].endswith("\n\n" + CUT[mood]) and "Sent again by Moon" in again["message"]["content"]
    )
    transcript = gateway.transcript()
    assert transcript.index(gateway.maps()[0]) < transcript.index(again) < len(transcript) - 1
    assert transcript[-1]["message"]["role"] == "assistant"
    assert "Still without an answer" in gateway.maps()[0]["message"]["content"]
    assert CUT[mood] in gateway.maps()[0]["message"]["content"]
    turn = json.loads(gateway.calls("agent")[-1][-1])
    assert turn["deliver"] is True and turn["bestEffortDeliver"] is True, "its answer goes where answers go"
    (audit,) = gateway.moon.audit("rollover")
    assert audit["cut"] == 1 and CUT[mood] not in json.dumps(audit)
    gateway.behave()
    assert tick(gateway, 600) == 0
    assert len(gateway.sent_again()) == 1


@pytest.mark.parametrize("mood", CUT)
def test_killed_anywhere_it_is_sent_again_once(gateway, mood):
    gateway.behave(reset=mood)
    step = 0
    while killed_between(STEPS, step, lambda: gateway.run("rollover", "--session", KEY)):
        step += 1
        gateway.later(600 * step)
        if gateway.resets():
            gateway.behave()
    complete(gateway)
    assert len(gateway.sent_again()) == 1


def test_a_message_that_met_the_map_is_sent_again_once(gateway):
    """Both began within milliseconds of each other, which no question shows, and OpenClaw let one of them fail."""
    gateway.behave(agent="collide")
    step = 0
    while killed_between(STEPS, step, lambda: gateway.run("rollover", "--session", KEY)):
        step += 1
        gateway.later(600 * step)
    complete(gateway)
    (again,) = gateway.sent_again()
    assert again["message"]["content"].endswith("a word that meets the map")


def test_a_message_that_could_not_be_sent_again_is_sent_later(gateway):
    gateway.behave(reset="late")
    assert killed_between(((Port, "send_turn"),), 1, lambda: gateway.run("rollover", "--session", KEY))
    gateway.behave(agent="no")
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 1
    assert "message that was cut off did not arrive" in gateway.entry("rollover")["reason"]
    gateway.behave()
    gateway.later(1_200)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    assert len(gateway.sent_again()) == 1


def test_what_a_stranger_wrote_is_named_and_not_sent_with_the_owner_s_rights(gateway, monkeypatch):
    class Stranger(fake.Session):
        def user_message(self, text):
            message = {"role": "user", "content": text, "__openclaw": {"senderIsOwner": False}}
            self.append({"type": "message", "message": message})

    store = Stranger("main", KEY)

    def write_first(*arguments, reset=Port.reset):
        store.user_message("let me in, please")
        return reset(*arguments)

    monkeypatch.setattr(Port, "reset", write_first)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
    assert gateway.sent_again() == []
    assert "(somebody else in this chat) let me in" in gateway.maps()[0]["message"]["content"]


def test_a_run_in_the_new_window_is_waited_for(gateway, monkeypatch):
    def answer(*arguments, reset=Port.reset):
        reset(*arguments)
        gateway.behave(active=[KEY])

    monkeypatch.setattr(Port, "reset", answer)
    assert gateway.run("rollover", "--session", KEY) == 0
    assert gateway.entry("rollover")["outcome"] == "deferred" and gateway.maps() == []
    monkeypatch.undo()
    gateway.set(**gateway.environment)
    gateway.behave()
    gateway.later(600)
    assert gateway.run("rollover", "--session", KEY) == 0
    complete(gateway)
