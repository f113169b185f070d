"""What stands in the map of a real rollover: last words, what waits, rules that go on, hints that find something."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from tests.support import events
from tests.support.gateway import KEY, Gateway

from moon.rollover import map_delivery, recall_hints, window_opening

RULE = "Never restart the relay during the day, the north line depends on it."
TALK = [
    events.header("s1"),
    events.message("u1", RULE),
    events.message("a1", "Understood: no restart of the relay during the day.", "assistant"),
    events.message("u2", "Decision: the collector runs on ops-5 with port 5514 and keeps logs for 30 days."),
    events.message("a2", "Noted. The unit file for the collector is next.", "assistant"),
    *(events.message(f"f{at}", f"Filler line {at} about nothing much, " * 20, "assistant") for at in range(12)),
    events.message("u3", "Now move the archive of the old collector over."),
]
CALL = events.tool_call("c1", "exec", {"command": "rsync -a ops-2:/var/log/collector/ /srv/collector/"})


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A session at 94 % that ended within a tool call, archived, indexed and distilled."""
    made = Gateway(tmp_path / "machine", monkeypatch)
    monkeypatch.setattr(map_delivery, "ARRIVAL_SECONDS", 1.0)
    monkeypatch.setattr(window_opening, "REST_SECONDS", 0.5)
    monkeypatch.setattr(window_opening, "QUIET_SECONDS", 0.0)
    made.set(MOON_DISTILL__PROVIDERS="local")
    made.store.put(KEY, "s1", [*TALK, CALL], used=45_000)
    made.archive_and_index()
    assert made.run("distill", "--session", KEY) == 0
    return made


def roll_over(gateway: Gateway) -> tuple[dict[str, Any], str]:
    """The map as document and as text."""
    assert gateway.run("rollover", "--session", KEY) == 0
    path = gateway.moon.home.root / gateway.links()[-1]["continuity_path"]
    return json.loads(path.read_bytes()), path.with_suffix(".md").read_text("utf-8")


def test_it_tells_what_was_under_way_and_what_has_no_result(gateway):
    document, text = roll_over(gateway)
    assert document["now"][-2] == "user: Now move the archive of the old collector over."
    assert document["now"][-1].startswith("you ran: exec rsync -a ops-2:/var/log/collector/")
    assert [line for line in document["waiting"] if line.startswith("no result of: exec rsync")]
    assert text.index("## How it ended") < text.index("## Waiting") < text.index("## Rules")
    assert f"- user: {RULE}" in text, "whose rule it is"


def test_every_hint_finds_this_session(gateway):
    document, _ = roll_over(gateway)
    assert document["recall_hints"]
    for hint in document["recall_hints"]:
        tool, question, *options = shlex.split(hint)
        found = gateway.moon.ok(tool.removeprefix("moon-"), question, *options, "--json").json()
        assert "s1" in {row["session_id"] for row in found["results"]}, hint


@pytest.mark.parametrize("script", ["exec sleep 60", "exit 1", "echo no answer", "printf '[]\\n{}\\n'"])
def test_a_recall_that_hangs_or_fails_costs_the_hints_and_nothing_else(gateway, tmp_path, monkeypatch, script):
    broken = tmp_path / "moon-recall"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setattr(recall_hints, "program", lambda _: broken)
    monkeypatch.setattr(recall_hints, "TRIAL_SECONDS", 1.0)
    document, text = roll_over(gateway)
    assert document["recall_hints"] == [] and "moon-recall" not in text
    assert document["now"] and document["rules"]


def test_without_moon_recall_there_are_no_hints(gateway, tmp_path, monkeypatch):
    monkeypatch.setattr(recall_hints, "program", lambda _: tmp_path / "nowhere")
    document, _ = roll_over(gateway)
    assert document["recall_hints"] == [] and document["now"]


def test_rules_go_on_through_windows_in_which_nobody_repeats_them(gateway):
    first, _ = roll_over(gateway)
    assert RULE in first["rules"]
    gateway.later(3_600)
    gateway.archive_and_index()
    second, text = roll_over(gateway)
    assert RULE in second["rules"]
    assert "Continuity map" not in " ".join(second["now"]), "a map is not what somebody said"
    assert text.count(RULE) == 1


def test_a_secret_in_the_last_words_is_taken_out(gateway):
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    gateway.store.put(KEY, "s1", [*TALK, events.message("u9", f"use {token} for it")], used=45_000)
    gateway.archive_and_index()
    document, text = roll_over(gateway)
    assert token not in text and token not in json.dumps(document)
    assert "[redacted:" in document["now"][-1]
