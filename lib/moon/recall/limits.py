"""The times of `--since` and `--until`: words like "last tuesday", dates, instants."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from moon.clock import now_ms, parse_ms, zone
from moon.errors import UsageWrong
from moon.fulltext.words import fold
from moon.recall.dates import DAYS, Calendar, spans


def begin_of(text: str, zone_name: str) -> int:
    """The instant at which the named time begins. Raises `UsageWrong`."""
    return _bounds(text, zone_name)[0]


def end_of(text: str, zone_name: str) -> int:
    """The instant at which the named time ends. Raises `UsageWrong`."""
    return _bounds(text, zone_name)[1]


def _bounds(text: str, zone_name: str) -> tuple[int, int]:
    folded = fold(text).strip()
    calendar = Calendar(now_ms(), zone_name)
    if folded == "now":
        return calendar.now, calendar.now
    if ":" not in folded:
        named = spans(f"last {folded}" if folded in DAYS else folded, calendar)
        if len(named) == 1:
            return named[0].begin, named[0].end
    instant = parse_ms(text) if folded.endswith("z") else None
    return (instant, instant) if instant is not None else _written_date(text, zone_name)


def _written_date(text: str, zone_name: str) -> tuple[int, int]:
    """Any other way to write a date or an instant, in the configured time zone where it names none."""
    from dateutil import parser

    today = datetime.combine(Calendar(now_ms(), zone_name).today, datetime.min.time())
    try:
        found = parser.parse(text, default=today)
    except (ValueError, OverflowError) as error:
        raise UsageWrong(
            f"not a time: {text!r}", hint='for instance 2026-05-08, "8 May 2026 14:00", "last tuesday", "3 days ago"'
        ) from error
    local = found if found.tzinfo else (found.replace(tzinfo=zone(zone_name)) if zone_name else found.astimezone())
    begin = int(local.astimezone(timezone.utc).timestamp() * 1000)
    is_a_day = found.time() == datetime.min.time() and ":" not in text
    return begin, begin + int(timedelta(days=is_a_day).total_seconds() * 1000)
