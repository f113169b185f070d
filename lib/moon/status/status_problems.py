"""What is wrong, kept or seen just now, in the order in which it hurts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moon.clock import format_ms
from moon.errors import MoonError
from moon.health.problems import Subject, Trouble, of_error
from moon.remedies import NOTE, hint_for, remedy_of, severity

Document = dict[str, Any]
SOME = 3
# What a tick keeps and a look at the same thing shows again: the look is newer.
STATION = "status"


def as_problems(kept: Iterable[Trouble], seen: Iterable[MoonError], now: int) -> list[Document]:
    """The entries of `problems`: those that need a person first, then by how much they hurt, then the oldest."""
    known = list(kept)
    named = {(each.code, each.path) for each in known}
    new = [of_error(STATION, error.as_dict()) for error in seen if (error.code, error.path) not in named]
    entries = [entry_of(each) for each in known] + [entry_of(each._replace(since=now, last=now)) for each in new]
    return sorted(entries, key=lambda each: (not each["needs_person"], severity(each["code"]), each["since"]))


def entry_of(trouble: Trouble) -> Document:
    """One entry of the status document."""
    remedy = remedy_of(trouble.code)
    at_once = trouble.station == STATION
    return {
        "code": trouble.code,
        "message": trouble.message,
        "hint": trouble.hint or hint_for(trouble.code, trouble.path),
        "path": trouble.path,
        "station": trouble.station,
        "hurts": remedy.rank,
        "cause": remedy.cause,
        "needs_person": remedy.rank != NOTE and (at_once or trouble.times >= remedy.patience),
        "since": format_ms(trouble.since),
        "last": format_ms(trouble.last),
        "times": trouble.times,
        "sessions": len(trouble.subjects),
        "some": [name_of(each) for each in trouble.subjects[:SOME]],
    }


def name_of(subject: Subject) -> str:
    """A session as people know it."""
    return subject.session_key or subject.session_id


def needs_person(document: Document) -> list[Document]:
    """The problems of a status document that do not pass by themselves."""
    return [each for each in document["problems"] if each["needs_person"]]
