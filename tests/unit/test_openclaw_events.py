"""Event lines: whatever stands in them, reading one never fails, and what is said in them is found."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events

from moon.openclaw.events import Piece, event_id, flatten, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "compaction", "custom_message", "session", "branch_summary"]) | VALUES,
        "id": VALUES,
        "timestamp": VALUES,
        "summary": VALUES,
        "content": VALUES,
        "message": VALUES
        | st.fixed_dictionaries(
            {},
            optional={
                "role": VALUES,
                "toolName": VALUES,
                "timestamp": VALUES,
                "content": VALUES
                | st.lists(
                    st.fixed_dictionaries(
                        {"type": st.sampled_from(["text", "toolCall", "thinking", "image"]) | VALUES},
                        optional={"text": VALUES, "name": VALUES, "arguments": VALUES, "input": VALUES},
                    ),
                    max_size=3,
                ),
            },
        ),
    },
)


@given(EVENTS)
def test_any_object_is_read(value):
    found = parse(json.dumps(value).encode())
    assert found is not None
    for text in (found.id, found.type, found.role, *(piece.text for piece in found.pieces)):
        assert text.encode("utf-8") is not None, "every text can be stored"
    assert all(piece.text.strip() for piece in found.pieces)


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_are_none(data):
    found = parse(data)
    assert event_id(data) == (found.id if found else "")


@pytest.mark.parametrize("data", [b"", b"[" * 99_999, b'{"id":' * 50_000, b"null", b"\xef\xbb\xbf{}", b'{"id":"a"'])
def test_what_is_no_event(data):
    assert event_id(data) == ""


def test_a_message_of_text():
    found = parse(events.message("e1", "hello", when="2026-11-22T07:00:00+01:00"))
    assert (found.id, found.type, found.role) == ("e1", "message", "user")
    assert found.timestamp == "2026-11-22T06:00:00.000Z"
    assert found.pieces == (Piece("user", "hello"),)


def test_a_message_whose_content_is_one_text():
    assert parse(b'{"type":"message","id":"e","message":{"role":"user","content":"hi"}}').pieces == (
        Piece("user", "hi"),
    )


def test_a_tool_call_carries_every_argument():
    found = parse(
        events.tool_call("e1", "exec", {"command": "ls -la /srv", "env": {"A": "b"}, "list": [1, None, True, "x"]})
    )
    (piece,) = found.pieces
    assert (piece.role, piece.tool) == ("toolCall", "exec")
    assert piece.text.splitlines() == ["exec ls -la /srv", "b", "1", "x"]


def test_a_tool_result():
    (piece,) = parse(events.tool_result("e1", "exec", "done")).pieces
    assert piece == Piece("toolResult", "done", "exec")


def test_a_compaction_says_its_summary():
    assert parse(events.compaction("e1", "what came before")).pieces == (Piece("compaction", "what came before"),)


@pytest.mark.parametrize("kind", ["session", "reset", "model_change", "custom", "unheard_of"])
def test_events_that_say_nothing(kind):
    assert parse(events.line({"type": kind, "id": "e"})).pieces == ()


def test_the_message_s_own_time_stands_in():
    found = parse(b'{"type":"message","id":"e","message":{"role":"user","timestamp":1795327200000,"content":"x"}}')
    assert found.timestamp == "2026-11-22T06:00:00.000Z"


@given(VALUES)
def test_arguments_of_any_shape_become_words(value):
    assert flatten(value).encode("utf-8") is not None
