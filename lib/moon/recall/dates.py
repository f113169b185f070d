"""Times named in words: "June 2023", "8 May", "last tuesday", "two weeks ago" → spans of time.

A question's spans only raise what lies near them; `--since` and `--until` limit.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from typing import NamedTuple

from moon.clock import zone

MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
MONTHS += ["november", "december"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "few": 3, "couple of": 2}

_MONTH = "|".join(MONTHS)
_ISO_DAY = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_NAMED = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?)?({_MONTH})\b(?:\s+(\d{{1,2}})(?:st|nd|rd|th)?\b)?,?(?:\s*((?:19|20)\d\d)\b)?"
)
_YEAR = re.compile(r"\b(?:in|during|of|since|until|year)\s+((?:19|20)\d\d)\b")
_MAY_IS_A_MONTH = re.compile(r"\b(?:in|of|since|until|during|last|this|next|by|early|late)\s+may\b")
_AGO = re.compile(r"\b(\d{1,3}|an?|one|two|three|four|five|six|few|couple of)\s+(hour|day|week|month|year)s?\s+ago\b")
_LAST = re.compile(rf"\b(last|this|past)\s+(week|weekend|month|year|{'|'.join(DAYS)})\b")
_NEAR_DAY = re.compile(r"\b(yesterday|today|tonight|this morning)\b")

DAY_MS = 86_400_000


class Span(NamedTuple):
    """A time that a question names, in milliseconds: what it says (`begin` to `end`), what may be meant, for people
    misremember days (`since` to `until`), and the wider time in which it is still talked about.
    """

    begin: int
    end: int
    since: int
    until: int
    wide_since: int
    wide_until: int

    def closeness(self, at: int) -> float:
        """1 within the time, less around it, 0 elsewhere or when the time is unknown."""
        if self.since <= at < self.until:
            return 1.0
        return NEAR if self.wide_since <= at < self.wide_until else 0.0


NEAR = 0.4


class Calendar:
    """Turns local dates into instants, for one time zone and one "now"."""

    def __init__(self, now: int, zone_name: str = "") -> None:
        self.zone = zone(zone_name)
        self.now = now
        self.today = datetime.fromtimestamp(now / 1000, tz=timezone.utc).astimezone(self.zone).date()

    def start(self, day: date) -> int:
        """The instant at which a local day begins."""
        local = datetime.combine(day, time.min)
        aware = local.replace(tzinfo=self.zone) if self.zone else local.astimezone()
        return int(aware.timestamp() * 1000)

    def day_span(self, day: date) -> Span:
        """A day, as people remember days: with the one before and after it, and the week around it."""
        return Span(
            self.start(day),
            self.start(day + timedelta(1)),
            self.start(day - timedelta(1)),
            self.start(day + timedelta(2)),
            self.start(day - timedelta(8)),
            self.start(day + timedelta(9)),
        )

    def month_span(self, year: int, month: int) -> Span:
        """A month; what happened in it is still talked about in the next."""
        first = date(year, month, 1)
        after = _month_after(first)
        start, end = self.start(first), self.start(after)
        return Span(start, end, start, end, start, self.start(_month_after(after)))

    def year_span(self, year: int) -> Span:
        """A calendar year."""
        start, end = self.start(date(year, 1, 1)), self.start(date(year + 1, 1, 1))
        return Span(start, end, start, end, start, end)

    def days(self, first: date, last: date) -> Span:
        """From one local day to another, both included."""
        start, end = self.start(first), self.start(last + timedelta(1))
        return Span(start, end, start, end, start - DAY_MS, end + DAY_MS)


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(32)).replace(day=1)


def spans(text: str, calendar: Calendar, years: tuple[int, ...] = ()) -> list[Span]:
    """The times that a folded text names. A month without a year means each of `years`, else its last occurrence."""
    found: list[Span] = []
    for match in _ISO_DAY.finditer(text):
        found += _dated(calendar, int(match[1]), int(match[2]), match[3])
    for match in _NAMED.finditer(text):
        day = match[1] or match[3]
        if match[2] == "may" and not (day or match[4] or _MAY_IS_A_MONTH.search(text)):
            continue
        month = MONTHS.index(match[2]) + 1
        for year in [int(match[4])] if match[4] else years or (_last_year_of(month, calendar.today),):
            found += _dated(calendar, year, month, day)
    if not found:
        found += [calendar.year_span(int(match[1])) for match in _YEAR.finditer(text)]
    return found + relative(text, calendar)


def _dated(calendar: Calendar, year: int, month: int, day: str | None) -> list[Span]:
    try:
        if day:
            return [calendar.day_span(date(year, month, int(day)))]
        return [calendar.month_span(year, month)]
    except (ValueError, OverflowError):
        return []


def _last_year_of(month: int, today: date) -> int:
    return today.year if month <= today.month else today.year - 1


def relative(text: str, calendar: Calendar) -> list[Span]:
    """The times that a folded text counts from now."""
    found = []
    for match in _NEAR_DAY.finditer(text):
        day = calendar.today - timedelta(match[1] == "yesterday")
        found.append(calendar.days(day, day))
    for match in _LAST.finditer(text):
        found.append(_last(calendar, match[1], match[2]))
    for match in _AGO.finditer(text):
        count = int(match[1]) if match[1].isdigit() else NUMBERS[match[1]]
        found.append(_ago(calendar, count, match[2]))
    return found


def _last(calendar: Calendar, which: str, unit: str) -> Span:
    today = calendar.today
    monday = today - timedelta(today.weekday())
    back = 0 if which == "this" else 1
    if unit in DAYS:
        gone = (today.weekday() - DAYS.index(unit)) % 7 or 7 * back
        day = today - timedelta(gone)
        return calendar.days(day, day)
    if unit == "week":
        return calendar.days(monday - timedelta(7 * back), monday - timedelta(7 * back - 6))
    if unit == "weekend":
        return calendar.days(monday - timedelta(2 if back else -5), monday - timedelta(1 if back else -6))
    if unit == "month":
        first = (today.replace(day=1) - timedelta(back)).replace(day=1)
        return calendar.days(first, _month_after(first) - timedelta(1))
    return calendar.year_span(today.year - back)


def _ago(calendar: Calendar, count: int, unit: str) -> Span:
    if unit == "hour":
        at = calendar.now - count * 3_600_000
        return Span(at, at, at - 1_800_000, at + 1_800_000, at - 5_400_000, at + 5_400_000)
    length = {"day": 1, "week": 7, "month": 30, "year": 365}[unit]
    try:
        day = calendar.today - timedelta(count * length)
        slack = timedelta({"day": 0, "week": 3, "month": 12, "year": 120}[unit])
        near = calendar.days(day - slack, day + slack)
        return near._replace(begin=calendar.start(day), end=calendar.start(day + timedelta(1)))
    except OverflowError:
        return calendar.days(date(1970, 1, 2), date(1970, 1, 2))
