"""Run `notify.command` for events, in bounded time; whatever it does, nothing stops.

The event is JSON on standard input; an argument that is `{text}` becomes its line for people.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable

from moon import audit
from moon.config import Notify
from moon.errors import MoonError
from moon.health.telling import Event
from moon.paths import Home
from moon.programs import run
from moon.text import escape_json

TEXT = "{text}"
OUTPUT_LIMIT = 1 << 16
# Many things can go wrong in one moment; a tick waits for so long in all, and tells no more than so many.
MOST_EVENTS = 5
MOST_SECONDS = 120.0


def notify(home: Home, settings: Notify, events: Iterable[Event]) -> None:
    """Tell the events that are wanted; a failure is noted in the audit log."""
    wanted = [each for each in events if each["event"] in settings.events]
    deadline = time.monotonic() + MOST_SECONDS
    for number, event in enumerate(wanted, 1):
        if number > MOST_EVENTS or time.monotonic() > deadline:
            _note(home, "nothing", f"{len(wanted) - number + 1} events more were not told")
            return
        problem = send(settings, event)
        _note(home, "failed" if problem else "done", problem or f"{event['event']}: {event['text']}")


def send(settings: Notify, event: Event) -> str:
    """Run the command once; what went wrong, or nothing."""
    argv = [event["text"] if each == TEXT else each for each in settings.command]
    environment = {name: value for name, value in os.environ.items() if name != "MOON_LOCK_FD"}
    try:
        done = run(
            argv,
            timeout=settings.timeout_seconds,
            max_output=OUTPUT_LIMIT,
            env=environment,
            input_bytes=escape_json(json.dumps(event, ensure_ascii=False)).encode() + b"\n",
        )
    except MoonError as error:
        return error.message
    return "" if done.code == 0 else f"{argv[0]} {done.describe()}"


def _note(home: Home, outcome: str, reason: str) -> None:
    try:
        audit.record(home, "notify", outcome, reason=reason)
    except MoonError:
        return  # the disk is full, which may be what was told
