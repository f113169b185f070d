"""How full a session was over time, and what was done when: from its archives and the audit log.

An answer of the model says how many tokens its context held (`message.usage.totalTokens`); that is a point of the
curve, so nothing has to record it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from moon.clock import parse_ms
from moon.vault.catalog import Catalog
from moon.vault.restore import restore

ACTIONS = ("archive", "prune", "distill", "rollover")


class Point(NamedTuple):
    """Tokens in the context at a moment (milliseconds)."""

    at: int
    tokens: int


class Mark(NamedTuple):
    """Something that Moon did to the session."""

    at: int
    action: str


class Curve(NamedTuple):
    """A session's past. `budget`: tokens that its prompt may hold, 0 where nobody knows."""

    agent: str
    session_key: str
    points: tuple[Point, ...]
    marks: tuple[Mark, ...]
    budget: int = 0

    @property
    def top(self) -> int:
        """What the axis has to reach."""
        return max([self.budget, *(each.tokens for each in self.points), 1])


def read_curve(catalog: Catalog, agent: str, session_key: str, audit: Iterable[bytes], budget: int = 0) -> Curve:
    """The curve of every archived window of a session; what cannot be read of it is left out. Raises `MoonError`."""
    points: list[Point] = []

    def take(line: bytes) -> None:
        point = usage_point(line)
        if point is not None:
            points.append(point)

    for each_agent, key, session_id in catalog.sessions():
        if (each_agent, key) == (agent, session_key):
            restore(catalog, agent, session_id, take)
    marks = [mark for line in audit if (mark := mark_of(line, agent, session_key)) is not None]
    return Curve(agent, session_key, tuple(sorted(points)), tuple(sorted(marks)), budget)


def usage_point(line: bytes) -> Point | None:
    """What an event says of its context; None for one that says nothing."""
    if b'"totalTokens"' not in line:
        return None
    try:
        event = json.loads(line)
        tokens, at = event["message"]["usage"]["totalTokens"], parse_ms(event["timestamp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Point(at, tokens) if at and isinstance(tokens, int) and 0 < tokens < 1 << 40 else None


def mark_of(line: bytes, agent: str, session_key: str) -> Mark | None:
    """What a line of the audit log says was done to that session."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or (entry.get("agent"), entry.get("session_key")) != (agent, session_key):
        return None
    at = parse_ms(str(entry.get("time", "")))
    known = entry.get("action") in ACTIONS and entry.get("outcome") == "done"
    return Mark(at, str(entry["action"])) if at and known else None
