"""What is told of a problem, and when: once when a person is needed, once more when it lasts, once when it is over."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moon import schema
from moon.health.problems import Subject, Trouble
from moon.health.telling import Event, of_cycle, plan
from moon.remedies import remedy_of

LASTS = 1_000


def trouble(code: str = "disk_full", **more: Any) -> Trouble:
    return Trouble("sample", code, f"words of {code}", **{"since": 0, "last": 0, **more})


def kinds(events: list[Event]) -> list[str]:
    for event in events:
        schema.check("event", event)
    return [event["event"] for event in events]


def test_it_is_told_when_it_begins_when_it_lasts_and_when_it_is_over() -> None:
    begun = plan([], [trouble()], LASTS, 0)
    assert kinds(begun.events) == ["began"] and begun.problems[0].told == "began"
    again = plan(begun.problems, begun.problems, LASTS, LASTS - 1)
    assert again.events == []
    lasting = plan(again.problems, again.problems, LASTS, LASTS)
    assert kinds(lasting.events) == ["lasts"]
    assert plan(lasting.problems, lasting.problems, LASTS, 50 * LASTS).events == []
    over = plan(lasting.problems, [], LASTS, 7_200_000)
    assert kinds(over.events) == ["ended"] and "well again after 2 h" in over.events[0]["text"]


def test_what_may_pass_by_itself_is_told_when_it_did_not() -> None:
    patience = remedy_of("gateway_unreachable").patience
    assert patience > 1
    first = plan([], [trouble("gateway_unreachable")], LASTS, 0)
    assert first.events == []
    assert plan(first.problems, [], LASTS, 1).events == []
    assert kinds(plan([], [trouble("gateway_unreachable", times=patience)], LASTS, 0).events) == ["began"]
    assert plan([], [trouble("store_too_new", times=99)], LASTS, 0).events == []


def test_the_line_says_what_and_what_to_do_and_steers_nothing() -> None:
    odd = trouble(path="/m", subjects=(Subject("main", "k", "s"),))._replace(message="\x1b[2J\nfull")
    (event,) = plan([], [odd], LASTS, 0).events
    assert event["text"].startswith("Moon needs you: \\x1b[2J full (1 session). What to do: the disk is full: free")
    assert event["problem"]["code"] == "disk_full"


def test_good_news_of_a_cycle() -> None:
    def entry(number: int, outcome: str) -> dict[str, str]:
        return {"agent": "main", "session_key": f"agent:main:{number}", "session_id": f"s{number}", "outcome": outcome}

    document: Any = {
        "stations": [
            {"station": "archive", "sessions": [entry(n, "done") for n in range(5)] + [entry(9, "nothing")]},
            {"station": "index", "sessions": [entry(1, "done")]},
            {"station": "rollover", "sessions": [entry(1, "deferred")]},
        ]
    }
    (event,) = list(of_cycle(document, 0))
    assert kinds([event]) == ["archived"] and event["sessions"] == 5
    assert event["text"].endswith("agent:main:0, agent:main:1, agent:main:2 and 2 more")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3 * LASTS)), max_size=30))
def test_whatever_happens_nothing_is_told_twice_and_every_end_has_a_beginning(history: Any) -> None:
    now, known, told = 0, [], []
    for there, passed in history:
        now += passed
        seen = [known[0] if known else trouble(since=now)] if there else []
        done = plan(known, seen, LASTS, now)
        known = done.problems
        told += [event["event"] for event in done.events]
    text = "".join({"began": "b", "lasts": "l", "ended": "e"}[each] for each in told)
    while "be" in text or "ble" in text:
        text = text.replace("ble", "").replace("be", "")
    assert text in ("", "b", "bl")
