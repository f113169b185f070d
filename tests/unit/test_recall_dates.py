"""Times in words."""

from __future__ import annotations

import pytest

from moon.clock import format_ms, parse_ms
from moon.errors import UsageWrong
from moon.recall.dates import Calendar, spans
from moon.recall.limits import begin_of, end_of

NOW = "2026-11-22T15:30:00.000Z"  # a Sunday


@pytest.fixture
def calendar() -> Calendar:
    instant = parse_ms(NOW)
    assert instant is not None
    return Calendar(instant, "UTC")


def days(calendar: Calendar, text: str, years: tuple[int, ...] = ()) -> list[tuple[str, str]]:
    return [(format_ms(span.begin)[:10], format_ms(span.end)[:10]) for span in spans(text, calendar, years)]


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("on 8 may 2026", "2026-05-08", "2026-05-09"),
        ("may 8th, 2026", "2026-05-08", "2026-05-09"),
        ("2026-05-08", "2026-05-08", "2026-05-09"),
        ("in june 2025", "2025-06-01", "2025-07-01"),
        ("2025-06", "2025-06-01", "2025-07-01"),
        ("in march", "2026-03-01", "2026-04-01"),
        ("in december", "2025-12-01", "2026-01-01"),
        ("in 2024", "2024-01-01", "2025-01-01"),
        ("yesterday", "2026-11-21", "2026-11-22"),
        ("last tuesday", "2026-11-17", "2026-11-18"),
        ("last sunday", "2026-11-15", "2026-11-16"),
        ("last week", "2026-11-09", "2026-11-16"),
        ("this week", "2026-11-16", "2026-11-23"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("3 days ago", "2026-11-19", "2026-11-20"),
        ("two weeks ago", "2026-11-08", "2026-11-09"),
    ],
)
def test_spans(calendar: Calendar, text: str, begin: str, end: str) -> None:
    assert days(calendar, text) == [(begin, end)]


@pytest.mark.parametrize(
    "text", ["may i ask", "you may", "31 february 2025", "version 2026", "the second one", "99999 years ago"]
)
def test_what_names_no_time(calendar: Calendar, text: str) -> None:
    assert days(calendar, text) in ([], [("1970-01-02", "1970-01-03")])


def test_a_month_without_a_year_means_each_year_that_was_talked_in(calendar: Calendar) -> None:
    assert days(calendar, "in june", (2024, 2025)) == [("2024-06-01", "2024-07-01"), ("2025-06-01", "2025-07-01")]


def test_nearness(calendar: Calendar) -> None:
    (day,) = spans("8 may 2026", calendar)
    assert [day.closeness(parse_ms(f"2026-05-{each:02}T12:00:00Z") or 0) for each in (8, 9, 14, 30)] == [
        1.0,
        1.0,
        0.4,
        0.0,
    ]
    assert day.closeness(0) == 0.0


def test_days_begin_where_the_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOON_NOW", NOW)
    assert format_ms(begin_of("2026-05-08", "Asia/Tokyo")) == "2026-05-07T15:00:00.000Z"
    assert format_ms(end_of("2026-05-08", "Asia/Tokyo")) == "2026-05-08T15:00:00.000Z"
    assert format_ms(begin_of("tuesday", "UTC")) == "2026-11-17T00:00:00.000Z"
    assert format_ms(begin_of("2026-05-08T10:00:00Z", "Asia/Tokyo")) == "2026-05-08T10:00:00.000Z"
    assert format_ms(begin_of("8 May 2026 14:00", "Asia/Tokyo")) == "2026-05-08T05:00:00.000Z"
    assert format_ms(end_of("now", "UTC")) == NOW


def test_what_is_no_time_is_refused_in_words() -> None:
    with pytest.raises(UsageWrong, match="blue moon"):
        begin_of("blue moon", "UTC")
