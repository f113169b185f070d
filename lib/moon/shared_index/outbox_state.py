"""What this machine still has to send to the shared index: `state/outbox.json`, `moon.outbox/1`.

There is no queue. What the archive holds and the database does not is what is to be sent, so that nothing can get lost
on the way or arrive twice; this file only remembers when somebody last looked, and how that went.
"""

from __future__ import annotations

import json
from typing import TypedDict

from moon.clock import now_ms, parse_ms
from moon.config import Config
from moon.errors import MoonError
from moon.files import read_bounded, write_atomic
from moon.paths import Home
from moon.schema import dump

# After failures it is tried again after pauses that double from a minute to a quarter of an hour.
FIRST_PAUSE_MS = 60_000
LONGEST_PAUSE_MS = 900_000


class Failure(TypedDict):
    """Why the last attempt came to nothing. `since`: the first of them in a row, `times`: how many."""

    code: str
    message: str
    hint: str
    since: str
    times: int


class OutboxState(TypedDict):
    """`rounds`: how often all was asked to be sent anew. `ledger`: size and time of the ledger that was looked at.
    `skipped`: archives that cannot be read.
    """

    schema: str
    rounds: int
    waiting: int
    sent_at: str | None
    tried_at: str | None
    ledger: list[int]
    skipped: list[str]
    failure: Failure | None


def nothing_known() -> OutboxState:
    """Before anything was sent."""
    return {
        "schema": "moon.outbox/1",
        "rounds": 0,
        "waiting": 0,
        "sent_at": None,
        "tried_at": None,
        "ledger": [],
        "skipped": [],
        "failure": None,
    }


def read_state(home: Home) -> OutboxState:
    """What is remembered; of a file that cannot be read nothing, which costs one look at the database."""
    try:
        found = json.loads(read_bounded(home.outbox, 1 << 22))
        known: OutboxState = {**nothing_known(), **found}
        failure = known["failure"]
        numbers = [known["rounds"], known["waiting"], *known["ledger"], failure["times"] if failure else 0]
        return known if all(isinstance(each, int) for each in numbers) else nothing_known()
    except (OSError, ValueError, TypeError, KeyError, MoonError):
        return nothing_known()


def write_state(home: Home, state: OutboxState) -> None:
    """Remember it."""
    write_atomic(home.outbox, dump("outbox", state))


def ledger_mark(home: Home) -> list[int]:
    """Size and time of the ledger; empty where there is none."""
    try:
        found = home.ledger.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def due_at(state: OutboxState, mark: list[int], now: int) -> int | None:
    """When to try next; `now` for at once, None when nothing is to be sent. Pure; times in milliseconds."""
    failure = state["failure"]
    if failure is None:
        return now if state["waiting"] > 0 or state["ledger"] != mark else None
    pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(10, failure["times"] - 1))
    tried = parse_ms(state["tried_at"]) or 0
    # A clock that was set back must not keep it waiting.
    return tried + pause if 0 <= now - tried < pause else now


def send_due_at(home: Home, config: Config, now: int) -> int | None:
    """The same for a home; None also where no index is shared. Reads one small file."""
    if config.index.engine != "postgresql":
        return None
    return due_at(read_state(home), ledger_mark(home), now)


def is_send_due(home: Home, config: Config) -> bool:
    """Is it time to send something?"""
    now = now_ms()
    due = send_due_at(home, config, now)
    return due is not None and due <= now


def rounds_begun(home: Home) -> None:
    """Let everything be sent anew, by the rules of now: after `moon-index --rebuild`."""
    state = read_state(home)
    write_state(home, {**state, "rounds": state["rounds"] + 1, "ledger": [], "skipped": []})
