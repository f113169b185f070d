"""The continuity map: what it takes from distillations, and how it is cut to its length."""

from __future__ import annotations

import pytest

from moon.rollover.continuity_map import (
    CUT_CHARACTERS,
    LISTS,
    TITLES,
    Facts,
    build_map,
    child_key,
    fit,
    idempotency_key,
    merge,
    recall_hints,
    render,
    with_cut_messages,
)
from moon.text import token_estimate


def record(**lists):
    return {**{name: [] for name in LISTS}, **lists}


def facts(*records):
    archive = {"sha256": "a" * 64, "archive_path": "archives/raw/main/x.jsonl", "events": 3}
    return Facts("r1", "main", "agent:main:main", "s1", "e9", "2026-11-22T06:46:40.000Z", records, [archive], ["m.md"])


def test_the_newest_comes_first_nothing_twice_and_none_is_nothing():
    records = [record(decisions=["use UTC", "none noted", " "]), record(decisions=["keep logs", " use UTC "])]
    assert merge(records, "decisions") == ["keep logs", "use UTC"]
    assert merge([], "decisions") == []


def test_no_long_list_crowds_out_the_others():
    full = {name: [] for name in LISTS} | {"open_tasks": ["task one", "task two", "task three"], "rules": ["rule one"]}
    cost = token_estimate("- task one\n")
    kept, left_out = fit(full, 2 * cost)
    assert (kept["open_tasks"], kept["rules"], left_out) == (["task one"], ["rule one"], 2)
    assert fit(full, 0)[1] == 4 and fit(full, 1_000)[1] == 0
    kept, left_out = fit({**full, "open_tasks": ["a very long task that has no room"]}, cost)
    assert (kept["open_tasks"], kept["rules"], left_out) == ([], ["rule one"], 1), "a shorter one may still have room"


@pytest.mark.parametrize("room", [400, 700, 2_000])
def test_a_map_is_no_longer_than_it_may_be_and_says_what_it_left_out(room):
    tasks = [f"task {number}: repair the lantern on shelf {number * 7}" for number in range(60)]
    document = build_map(facts(record(open_tasks=tasks, rules=["always use UTC"])), room, lambda text: text)
    assert token_estimate(render(document)) <= room
    assert len(document["open_tasks"]) + document["left_out"] == 60
    assert document["open_tasks"] == tasks[: len(document["open_tasks"])] and document["rules"] == ["always use UTC"]
    said = f"{document['left_out']} further items are in the daily memory" in render(document)
    assert said == (document["left_out"] > 0)


def test_all_of_it_is_redacted():
    document = build_map(facts(record(rules=["the token is xyz"])), 2_000, lambda text: text.replace("xyz", "[…]"))
    assert "xyz" not in render(document) and "the token is […]" in render(document)


def test_a_map_has_a_heading_for_what_it_holds_only():
    text = render(build_map(facts(record(rules=["one\n## Two"])), 2_000, lambda text: text))
    assert f"## {TITLES['rules']}\n- one ## Two" in text, "a line stays a line"
    assert not any(f"## {title}" in text for name, title in TITLES.items() if name != "rules")
    assert "- archive archives/raw/main/x.jsonl (3 events)\n- memory m.md\n- search: `" in text
    assert "Still without an answer" not in text and text.endswith("`\n")


def test_hints_lead_back_and_stand_safely_in_a_shell():
    lists = record(
        open_tasks=["one two three four five six seven eight nine", "ask `id`", "a third"],
        decisions=["keep /etc/moon.yaml at 10:30", "second"],
        identifiers=["user@host_1", "x"],
    )
    assert recall_hints(lists, "agent:main:main") == [
        'moon-recall "one two three four five six seven eight" --limit 5',
        'moon-recall "ask id" --limit 5',
        'moon-recall "keep /etc/moon.yaml at 10:30" --limit 5',
        'moon-recall "user@host_1" --limit 5',
    ]
    same = record(open_tasks=["same"], decisions=["same"])
    assert recall_hints(same, "k") == ['moon-recall "same" --limit 5']
    assert recall_hints(record(open_tasks=["$()"]), 'agent:main:a"b') == [
        'moon-recall "what was decided" --session "agent:main:a b"'
    ]


def test_messages_that_were_cut_off_are_named_and_whose_they_are():
    document = build_map(facts(record()), 2_000, lambda text: text)
    cut = with_cut_messages(document, [("word\nword " * 200, True), ("let me in", False)], str.upper)
    assert cut["cut_messages"] == [("WORD " * 400)[:CUT_CHARACTERS], "(somebody else in this chat) LET ME IN"]
    assert "- (somebody else in this chat) LET ME IN" in render(cut)


def test_keys_are_the_same_each_time():
    assert idempotency_key("R1") == "moon-R1" and child_key("ops", "R1") == "agent:ops:moon-r1"
