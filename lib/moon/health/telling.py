"""What is told to `notify.command`: a problem that needs a person began, lasts, is over; what was done well. Pure.

A problem that may pass by itself is told only when it did not, so `began` is the moment from which a person is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms
from moon.health.problems import Trouble, entry_of, name_of, subject_of
from moon.text import counted, shown, span

if TYPE_CHECKING:
    from moon.documents import CycleDocument

Event = dict[str, Any]
BEGAN, LASTS, ENDED, ARCHIVED, ROLLED_OVER = "began", "lasts", "ended", "archived", "rolled_over"
SOME = 3


class Told(NamedTuple):
    """The problems with a mark of what was told of each, and the events to tell now."""

    problems: list[Trouble]
    events: list[Event]


def plan(before: Sequence[Trouble], after: Sequence[Trouble], lasts_ms: int, now: int) -> Told:
    """What there is to tell once the problems `before` have become those `after`."""
    problems, events = [], []
    for trouble in after:
        step = _next(trouble, lasts_ms, now)
        if step:
            events.append(of_problem(step, trouble, now))
        problems.append(trouble._replace(told=step or trouble.told))
    left = {each.key for each in after}
    events += [of_problem(ENDED, each, now) for each in before if each.told and each.key not in left]
    return Told(problems, events)


def _next(trouble: Trouble, lasts_ms: int, now: int) -> str:
    """The next thing to tell of a problem that is there; empty when there is none."""
    if not entry_of(trouble)["needs_person"]:
        return ""
    if not trouble.told:
        return BEGAN
    return LASTS if trouble.told == BEGAN and now - trouble.since >= lasts_ms else ""


def of_problem(kind: str, trouble: Trouble, now: int) -> Event:
    """The event, with a line for people and all that is known for programs."""
    entry = entry_of(trouble)
    for_long = span(max(0, now - trouble.since) // 1000)
    about = f" ({counted(entry['sessions'], 'session')})" if entry["sessions"] else ""
    words = {
        BEGAN: f"Moon needs you: {trouble.message}{about}. What to do: {entry['hint']}",
        LASTS: f"Moon still needs you, for {for_long}: {trouble.message}{about}. What to do: {entry['hint']}",
        ENDED: f"Moon is well again after {for_long}: {trouble.message}{about}",
    }
    return _event(kind, words[kind], now, problem=entry)


def of_cycle(document: CycleDocument, now: int) -> Iterator[Event]:
    """What a cycle archived, and what it rolled over."""
    for station, kind, words in (("archive", ARCHIVED, "archived"), ("rollover", ROLLED_OVER, "rolled over")):
        done = [
            name_of(subject_of(entry))
            for record in document["stations"]
            if record["station"] == station
            for entry in record["sessions"]
            if entry["outcome"] == "done"
        ]
        if done:
            more = f" and {len(done) - SOME} more" if len(done) > SOME else ""
            text = f"Moon {words} {counted(len(done), 'session')}: {', '.join(done[:SOME])}{more}"
            yield _event(kind, text, now, sessions=len(done), some=done[:SOME])


def _event(kind: str, text: str, now: int, **more: Any) -> Event:
    """Its text can steer no terminal and begins with Moon's name, so that it is no option of a program either."""
    return {"schema": "moon.event/1", "event": kind, "at": format_ms(now), "text": shown(text), **more}
