"""Signs of trouble that nobody but a later look can see: a timer that stopped, a clock that jumped, a disk that fills.

Each gives errors with a code of `moon.remedies`. Pure, but for the free space of the disk, which is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms, parse_ms
from moon.errors import MoonError
from moon.health.behind import LATE_SECONDS, is_late
from moon.paths import Home
from moon.text import readable_size

if TYPE_CHECKING:
    from moon.documents import LedgerLine

Document = dict[str, Any]
DAY_MS = 86_400_000
# A clock may be some seconds off; an hour ahead is another matter.
AHEAD_SECONDS = 60
GROWTH_DAYS = 7
ENOUGH_DAYS = 14
ENOUGH_BYTES = 200 << 20
NOTHING_BYTES = 1 << 20
BUDGET_SHARE = 0.8


class Growth(NamedTuple):
    """Bytes on the disk a day, and for how many days the free room lasts; None where that cannot be said."""

    bytes_per_day: int
    days_left: int | None


def heartbeat_of(heartbeat: int, interval: int, now: int) -> Document:
    """How old a heartbeat is, of a timer with that interval in seconds; 0 for none. Times in milliseconds."""
    age = max(0, now - heartbeat) // 1000 if heartbeat else None
    return {
        "at": format_ms(heartbeat) if heartbeat else None,
        "age_seconds": age,
        "interval_seconds": interval,
        "ahead_seconds": max(0, heartbeat - now) // 1000 if heartbeat else 0,
        "late": is_late(age, interval),
    }


def timer_trouble(
    heartbeat: Document, open_cycle: Document | None, home: str, home_age: int | None = None
) -> Iterator[MoonError]:
    """Is somebody looking? A heartbeat in the future proves nothing. `home_age`: how old the home is, in seconds."""
    age, every = heartbeat["age_seconds"], heartbeat["interval_seconds"]
    if age is None:
        if home_age is not None and not is_late(home_age, every):
            return  # the first tick is still to come
        yield MoonError("moon-sample has never looked", code="never_looked", path=home)
    elif heartbeat["ahead_seconds"] > AHEAD_SECONDS:
        words = f"the heartbeat lies {heartbeat['ahead_seconds']} s in the future, at {heartbeat['at']}"
        yield MoonError(f"{words}; whether the timer runs cannot be told from it", code="clock_wrong", path=home)
    elif heartbeat["late"] and open_cycle is not None:
        words = f"a cycle is at work, or was cut short before {open_cycle['next_station'] or 'its end'}"
        yield MoonError(f"moon-sample last looked {age} s ago: {words}", code="cycle_stuck", path=home)
    elif heartbeat["late"]:
        words = f"moon-sample last looked {age} s ago instead of every {every} s"
        yield MoonError(words, code="timer_stopped", path=home)


def index_trouble(
    lines: Iterable[LedgerLine], indexed: frozenset[str], now: int, path: str, gone: bool = False
) -> Iterator[MoonError]:
    """Archives that should have been indexed by now. `gone`: there is no index at all, and nobody making one."""
    limit = now + 1 if gone else now - LATE_SECONDS * 1000
    old = [each for each in lines if each["sha256"] not in indexed and (parse_ms(each["archived_at"]) or 0) < limit]
    if old:
        what = "archive is" if len(old) == 1 else "archives are"
        yield MoonError(f"{len(old)} {what} not indexed and cannot be found", code="index_behind", path=path)


def forget_trouble(home: Home, now: int) -> Iterator[MoonError]:
    """Was something to be forgotten, some time ago, and is not?"""
    try:
        asked = int((home.state / "forget.json").stat().st_mtime * 1000)
    except OSError:
        return
    if now - asked > LATE_SECONDS * 1000:
        words = "something that was to be forgotten is not wholly gone yet"
        yield MoonError(words, code="forget_unfinished", path=str(home.state / "forget.json"))


def growth_of(lines: Iterable[LedgerLine], on_disk: int, free: int | None, now: int) -> Growth:
    """At the pace of the last days. What was archived on the very first day was years of past, and does not count."""
    known = [(parse_ms(line["archived_at"]) or 0, line["bytes"]) for line in lines]
    begun = min((when for when, _ in known), default=now) + DAY_MS
    window = min(GROWTH_DAYS * DAY_MS, now - begun)
    if window < DAY_MS:
        return Growth(0, None)
    recent = sum(size for when, size in known if now - window < when <= now)
    kept = sum(size for _, size in known)
    a_day = int(recent * (on_disk / kept if kept else 1) * DAY_MS / window)
    return Growth(a_day, None if free is None or not a_day else free // a_day)


def budget_trouble(used: int, budget: int, growth: Growth, path: str) -> Iterator[MoonError]:
    """Does Moon soon take more than it may? `budget` in bytes, 0 for none. Nothing stops when it does."""
    if not budget or used < budget * BUDGET_SHARE:
        return
    words = f"Moon takes {readable_size(used)} of the {readable_size(budget)} that it may"
    if used < budget and growth.bytes_per_day:
        days = (budget - used) // growth.bytes_per_day
        words += f": enough for {days} days at {readable_size(growth.bytes_per_day)} a day"
    yield MoonError(words, code="disk_budget", path=path)


def disk_trouble(free: int | None, growth: Growth, path: str) -> Iterator[MoonError]:
    """Is there room, and for how long?"""
    if free is None:
        return
    room = f"{readable_size(free)} are free"
    if free < NOTHING_BYTES:
        yield MoonError(f"the disk of {path} is full: {room}", code="disk_full", path=path)
    elif growth.days_left is not None and growth.days_left < ENOUGH_DAYS:
        words = f"{room}: enough for {growth.days_left} days at {readable_size(growth.bytes_per_day)} a day"
        yield MoonError(f"the disk of {path} fills up: {words}", code="disk_low", path=path)
    elif free < ENOUGH_BYTES:
        yield MoonError(f"the disk of {path} is nearly full: {room}", code="disk_low", path=path)
