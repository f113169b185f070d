"""What the store says of a rollover, from its lines alone."""

from __future__ import annotations

import json

import pytest
from tests.support import events

from moon.clock import parse_ms
from moon.openclaw.transcript_store import SessionEntry, Transcript
from moon.rollover.new_window import Window, events_behind, is_last, is_turn, look_behind, user_message
from moon.rollover.rollover_journal import Journal
from moon.rollover.window_opening import opened_when

ENTRY = SessionEntry("main", "agent:main:main", "s1")


class Store:
    """Transcripts by session id; all that these functions ask of a store."""

    def __init__(self, **transcripts: list[bytes]) -> None:
        self.transcripts = transcripts

    def events(self, transcript: Transcript):
        for data in self.transcripts[transcript.session_id]:
            yield Event(data)


class Event:
    def __init__(self, data: bytes) -> None:
        self.data = data


@pytest.mark.parametrize(
    "line",
    [
        {"type": "note", "message": {"role": "user", "content": "x"}},
        {"type": "message", "message": {"role": "assistant", "content": "x"}},
        {"type": "message", "message": "user"},
        {"type": "message"},
        {},
    ],
)
def test_only_a_message_of_a_user_is_one(line):
    assert user_message(line) is None and not is_turn(line, "k", "x")


def test_a_turn_is_known_by_its_key_or_where_keys_are_not_kept_by_its_mark():
    def line(key, text="words # Continuity map r1"):
        return {"type": "message", "message": {"role": "user", "content": text, "idempotencyKey": key}}

    assert is_turn(line("moon-r1"), "moon-r1") and is_turn(line("moon-r1:user"), "moon-r1")
    assert not is_turn(line("moon-r2"), "moon-r1") and not is_turn(line(None), "moon-r1")
    assert is_turn(line(None), "moon-r1", "# Continuity map r1")
    assert is_turn(line(None, "# Übergabe"), "moon-r1", "# Übergabe"), "also where JSON would escape it"
    assert not is_turn(line(None), "moon-r1", "# Continuity map r2")


def test_a_window_begins_with_the_reset_behind_the_boundary():
    old, reset = events.conversation("s1", 2), events.reset("r")
    store = Store(s1=[*old, reset, events.message("n", "hello")])
    window = look_behind(store, ENTRY, "s1", "s1-a1")
    assert (window.is_new, [line["id"] for line in window.lines]) == (True, ["r", "n"])
    assert not look_behind(store, ENTRY, "s1", "n").is_new, "a reset before the boundary is another one's"
    assert not look_behind(Store(s1=old), ENTRY, "s1", "s1-a1").is_new
    elsewhere = look_behind(Store(s2=old), ENTRY._replace(session_id="s2"), "s1", "s1-a1")
    assert (elsewhere.session_id, elsewhere.is_new, len(elsewhere.lines)) == ("s2", True, 5)


def test_what_lies_behind_the_boundary_and_which_event_is_the_last():
    lines = [events.message("a", "1"), b"no JSON", b"[1]", events.message("b", "2"), json.dumps({"x": 1}).encode()]
    store = Store(s1=lines)
    assert [line.get("id") for line in events_behind(store, ENTRY.transcript, "a")] == [None, None, "b", None]
    assert events_behind(store, ENTRY.transcript, "gone") == []
    assert is_last(store, ENTRY, "b"), "what has no id of its own is no event behind it"
    assert not is_last(store, ENTRY, "a")
    again = Store(s1=[events.message("a", "1"), events.message("b", "2"), events.message("a", "1")])
    assert events_behind(again, ENTRY.transcript, "a") == [], "the last one of that id counts"


def test_a_window_says_when_it_was_opened_or_else_the_request_does():
    journal = Journal("r1", "main", "agent:main:main", "s1", "e", "reset", requested_at=7)
    line = {"timestamp": "2026-11-22T06:00:00.000Z"}
    assert opened_when(Window("s2", True, (line, {})), journal) == parse_ms(line["timestamp"])
    assert opened_when(Window("s2", True, ()), journal) == opened_when(Window("s2", True, ({},)), journal) == 7
