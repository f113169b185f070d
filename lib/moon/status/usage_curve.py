"""How full a session was over time, and what was done when: from its archives and the audit log.

An answer of the model says how many tokens its context held (`message.usage.totalTokens`); that is a point of the
curve, so nothing has to record it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from moon.clock import parse_ms
from moon.config import Thresholds
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
    budget: int
    thresholds: Thresholds

    @property
    def top(self) -> int:
        """What the axis has to reach."""
        return max([self.budget, *(each.tokens for each in self.points), 1])

    @property
    def span(self) -> tuple[int, int]:
        """The moments at both ends; never the same one. There must be a point."""
        first = self.points[0].at
        return first, max(self.points[-1].at, first + 1)

    @property
    def limits(self) -> tuple[float, ...]:
        """The ratios at which something is due, the highest first; none where the budget is not known."""
        marks = self.thresholds
        return (marks.distill, marks.prune, marks.archive) if self.budget else ()


def read_points(catalog: Catalog, agent: str, session_key: str) -> tuple[Point, ...]:
    """The points of every archived window of a session; what cannot be read is left out. Raises `MoonError`."""
    points: list[Point] = []

    def take(line: bytes) -> None:
        point = usage_point(line)
        if point is not None:
            points.append(point)

    for each_agent, key, session_id in catalog.sessions():
        if (each_agent, key) == (agent, session_key):
            restore(catalog, agent, session_id, take)
    return tuple(sorted(points))


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


def marks_of(audit: Iterable[bytes]) -> dict[tuple[str, str], list[Mark]]:
    """By agent and session key: what the lines of the audit log say was done."""
    found: dict[tuple[str, str], list[Mark]] = {}
    for line in audit:
        try:
            entry = json.loads(line)
            name, at = (str(entry["agent"]), str(entry["session_key"])), parse_ms(str(entry["time"]))
        except (ValueError, LookupError, TypeError):
            continue
        if at and entry.get("action") in ACTIONS and entry.get("outcome") == "done":
            found.setdefault(name, []).append(Mark(at, str(entry["action"])))
    return found
