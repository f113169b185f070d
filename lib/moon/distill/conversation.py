"""A conversation, read once: its units, what its words are worth, and who answered what."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from moon.distill.clauses import without_lead_in
from moon.distill.cues import cue
from moon.distill.turns import ASSISTANT, CALL, RESULT, USER, Turn
from moon.distill.units import Unit, terms, units_of

SHORT_ANSWER = 160
TOPIC_WORDS = 8
FULL_CENTRALITY = 16.0
ASKED_WITHIN = 300
LONGEST_REPLY = 240
# A question that is shown beside its answer.
LONGEST_QUESTION = 140
CHOSEN, ANSWERED = 0.45, 0.32
_ASKS = re.compile(r"[?？]|か。")
# "It is not drawer 12 but drawer 21": what stands in between is taken back, if it is more than a word of two letters.
_NOT_BUT = re.compile(
    r"(?<!\w)(?:not|nicht|pas|no es|não é|non è|niet|не)\s+(?!only|nur|seulement)([^.;!?]{3,60}?),?\s+"
    r"(?:but|sondern|mais|sino|mas|ma|maar|а)\s",
    re.IGNORECASE,
)


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
    asked_by: Mapping[int, int]
    """For each turn of the assistant: the last turn of the user before it."""
    polite: frozenset[int]
    """Turns of the user that begin by thanking for what they answer, or by calling it good."""
    acted_on: frozenset[int]
    """Turns of the user after which a tool was called at once: what they ask for was done, or tried."""
    narrated: frozenset[int]
    """Turns of the assistant right after which it calls a tool."""
    reports: frozenset[int]
    """Turns of the assistant before which its tools returned something, after the user's last words."""
    corrected: frozenset[int]
    """Turns that the user's next words corrected."""
    revoked: Sequence[tuple[int, re.Pattern[str]]]
    """What "not this but that" took back, and the turn in which that was said."""

    def is_revoked(self, turn: int, text: str) -> bool:
        """Whether this holds something that a later turn took back."""
        return any(turn < later and taken_back.search(text) for later, taken_back in self.revoked)

    def centrality(self, words: frozenset[str]) -> float:
        """0 to 1: how much these words are what the session is about."""
        best = sorted((self.weights[word] for word in words), reverse=True)[:TOPIC_WORDS]
        return min(1.0, sum(best) / FULL_CENTRALITY)

    def place(self, unit: Unit) -> float:
        """0 at the beginning of the session, 1 at its end."""
        return unit.turn / max(1, len(self.turns) - 1)

    def settles(self, turn: int) -> float:
        """How far a user's turn settles something just by answering: most where it was given a choice."""
        if (
            turn not in self.replies
            or len(self.turns[turn].text) > LONGEST_REPLY
            or _ASKS.search(self.turns[turn].text)
        ):
            return 0.0
        asked = self.turns[self.replies[turn]].text[-ASKED_WITHIN:]
        return CHOSEN if _ASKS.search(asked) and cue("choice").search(asked) else ANSWERED

    def is_choice(self, unit: Unit) -> bool:
        """Whether this begins a short answer to a question between two things, or about one thing to be done."""
        if unit.position or not self.settles(unit.turn):
            return False
        question = self.question_before(unit)
        return question is not None and bool(cue("alternative").search(question.text))

    def asks(self, turn: int) -> bool:
        """Whether a turn asks for something."""
        text = self.turns[turn].text
        return bool(_ASKS.search(text) or cue("request").search(text) or cue("inquiry").search(text))

    def is_done_at_once(self, turn: int) -> bool:
        """Whether what a user asks for was worked on right after: a tool was called, or a long answer given."""
        if turn in self.acted_on:
            return True
        following = self.turns[turn + 1] if turn + 1 < len(self.turns) else None
        return following is not None and following.role == ASSISTANT and len(following.text) > LONGEST_REPLY

    def takes_up(self, turn: int) -> bool:
        """Whether a user's turn thanks for what the assistant said, or says that it is good."""
        return turn in self.polite

    def answer_to(self, unit: Unit) -> Unit | None:
        """What the assistant said first to the question at the end of a user's turn."""
        if not unit.is_question or unit.position != self.ends[unit.turn]:
            return None
        return next((each for each in self.units if self.asked_by.get(each.turn) == unit.turn), None)

    def question_before(self, unit: Unit) -> Unit | None:
        """The question at the end of the assistant's turn that this unit, the first of a user's turn, answers."""
        asked = self.replies.get(unit.turn, -1) if unit.position == 0 and not unit.is_question else -1
        last = next((each for each in self.units if each.turn == asked and each.position == self.ends[asked]), None)
        return last if last and last.is_question and len(last.text) <= LONGEST_QUESTION else None

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
        asked_by=_asked_by(turns),
        polite=frozenset(
            number for number, turn in answers if cue("takes_up").match(without_lead_in(turn.text.lstrip()))
        ),
        acted_on=frozenset(_acted_on(turns)),
        narrated=frozenset(number for number, turn in enumerate(turns[:-1]) if _narrates(turn, turns[number + 1])),
        reports=frozenset(_reports(turns)),
        revoked=list(_revoked(units)),
    )


def _weights(units: Sequence[Unit], words: Sequence[frozenset[str]], turns: int) -> dict[str, float]:
    seen: dict[str, set[int]] = {}
    for unit, of_unit in zip(units, words, strict=True):
        for word in of_unit:
            seen.setdefault(word, set()).add(unit.turn)
    return {word: math.log(len(where)) * math.log(1 + turns / len(where)) for word, where in seen.items()}


def _asked_by(turns: Sequence[Turn]) -> dict[int, int]:
    asked, last = {}, -1
    for number, turn in enumerate(turns):
        last = number if turn.role == USER else last
        if turn.role == ASSISTANT:
            asked[number] = last
    return asked


def _acted_on(turns: Sequence[Turn]) -> Iterator[int]:
    asked = -1
    for number, turn in enumerate(turns):
        asked = number if turn.role == USER else asked
        if turn.role == CALL and asked >= 0:
            yield asked


def _narrates(turn: Turn, following: Turn) -> bool:
    return turn.role == ASSISTANT and following.role == CALL


def _reports(turns: Sequence[Turn]) -> Iterator[int]:
    worked = False
    for number, turn in enumerate(turns):
        worked = turn.role in (CALL, RESULT) or (worked and turn.role != USER)
        if worked and turn.role == ASSISTANT:
            yield number


def _revoked(units: Sequence[Unit]) -> Iterator[tuple[int, re.Pattern[str]]]:
    for unit in units:
        found = _NOT_BUT.search(unit.text) if unit.role == USER and corrects(unit.text) else None
        if found:
            yield unit.turn, re.compile(rf"(?<!\w){re.escape(found.group(1))}(?!\w)", re.IGNORECASE)


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
