"""A model's answer, checked: what it cannot show in its source is dropped and counted, never believed."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moon.distill.chunks import Chunk
from moon.distill.distillation import Distillation, Item
from moon.distill.identifiers import identifiers_in, occurs
from moon.distill.judging import ROLES
from moon.distill.units import terms
from moon.distill.values import exact_in
from moon.distillations import LISTS
from moon.text import lines, one_line

MAX_ITEMS = 60
MAX_TEXT = 1200
LITERAL = ("commands", "identifiers")
# Who must have said it, by the rule that holds without a model, too.
_SPEAKERS = {name: frozenset(ROLES[name]) for name in ("rules", "decisions", "open_tasks")}
_SHARED_WORDS = 0.25
_ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "events": {"type": "array", "items": {"type": "string"}}},
    "required": ["text", "events"],
    "additionalProperties": False,
}
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "array", "items": _ITEM} for name in LISTS},
    "required": list(LISTS),
    "additionalProperties": False,
}


class AnswerBroken(ValueError):
    """The answer does not have the form that was asked for; the message may be shown to the model."""


@dataclass(frozen=True)
class Source:
    """What an answer is checked against: the text it was made from, and what is known of each entry's name."""

    text: str
    event_ids: Mapping[str, tuple[str, ...]]
    roles: Mapping[str, frozenset[str]]
    words: Mapping[str, frozenset[str]]

    @classmethod
    def of_chunk(cls, chunk: Chunk) -> Source:
        """The source for an answer about a part of the conversation."""
        roles: dict[str, frozenset[str]] = {}
        words: dict[str, frozenset[str]] = {}
        for entry in chunk.entries:
            roles[entry.name] = roles.get(entry.name, frozenset()) | {entry.turn.role}
            words[entry.name] = words.get(entry.name, frozenset()) | terms(entry.turn.text)
        names = {entry.name: (entry.turn.event_id,) for entry in chunk.entries}
        return cls("\n".join(entry.turn.text for entry in chunk.entries), names, roles, words)

    @functools.cached_property
    def _squeezed(self) -> str:
        return _without_space(self.text)

    def names(self, identifier: str) -> bool:
        """Whether the source holds this, whatever white space stands between a number and its unit."""
        return identifier in self.text or _without_space(identifier) in self._squeezed


def parse_answer(text: str) -> dict[str, list[tuple[str, list[str]]]]:
    """The lists of an answer as (text, entry names). Raises `AnswerBroken`."""
    try:
        document = json.loads(_unwrapped(text))
    except (ValueError, RecursionError) as error:
        raise AnswerBroken("it is not valid JSON") from error
    if not isinstance(document, dict) or not any(name in document for name in LISTS):
        raise AnswerBroken("it is no JSON object with the lists that were asked for")
    return {name: _parse_list(name, document.get(name, [])) for name in LISTS}


def _unwrapped(text: str) -> str:
    """The JSON object in a text that may stand in a code fence or between words."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    return found.group(0) if found else text


def _parse_list(name: str, value: Any) -> list[tuple[str, list[str]]]:
    if not isinstance(value, list):
        raise AnswerBroken(f"`{name}` is no list")
    items = []
    for item in value[:MAX_ITEMS]:
        if (
            not isinstance(item, dict)
            or not isinstance(item.get("text"), str)
            or not isinstance(item.get("events"), list)
        ):
            raise AnswerBroken(f"an item of `{name}` is no object with a string `text` and a list `events`")
        items.append((item["text"], [str(each).strip("[] ") for each in item["events"]]))
    return items


def check_answer(lists: Mapping[str, list[tuple[str, list[str]]]], source: Source) -> Distillation:
    """Keep what the source bears out."""
    dropped: Counter[str] = Counter()
    kept: dict[str, list[Item]] = {name: [] for name in LISTS}
    for name in LISTS:
        seen = set()
        for text, events in lists[name]:
            text = lines(text).strip() if name in LITERAL else one_line(text)
            known = [each for each in events if each in source.event_ids]
            problem = _problem(name, text, known, source)
            if problem:
                dropped[problem] += 1
            elif text not in seen:
                seen.add(text)
                ids = dict.fromkeys(event_id for each in known for event_id in source.event_ids[each])
                kept[name].append(Item(text, tuple(ids)))
    return Distillation.of(kept, dict(sorted(dropped.items())))


def _problem(name: str, text: str, known: list[str], source: Source) -> str:
    """Why an item is not kept; empty when it is."""
    if not text or len(text) > MAX_TEXT:
        return "empty or far too long"
    if not known:
        return "cites no event of the source"
    if name in LITERAL:
        return "" if occurs(text, source.text) else "not literally in the source"
    if not all(map(source.names, [*(found.text for found in identifiers_in(text)), *exact_in(text)])):
        return "names what the source does not"
    speakers = _SPEAKERS.get(name)
    if speakers and not any(source.roles[each] & speakers for each in known):
        return "said by a tool only"
    words = {word for word in terms(text) if len(word) > 3 or not word.isascii()}
    said = frozenset().union(*(source.words[each] for each in known))
    return "" if not words or len(words & said) >= _SHARED_WORDS * len(words) else "not borne out by its events"


def _without_space(text: str) -> str:
    return "".join(text.split())
