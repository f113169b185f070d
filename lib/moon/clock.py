"""Time: one source of "now", one text form of it, and local dates.

Instants are integer milliseconds since the epoch (what OpenClaw stores) or RFC 3339 text in UTC (what documents hold).
`MOON_NOW` (RFC 3339) replaces the clock, so that tests need not wait.
"""

from __future__ import annotations

import os
import time

# An idle tick needs the time and no calendar, so that is loaded where it is used. `typing` would be as dear.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date, tzinfo

# Instants that have a text form everywhere: up to the year 9999, and a day on the safe side of its end for time zones.
FIRST_MS = -2_208_988_800_000
LAST_MS = 253_402_214_400_000
# The instants at which minutes and days begin, by their text: most of what is read at once is of few of them.
_MINUTES: dict[str, int] = {}
_DAYS: dict[str, int] = {}
_MOST_MINUTES = 10_000


def now_ms() -> int:
    """Milliseconds since the epoch, from the clock or from MOON_NOW."""
    fixed = os.environ.get("MOON_NOW")
    if fixed:
        parsed = parse_ms(fixed)
        if parsed is not None:
            return parsed
    return time.time_ns() // 1_000_000


def format_ms(instant: int) -> str:
    """`1795332000123` → `2026-11-22T06:00:00.123Z`."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(instant // 1000))}.{instant % 1000:03d}Z"


def now_text() -> str:
    """Now as RFC 3339 text in UTC."""
    return format_ms(now_ms())


def parse_ms(value: object) -> int | None:
    """Read an RFC 3339 text, or a number of milliseconds or seconds, as milliseconds; None when it is neither.

    Numbers below 10^11 are taken as seconds: as milliseconds they would lie before 1973-03-03.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        instant = value * 1000 if abs(value) < 1e11 else value
        return int(instant) if FIRST_MS <= instant <= LAST_MS else None
    if not isinstance(value, str):
        return None
    if (quick := _quick_ms(value)) is not None:
        return quick
    from datetime import datetime, timedelta, timezone

    try:
        parsed = datetime.fromisoformat(_with_offset(value.strip()))
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    # Whole numbers all the way: a float of seconds loses the last millisecond now and then.
    instant = (parsed - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    if not FIRST_MS <= instant <= LAST_MS:
        return None
    if instant < LAST_MS and format_ms(instant) == value:
        begin = _remember_minute(value, instant - int(value[17:19] + value[20:23]))
        _DAYS[value[:11]] = begin - _clock_ms(value)
    return instant


def _quick_ms(value: str) -> int | None:
    """An instant written as `format_ms` does, in a minute that was read before; None for any other."""
    begin = _MINUTES.get(value[:17])
    if begin is None:
        begin = _minute_of_known_day(value)
    if begin is None or len(value) != 24 or value[19] != "." or value[23] != "Z":
        return None
    within = value[17:19] + value[20:23]
    return begin + int(within) if within.isascii() and within.isdigit() and within < "60" else None


def _minute_of_known_day(value: str) -> int | None:
    """When the minute of an instant begins, written as `format_ms` does, on a day that was read before."""
    day, clock = _DAYS.get(value[:11]), value[11:13] + value[14:16]
    if day is None or value[13:17:3] != "::" or not (clock.isascii() and clock.isdigit() and len(clock) == 4):
        return None
    return _remember_minute(value, day + _clock_ms(value)) if clock < "24" and clock[2:] < "60" else None


def _clock_ms(value: str) -> int:
    """How far the hour and minute of an instant lie from midnight."""
    return (int(value[11:13]) * 60 + int(value[14:16])) * 60_000


def _remember_minute(value: str, begin: int) -> int:
    if len(_MINUTES) >= _MOST_MINUTES:
        _MINUTES.clear()
        _DAYS.clear()
    _MINUTES[value[:17]] = begin
    return begin


def utc_text(value: object) -> str | None:
    """What `parse_ms` reads, as `format_ms` writes it; None for what is no instant."""
    if isinstance(value, str) and _quick_ms(value) is not None:
        return value
    instant = parse_ms(value)
    return None if instant is None else format_ms(instant)


def _with_offset(text: str) -> str:
    """Bring `…Z` and odd fraction lengths into the form that Python 3.10's fromisoformat reads."""
    if text[-1:] in "Zz":
        text = text[:-1] + "+00:00"
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6]:0<6}{tail[digits:]}"


def zone(name: str) -> tzinfo | None:
    """The time zone of that IANA name; the machine's own zone (None, as datetime means it) for an empty name.

    Raises `LookupError` for an unknown name, and says so where this machine knows no zone at all.
    """
    if not name:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        bare = "" if available_timezones() else ": no time zone data is installed (package tzdata); run `make venv`"
        raise LookupError(f"unknown time zone {name!r}{bare}") from error


def local_date(instant: int, zone_name: str) -> date:
    """The calendar date of an instant in the named zone."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(instant / 1000, tz=timezone.utc).astimezone(zone(zone_name)).date()


def date_start(text: str, zone_name: str) -> int | None:
    """When a day (`2025-01-31`) begins in the named zone, or the instant that an RFC 3339 time is; None for neither."""
    from datetime import datetime

    try:
        day = datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return parse_ms(text)
    return int(day.replace(tzinfo=zone(zone_name)).timestamp() * 1000)
