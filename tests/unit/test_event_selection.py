"""Taking events in bulk comes to the same as looking at each by itself."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.archive import event_selection
from moon.archive.event_selection import CHUNK_BYTES, CHUNK_EVENTS, Chunk, Met, in_chunks, judge
from moon.openclaw import events
from moon.openclaw.events import event_id, event_ids
from moon.openclaw.transcript_store import StoredEvent

# Lines that lean on their neighbours: each is none by itself, and some of them are an array together.
LEANING = (
    b'{"id":"a","x":[1',
    b"2]}",
    b'{"a":[{}',
    b'{}]},{"id":"x"}',
    b'{"id":"a"},{"id":"b"}',
    b'{"id":"q","t":"half',
    b'other half"}',
    b"",
    b"null",
    b"1,2",
    b"]",
    b'[{"id":"z"}]',
    b'\xef\xbb\xbf{"id":"bom"}',
    b"\x00",
    b"\xff",
    b'{"id":7}',
    b'{"id":"one","id":"two"}',
    b' {"id":"spaces"} ',
    b'{"id":"\xc3',
    b'{"id":"\\ud800"}',
    b'{"id":""}',
    b'{"\\u0069d":"hidden"}',
    b"[" * 2_000,
)
SOUND = st.dictionaries(
    st.sampled_from(["id", "type", "message"]), st.text(max_size=6) | st.integers() | st.none(), max_size=3
).map(lambda entry: json.dumps(entry).encode())


@given(st.lists(st.sampled_from(LEANING) | SOUND | st.binary(max_size=8), max_size=8))
def test_the_ids_of_many_lines_are_those_of_each(lines):
    assert event_ids(lines) == [event_id(line) for line in lines]


def test_sound_lines_are_parsed_together(monkeypatch):
    lines = [json.dumps({"id": f"e{number}"}).encode() for number in range(50)]
    monkeypatch.setattr(events, "event_id", lambda line: pytest.fail("one by one"))
    assert event_ids(lines) == [f"e{number}" for number in range(50)]


def test_large_lines_are_not_held_twice(monkeypatch):
    monkeypatch.setattr(events, "TOGETHER_BYTES", 100)
    asked = []
    monkeypatch.setattr(events, "event_id", lambda line: asked.append(line) or "x")
    assert event_ids([b"{}" * 51]) == ["x"] and len(asked) == 1


def test_a_chunk_is_bounded_in_events_and_in_bytes():
    small = [StoredEvent(b"x")] * (2 * CHUNK_EVENTS + 1)
    assert [len(chunk) for chunk in in_chunks(small)] == [CHUNK_EVENTS, CHUNK_EVENTS, 1]
    large = [StoredEvent(b"x" * (CHUNK_BYTES // 2))] * 5
    assert [len(chunk) for chunk in in_chunks(large)] == [2, 2, 1]
    assert list(in_chunks([])) == []


def chunk(*lines: bytes, problem: str = "") -> Chunk:
    stored = [StoredEvent(line, problem) for line in lines]
    return Chunk(stored, event_ids(list(lines)), [hashlib.sha256(line).digest() for line in lines])


A, B, B_CHANGED = b'{"id":"a"}', b'{"id":"b"}', b'{"id":"b","v":2}'


def verdict(found: Chunk, *archived: bytes) -> str:
    held = chunk(*archived)
    return judge(
        found, found.ids, lambda ids: {each for each in zip(held.ids, held.digests, strict=True) if each[0] in ids}
    )


def test_a_chunk_is_judged_as_a_whole_only_where_that_is_right():
    assert verdict(chunk(A, B)) == "new"
    assert verdict(chunk(A, B), A, B) == "known"
    assert verdict(chunk(A, B), B_CHANGED, B, A) == "known"
    assert verdict(chunk(A, B), A) == "mixed", "one of them is new"
    assert verdict(chunk(A, B), A, B_CHANGED) == "mixed", "one of them came back changed"
    assert verdict(chunk(A, A)) == "mixed", "the same twice"
    assert verdict(chunk(B, B_CHANGED)) == "mixed", "two under one id"
    assert verdict(chunk(A, b"no json")) == "mixed"
    assert verdict(chunk(A, b'{"type":"x"}')) == "mixed", "one without an id"
    assert verdict(chunk(A, problem="torn")) == "mixed"
    assert verdict(chunk(b'{"id":\n"a"}')) == "mixed", "what holds a line break is no line"


def test_what_surely_never_came_before_is_not_asked_for():
    met = Met()
    assert met.meet(["a", "b"]) == []
    assert met.meet(["c", "a"]) == ["a"]
    asked = []
    assert judge(chunk(A), [], lambda ids: asked.append(ids) or set()) == "new"
    assert asked == []


def test_ids_that_share_a_place_are_asked_for(monkeypatch):
    monkeypatch.setattr(event_selection, "MET_MARKS", 1)
    met = Met()
    met.meet(["a"])
    assert met.meet(["b"]) == ["b"], "perhaps, not surely"
