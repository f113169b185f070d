"""A conversation, read once: its units, what its words are worth, and who answered what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moon.distill.cues import cue
from moon.distill.turns import ASSISTANT, USER, Turn
from moon.distill.units import Unit, terms, units_of

SHORT_ANSWER = 160
TOPIC_WORDS = 8
FULL_CENTRALITY = 16.0


@dataclass(frozen=True)
class Session:
    """Everything that judging one of the units needs to know of the others."""

    turns: Sequence[Turn]
    units: Sequence[Unit]
    words: Sequence[frozenset[str]]
    """Of each unit."""
    weights: Mapping[str, float]
    """Of each word: high when the session keeps coming back to it, low when it is in every turn or in one only."""
    ends: Mapping[int, int]
    """The position of the last unit of each turn."""
    replies: Mapping[int, int]
    """For each turn of the user that answers the assistant: the turn it answers."""
    assented: Mapping[int, Turn]
    """Turns of the assistant that a short answer said yes to, with that answer."""
    corrected: frozenset[int]
    """Turns that the user's next words corrected."""

    def centrality(self, words: frozenset[str]) -> float:
        """0 to 1: how much these words are what the session is about."""
        best = sorted((self.weights[word] for word in words), reverse=True)[:TOPIC_WORDS]
        return min(1.0, sum(best) / FULL_CENTRALITY)

    def place(self, unit: Unit) -> float:
        """0 at the beginning of the session, 1 at its end."""
        return unit.turn / max(1, len(self.turns) - 1)

    def is_answered_question(self, unit: Unit) -> bool:
        """Whether this is the question at the end of a turn that the user said yes to."""
        return unit.is_question and unit.turn in self.assented and unit.position == self.ends[unit.turn]


def read_session(turns: Sequence[Turn]) -> Session:
    """Read a conversation."""
    units = units_of(turns)
    words = [terms(unit.text) for unit in units]
    replies = _replies(turns)
    answers = [(number, turn) for number, turn in enumerate(turns) if number in replies]
    return Session(
        turns=turns,
        units=units,
        words=words,
        weights=_weights(units, words, len(turns)),
        ends={unit.turn: unit.position for unit in units},
        replies=replies,
        assented={replies[number]: turn for number, turn in answers if _assents(turn.text)},
        corrected=frozenset(replies[number] for number, turn in answers if corrects(turn.text)),
    )


def _weights(units: Sequence[Unit], words: Sequence[frozenset[str]], turns: int) -> dict[str, float]:
    seen: dict[str, set[int]] = {}
    for unit, of_unit in zip(units, words, strict=True):
        for word in of_unit:
            seen.setdefault(word, set()).add(unit.turn)
    return {word: math.log(len(where)) * math.log(1 + turns / len(where)) for word, where in seen.items()}


def _replies(turns: Sequence[Turn]) -> dict[int, int]:
    found: dict[int, int] = {}
    spoken = -1
    for number, turn in enumerate(turns):
        if turn.role == USER and spoken >= 0 and turns[spoken].role == ASSISTANT:
            found[number] = spoken
        if turn.role in (USER, ASSISTANT):
            spoken = number
    return found


def _assents(text: str) -> bool:
    return len(text) < SHORT_ANSWER and bool(cue("assent").match(text.lstrip(" \t\"'*_")))


def corrects(text: str) -> bool:
    """Whether these words begin by setting something right."""
    return bool(cue("correction").search(text[:40]))
