"""Which lines of the distillations go into a map: what still holds, by use, within its length. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from moon.distillations import lists_of, says_nothing
from moon.documents import DistillationRecord
from moon.fulltext.languages import guess, stem, stop_words
from moon.fulltext.words import words
from moon.text import one_line, token_estimate

# In the order of choice, each with its share of the room; what one list does not need goes to the next.
SHARES = {
    "rules": 0.22,
    "open_tasks": 0.25,
    "decisions": 0.2,
    "summary": 0.12,
    "milestones": 0.06,
    "identifiers": 0.08,
    "commands": 0.07,
}
LISTS = tuple(SHARES)
LITERAL = ("identifiers", "commands")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
KEPT_TWICE = ("rules", "open_tasks")
# Words of this length carry meaning; so do all with a digit.
CONTENT = 4
# Two lines of different days that have so many words in common, but for numbers, say the same; the later one holds.
SAME = 0.8
# A task is done when a later milestone has so many of its words.
DONE = 0.6
LEAST_STEMS = 2
# What a line costs beside its text, in tokens: bullet, who said it, line end.
BULLET = 4


class Line(NamedTuple):
    """An item of a distillation, the events it came from, and how many distillations came after it.

    `who` said it so: `user`, `you` (the agent), or nobody in these words. `day`: its date, where that is not the last
    day that the map tells of.
    """

    text: str
    sources: tuple[str, ...]
    age: int
    who: str = ""
    day: str = ""

    @property
    def origin(self) -> str:
        """Who said it, and when, in the fewest words."""
        return f"{self.who} {self.day}".strip()


Lists = Mapping[str, Sequence[Line]]


def gather(records: Sequence[DistillationRecord], standing: Iterable[str] = ()) -> dict[str, list[Line]]:
    """The lists of all records (oldest first) as one, the newest first, without what was said again or done since.

    `standing` are rules of earlier windows; the latest records decide where they say the same.
    """
    found: dict[str, list[Line]] = {name: [] for name in LISTS}
    today = _day(records[-1]) if records else ""
    for age, record in enumerate(reversed(records)):
        day = _day(record)
        for name, lines in _lines(record, age, "" if day == today else day).items():
            found[name] += lines
    found["rules"] += [Line(text, (), len(records)) for text in standing]
    prose = [line for name in LISTS if name not in LITERAL for line in found[name]]
    kept = {name: _once(lines) if name in LITERAL else _latest(lines, prose) for name, lines in found.items()}
    kept["open_tasks"] = [task for task in kept["open_tasks"] if not _is_done(task, kept["milestones"])]
    return kept


def _day(record: DistillationRecord) -> str:
    """The date of a distillation: that of its memory file, which is local; else that of its last event, in UTC."""
    name = (record.get("memory_file") or "").rpartition("/")[2]
    found = _DATE.match(name) or _DATE.match(record.get("last_event_at") or "")
    return found.group() if found else ""


def _lines(record: DistillationRecord, age: int, day: str) -> dict[str, list[Line]]:
    sources = record.get("sources", {})
    lists = {}
    for name, texts in lists_of(record).items():
        ids = [*sources.get(name, []), *([[]] * len(texts))]
        lists[name] = [
            Line(one_line(text), tuple(of), age, day="" if name in LITERAL else day)
            for text, of in zip(texts, ids, strict=False)
            if text.strip() and not says_nothing(text)
        ]
    return lists


def _once(lines: Iterable[Line]) -> list[Line]:
    """Of lines of the same words, the first."""
    found: dict[str, Line] = {}
    for line in lines:
        found.setdefault(line.text, line)
    return list(found.values())


def _latest(lines: Iterable[Line], prose: Sequence[Line]) -> list[Line]:
    """Of lines of different distillations that say the same, the latest; and none whose values were replaced."""
    kept: list[Line] = []
    for line in _once(lines):
        about = _topic(line.text)
        again = any(other.age < line.age and _alike(about, _topic(other.text)) for other in kept)
        if not again and not any(other.age < line.age and _replaces(other.text, line.text) for other in prose):
            kept.append(line)
    return kept


def _replaces(later: str, earlier: str) -> bool:
    """Whether a line names the values of an earlier one beside new ones: "March 31 now, not March 15"."""
    old, new = _values(earlier), _values(later)
    return bool(old) and old < new and bool((_content(earlier) - old) & (_content(later) - new))


def _values(text: str) -> frozenset[str]:
    return frozenset(word for word in words(text) if any(char.isdigit() for char in word))


def _topic(text: str) -> frozenset[str]:
    """The words that tell what a line is about, without the values that it gives."""
    return frozenset(words(text)) - _values(text)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= SAME * max(1, len(one | other))


def _content(text: str) -> frozenset[str]:
    long = frozenset(word for word in words(text) if len(word) >= CONTENT or not word.isascii())
    return long | _values(text)


def _is_done(task: Line, milestones: Iterable[Line]) -> bool:
    asked = _content(task.text)
    later = [line.text for line in milestones if line.age < task.age]
    if any(len(asked & _content(done)) >= DONE * max(1, len(asked)) for done in later):
        return True
    return any(_does(done, task.text) for done in later)


def _does(done: str, asked: str) -> bool:
    """Whether a result says in other forms of its words what was asked for, with all its values.

    "Flights: I still have to book them" is done by "Flights are booked"; function words tell nothing of that.
    """
    language = guess(asked) or "en"
    about, told = _stems(asked, language), _stems(done, language)
    return len(about) >= LEAST_STEMS and _values(asked) <= _values(done) and len(about & told) >= DONE * len(about)


def _stems(text: str, language: str) -> frozenset[str]:
    stops = stop_words(language)
    return frozenset(stem(word, language) for word in words(text) if word not in stops)


def not_in(told: str, lists: Lists, whole: Collection[str] = KEPT_TWICE) -> dict[str, list[Line]]:
    """The lists without what stands in `told` already, but for the `whole` ones, which are read in their own place."""
    told = told.casefold()
    return {name: [line for line in lists[name] if name in whole or line.text.casefold() not in told] for name in LISTS}


def choose(full: Lists, room: int) -> tuple[dict[str, list[Line]], int]:
    """What fits into `room` tokens: each list its share, the most worthy lines first; and how many lines do not.

    Identifiers that stand in a line that was taken say nothing more and are passed over.
    """
    kept: dict[str, list[Line]] = {name: [] for name in LISTS}
    waiting = {name: list(full[name]) for name in LISTS}
    # First each list its share of what is left, then what is still left to whoever needs it.
    shares_left = [sum(list(SHARES.values())[at:]) for at in range(len(SHARES))]
    parts = [share / left for share, left in zip(SHARES.values(), shares_left, strict=True)]
    for name, part in [*zip(LISTS, parts, strict=True), *((name, 1.0) for name in LISTS)]:
        if name == "identifiers":
            said = " ".join(line.text for lines in kept.values() for line in lines)
            waiting[name] = [line for line in waiting[name] if line.text not in said]
        taken = _take(waiting[name], room * part)
        room -= sum(map(_cost, taken))
        kept[name] += taken
        waiting[name] = [line for line in waiting[name] if line not in taken]
    return kept, sum(len(lines) for name, lines in waiting.items() if name not in LITERAL)


def _take(lines: Iterable[Line], room: float) -> list[Line]:
    taken = []
    for line in lines:
        cost = _cost(line)
        if cost <= room:
            taken.append(line)
            room -= cost
    return taken


def _cost(line: Line) -> int:
    return token_estimate(f"{line.origin} {line.text}") + BULLET
