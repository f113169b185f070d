"""Usage curves and the page: what an event says, where a mark stands, and that names are only text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.test_html_page import HOSTILE, Elements

from moon.config import defaults
from moon.status.status_page import DayTotal, Readable, kept_by_day, status_page
from moon.status.usage_curve import Curve, Mark, Point, marks_of, usage_point
from moon.status.usage_plot import HEIGHT, LETTERS, plot

THRESHOLDS = defaults().thresholds
HOUR = 3_600_000
START = 1_760_000_000_000


def answer(tokens: Any, when: Any = "2026-11-22T06:00:00Z") -> bytes:
    return json.dumps({"timestamp": when, "message": {"role": "assistant", "usage": {"totalTokens": tokens}}}).encode()


def test_an_answer_says_how_full_its_context_was() -> None:
    assert usage_point(answer(16426)) == Point(1795327200000, 16426)


@pytest.mark.parametrize(
    "line",
    [
        answer(0),
        answer(-1),
        answer("many"),
        answer(None),
        answer(5, "yesterday"),
        answer(5, None),
        b'{"totalTokens": 5',
        b'[{"totalTokens": 5}]',
        b"plain",
        b"\xff\xfe totalTokens",
    ],
)
def test_what_says_nothing_is_no_point(line: bytes) -> None:
    assert usage_point(line) is None


def test_only_what_was_done_is_marked_each_for_its_session() -> None:
    entry = {"time": "2026-11-22T06:00:00Z", "agent": "main", "session_key": "k", "action": "prune", "outcome": "done"}
    mark = [Mark(1795327200000, "prune")]
    assert marks_of([json.dumps(entry).encode(), b"torn {", b"[1]"]) == {("main", "k"): mark}
    assert marks_of([json.dumps({**entry, "agent": "ops"}).encode()]) == {("ops", "k"): mark}
    for other in ({"outcome": "refused"}, {"action": "verify"}, {"time": "?"}):
        assert marks_of([json.dumps({**entry, **other}).encode()]) == {}


def rising(budget: int = 100) -> Curve:
    points = tuple(Point(START + hour * HOUR, hour + 1) for hour in range(100))
    return Curve("main", "agent:main:main", points, (Mark(START + 50 * HOUR, "prune"),), budget, THRESHOLDS)


def test_plot_rises_and_marks_stand_below_their_time() -> None:
    lines = plot(rising(), 80)
    rows = [line.partition("┤")[2] for line in lines[1 : 1 + HEIGHT]]
    assert [len(row.strip()) for row in rows] == sorted(len(row.strip()) for row in rows)
    marks = lines[1 + HEIGHT].partition("└")[2]
    assert abs(marks.index(LETTERS["prune"]) - len(marks) // 2) <= 1
    assert any(line.strip().startswith("80%") for line in lines)
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    "curve",
    [
        Curve("main", "k", (), (), 0, THRESHOLDS),
        Curve(
            "main",
            "k",
            (Point(START, 5),),
            (Mark(START - HOUR, "archive"), Mark(START + HOUR, "rollover")),
            0,
            THRESHOLDS,
        ),
        rising(0),
        rising(1),
    ],
)
@pytest.mark.parametrize("width", [1, 40, 300])
def test_plot_of_little_or_odd_is_still_a_plot(curve: Curve, width: int) -> None:
    assert plot(curve, width)


def document(hostile: str = "plain") -> dict[str, Any]:
    return {
        "home": hostile,
        "taken_at": hostile,
        "problems": [{"message": hostile, "hint": hostile, "since": hostile, "needs_person": True}],
        "heartbeat": {"at": hostile},
        "archives": {"archives": 1, "events": 2, "bytes": 3},
        "disk": {"raw_bytes": 1, "index_bytes": 2},
        "distillation": {"calls": 1, "calls_per_day": 2, "tokens": 3, "tokens_per_day": 4},
    }


@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_and_problems_are_only_text(hostile: str) -> None:
    curve = rising()._replace(session_key=hostile)
    listed = [Readable(hostile, hostile, 1, 2, hostile, "m-conversations/x.html")]
    made = Elements(status_page(document(hostile), [curve], [DayTotal("2026-11-22", 5)], listed))
    plain = Elements(
        status_page(document(), [rising()], [DayTotal("2026-11-22", 5)], [Readable("a", "b", 1, 2, "c", "x")])
    )
    assert [tag for tag, _ in made.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in made.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert made.open == []


def test_page_of_nothing_says_so() -> None:
    made = Elements(status_page({**document(), "problems": []}, [], [], []))
    for words in ("None.", "No archived answer says so yet.", "Nothing yet.", "None is archived yet."):
        assert words in made.text


def test_growth_adds_up_day_by_day() -> None:
    assert kept_by_day({"2026-11-22": 5, "2026-11-20": 7}) == [DayTotal("2026-11-20", 7), DayTotal("2026-11-22", 12)]
