"""Fills the room of a distillation: again and again the line that adds most a character to those that stand there.

What a line adds shrinks with what is there already: a value that was named, words that were said, a list that has taken
its share. So length goes where something is to be told, and a list needs no other limit than what the next line in it
is worth.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from moon.distill.distillation import Distillation, Item
from moon.distill.identifiers import things_in
from moon.distill.worth import Line

# The share of the room after which the next line of a list is worth half.
SHARES = {
    "rules": 0.14,
    "open_tasks": 0.19,
    "decisions": 0.25,
    "milestones": 0.12,
    "commands": 0.15,
    "identifiers": 0.10,
    "summary": 0.25,
}
LITERAL = ("commands", "identifiers")
# What a user laid down for good, or its writer labelled, comes before everything else, and may take this share.
FIRST_SHARE = 0.4
BULLET = 3
# A line takes room and a reader's eye, so one of a word or two costs no less than a short sentence.
SHORTEST = 32
LENGTH_COUNTS = 0.65
# Among what comes first, what is said counts more than how briefly.
FIRST_LENGTH_COUNTS = 0.3
VALUES_COUNT = 1.6
NAMED_ALREADY = 0.3
# An identifier that stands in a sentence already is only to be found faster.
TOLD = 0.25
# What adds less than this is not worth reading; a name is looked up, not read.
LEAST = {"identifiers": 0.12, "commands": 0.25}
LEAST_SAID = 0.2
SATURATES = 0.3
SAME, SAME_WORDS = 0.8, 0.7


def choose(lines: Iterable[Line], room: float) -> Distillation:
    """The lists that hold most of what the lines are worth in at most `room` characters.

    `lines` in the order of the conversation. In each list what was said together stands together, the best first.
    """
    choice = _Choice(list(lines), room)
    standing = [number for number, line in enumerate(choice.lines) if line.standing]
    choice.take(standing, max([room * FIRST_SHARE, *map(choice.cost, standing[:1])]), FIRST_LENGTH_COUNTS)
    labelled = [number for number, line in enumerate(choice.lines) if line.labelled]
    choice.take(labelled, room * FIRST_SHARE - choice.used, FIRST_LENGTH_COUNTS)
    choice.take(range(len(choice.lines)), room, LENGTH_COUNTS)
    return Distillation.of(choice.lists())


class _Choice:
    """What was taken so far, and what that makes the rest worth."""

    def __init__(self, lines: Sequence[Line], room: float) -> None:
        self.lines = lines
        self._taken: dict[int, int] = {}
        self._room = room
        self._left = room
        self._used = dict.fromkeys(SHARES, 0)
        self._named: set[str] = set()
        self._words: list[frozenset[str]] = []
        self._told = ""

    @property
    def used(self) -> float:
        """How many characters are taken."""
        return self._room - self._left

    def cost(self, number: int) -> int:
        """How many characters a line takes."""
        return _cost(self.lines[number])

    def take(self, numbers: Iterable[int], room: float, length_counts: float) -> None:
        """Take lines while they add something and fit into `room` characters of what is left."""
        until = self._left - min(max(room, 0.0), self._left)
        waiting = [
            (-self._density(self.lines[number], length_counts), number)
            for number in numbers
            if number not in self._taken
        ]
        heapq.heapify(waiting)
        while waiting:
            _, number = heapq.heappop(waiting)
            line = self.lines[number]
            # What a line adds only ever shrinks, so one that is still the best after a second look is the best.
            density = -self._density(line, length_counts)
            if waiting and density > waiting[0][0]:
                heapq.heappush(waiting, (density, number))
            elif self._adds(line) >= LEAST.get(line.name, LEAST_SAID) and self._left - _cost(line) >= until:
                self._add(number)

    def lists(self) -> dict[str, list[Item]]:
        """What was taken: by what came first of each event, and within it in the order of the conversation."""
        places: dict[tuple[str, str], int] = {}
        for number, place in self._taken.items():
            places.setdefault(_said(self.lines[number]), place)
        lists: dict[str, list[Item]] = {name: [] for name in SHARES}
        for number in sorted(self._taken, key=lambda number: (places[_said(self.lines[number])], number)):
            lists[self.lines[number].name].append(self.lines[number].item)
        return lists

    def _density(self, line: Line, length_counts: float) -> float:
        length: float = max(_cost(line), SHORTEST) ** length_counts
        return self._adds(line) / length

    def _adds(self, line: Line) -> float:
        """What a line is worth beside those that were taken."""
        if line.item.text in self._told and line.name != "commands":
            return line.fit * TOLD if line.name == "identifiers" else 0.0
        values = sum(worth * (NAMED_ALREADY if text in self._named else 1.0) for text, worth in line.values)
        if line.words and any(is_told(line.words, told) for told in self._words) and self._names_nothing_new(line):
            # The same words with another value tell something new; without one, nothing.
            return VALUES_COUNT * values * SAME_WORDS if not self._named.issuperset(dict(line.values)) else 0.0
        share = SHARES[line.name] * self._room
        return line.fit / (1 + SATURATES * self._used[line.name] / share) + VALUES_COUNT * values

    def _names_nothing_new(self, line: Line) -> bool:
        """Whether every path, host or ticket of a line stands in those that were taken."""
        return all(thing in self._told for thing in things_in(line.item.text))

    def _add(self, number: int) -> None:
        line = self.lines[number]
        self._taken[number] = len(self._taken)
        self._used[line.name] += _cost(line)
        self._left -= _cost(line)
        self._named.update(text for text, _ in line.values)
        self._told += f"\n{line.item.text}"
        if line.words:
            self._words.append(line.words)


def is_told(words: frozenset[str], told: frozenset[str]) -> bool:
    """Whether a line, by its words, says only what another one tells already."""
    shared = len(words & told)
    return shared >= 3 and shared >= SAME * len(words)


def _said(line: Line) -> tuple[str, str]:
    """In which list and in which event a line stands."""
    return line.name, line.item.sources[0]


def _cost(line: Line) -> int:
    return len(line.item.text) + BULLET
