"""What is wrong, kept or seen just now, in the order in which it hurts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moon.errors import MoonError
from moon.health.problems import STATUS, Trouble, entry_of, of_error
from moon.remedies import severity

Document = dict[str, Any]


def as_problems(kept: Iterable[Trouble], seen: Iterable[MoonError], now: int) -> list[Document]:
    """The entries of `problems`: those that need a person first, then by how much they hurt, then the oldest."""
    known = list(kept)
    named = {(each.code, each.path) for each in known}
    new = [of_error(STATUS, error.as_dict()) for error in seen if (error.code, error.path) not in named]
    entries = [entry_of(each) for each in known] + [entry_of(each._replace(since=now, last=now)) for each in new]
    return sorted(entries, key=lambda each: (not each["needs_person"], severity(each["code"]), each["since"]))


def needs_person(document: Document) -> list[Document]:
    """The problems of a status document that do not pass by themselves."""
    return [each for each in document["problems"] if each["needs_person"]]
