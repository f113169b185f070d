"""Is the archive behind what is said right now? One line for whoever asks it, without reading the whole state."""

from __future__ import annotations

import re

from moon.clock import now_ms, parse_ms
from moon.health import health_file
from moon.paths import Home
from moon.text import span

# The heartbeat stands at the beginning of the state file, which may name thousands of sessions behind it.
BEGINNING = 400
HEARTBEAT = re.compile(rb'"heartbeat":\s*"([^"]+)"')
LOSS = "loss"
# A cycle at work leaves no heartbeat; after this many intervals, and this long, the timer has stopped.
LATE_INTERVALS = 5
LATE_SECONDS = 300


def behind(home: Home, interval_seconds: int) -> str:
    """Why the latest messages may be missing; "" when there is no sign of it. Nobody who never used a timer is told."""
    now = now_ms()
    age = (now - heartbeat) // 1000 if (heartbeat := last_look(home)) else None
    if age is not None and is_late(age, interval_seconds):
        return f"archive: nobody has looked for {span(age)}, so what was said since may be missing; see `moon-status`"
    problems = health_file.read(home).problems
    if not problems:
        return ""
    from moon.remedies import remedy_of

    for problem in problems:
        remedy = remedy_of(problem.code)
        if remedy.rank == LOSS and problem.times >= remedy.patience:
            since = span(max(0, now - problem.since) // 1000)
            return f"archive: behind for {since} ({problem.message}), so the latest may be missing; see `moon-status`"
    return ""


def is_late(age_seconds: int | None, interval_seconds: int) -> bool:
    """Is a heartbeat of that age a sign that nothing looks any more?"""
    return age_seconds is not None and age_seconds > max(LATE_INTERVALS * interval_seconds, LATE_SECONDS)


def last_look(home: Home) -> int:
    """The heartbeat in milliseconds since the epoch; 0 when there is none."""
    try:
        with home.state_file.open("rb") as stream:
            found = HEARTBEAT.search(stream.read(BEGINNING))
    except OSError:
        return 0
    return (parse_ms(found[1].decode("utf-8", "replace")) or 0) if found else 0
