"""Order: candidates are scored row by row, sessions by their best rows, and the answer takes from both."""

from __future__ import annotations

import heapq
import math
import operator
import re
from collections.abc import Sequence
from typing import NamedTuple

from moon.fulltext import StoredRow, TextIndex
from moon.fulltext.index_database import EPISODE_SHIFT
from moon.fulltext.words import words
from moon.recall.candidates import Gathered
from moon.recall.features import TEXT_FEATURES, WORD_FEATURES, Reader, Sessions, density, talkativeness
from moon.recall.surroundings import Surroundings

SESSIONS = 5
# Logarithm of odds by which a session may stand behind the best one and still be given a place.
HOPELESS = 6.0
SESSION_SHARE = 0.5
REPEATED = 0.3
ALIKE_WORDS = 8
ALIKE_SHARE = 0.85
# How many rows get through each look: by their words alone, with their lengths and speakers, with their surroundings,
# and by reading them.
SHAPED = 4000
ROUGHLY = 400
READ = 200
NEIGHBOURS_OF = 60

# Fitted on conversations of four kinds together and rounded, see docs/recall.md. Scores are logarithms of odds.
FEATURES = (*WORD_FEATURES, *TEXT_FEATURES)
WEIGHTS = {
    "own": 0.13,
    "share": 4.0,
    "after": 0.05,
    "before": 0.15,
    "call": 0.15,
    "earlier": 0.25,
    "session": 0.15,
    "session_words": 0.15,
    "told": 2.0,
    "related": 0.35,
    "near": 0.2,
    "pairs": 0.35,
    "asks": -0.8,
    "speaker": 2.2,
    "date": 1.5,
    "answers": 0.5,
    "digits": 0.3,
}
BY_FEATURE = tuple(WEIGHTS[each] for each in FEATURES)
BY_WORDS = BY_FEATURE[: len(WORD_FEATURES)]


# What speaks for or against a row whatever the question is, in the same unit. A summary retells what other rows say in
# their own words. What a tool was called with holds words of the question, seldom the answer, unless a command is what
# is asked for. Of two statements, the one that corrects the other is the one that holds.
PRIORS = {"compaction": -2.5, "branch_summary": -2.5, "toolCall": -1.5}
ASKS_COMMAND = re.compile(r"\b(?:commands?|run|ran|executed?|scripts?|shell|calls?|called)\b", re.IGNORECASE)
CORRECTION = 0.6
CORRECTS = re.compile(r"\b(?:correct(?:ion|ed)|no longer|instead of)\b", re.IGNORECASE)


class Scored(NamedTuple):
    """A candidate with its features and score."""

    row: StoredRow
    features: tuple[float, ...]
    score: float
    session: int


class Chosen:
    """A row to show. `alike` counts the rows left out because they say the same."""

    def __init__(self, scored: Scored, value: float) -> None:
        self.scored = scored
        self.value = value
        self.alike = 0
        self.words = frozenset(words(scored.row.text))

    def is_like(self, other: Scored) -> bool:
        """Is the other a part of the same event, or nearly the same text?"""
        row = self.scored.row
        if other.session == self.scored.session and other.row.event_id == row.event_id:
            return True
        if len(self.words) < ALIKE_WORDS or abs(len(other.row.text) - len(row.text)) > 0.2 * len(row.text):
            return False
        theirs = frozenset(words(other.row.text))
        if len(self.words & theirs) < ALIKE_SHARE * len(self.words | theirs):
            return False
        # Another number can be another fact: a corrected port, a later reading.
        return not any(char.isdigit() for word in self.words ^ theirs for char in word)


class Ranking:
    """Ranks what was gathered for one question."""

    def __init__(self, index: TextIndex, found: Gathered, question: str) -> None:
        self.index = index
        self.found = found
        self.question = question
        self.reader = Reader(found, question)
        self.shapes = index.found_shapes([*{*self._by_words(), *found.more}])
        episodes = {row >> EPISODE_SHIFT for row in (*self.shapes, *(row for rows in found.dated for row in rows))}
        self.sessions = Sessions(found, self.reader.scales, self.shapes, index.sessions_of(episodes))
        self.told = talkativeness(self.shapes)

    def _by_words(self) -> list[int]:
        """The rows with the rarest words."""
        weigh = self.reader.scales.weigh
        hits = self.found.hits
        worth = {bits: exact + 0.5 * related for bits in set(hits.values()) for exact, related in (weigh(bits),)}
        return heapq.nlargest(SHAPED, hits, key=lambda row: worth[hits[row]])

    def _promise(self) -> dict[int, float]:
        """The rows that say different things with what their words, lengths and speakers promise. A heartbeat that
        came a thousand times is one of them.
        """
        weigh, total, hits = self.reader.scales.weigh, self.reader.scales.total, self.found.hits
        own, share, told, related = (WEIGHTS[each] for each in ("own", "share", "told", "related"))
        best: dict[int, tuple[float, int]] = {}
        for row, shape in self.shapes.items():
            exact, near = weigh(hits.get(row, 0))
            value = exact * (own * density(shape.size) + share / total) + related * near
            value += told * self.told if shape.role == "user" else 0.0
            value += WEIGHTS["session"] * self.sessions.best.get(self.session(row), 0.0)
            best[shape.digest] = max(best.get(shape.digest, (value, row)), (value, row))
        promise = {row: value for value, row in best.values()}
        for dated, rare in zip(self.found.dated, self.found.span_rarity, strict=True):
            for row in dated:
                promise[row] = promise.get(row, 0.0) + WEIGHTS["date"] * rare
        return promise

    def session(self, row: int) -> int:
        """The session of a row."""
        return self.sessions.of.get(row >> EPISODE_SHIFT, 0)

    def candidates(self) -> tuple[dict[int, list[float]], Surroundings]:
        """Rows worth reading, with their word features: first by a rough look at all, then by a closer one, which also
        lets in the neighbours of the best.
        """
        promise = self._promise()
        best = heapq.nlargest(ROUGHLY, promise, key=promise.__getitem__)
        chosen = dict.fromkeys(best)
        # A reply may hold none of the question's words; somebody who looks for one word wants that word.
        if len(self.found.terms) > 1 and not self.found.strict:
            near = Surroundings(self.index, best[:NEIGHBOURS_OF])
            for row in best[:NEIGHBOURS_OF]:
                chosen.update(
                    dict.fromkeys(
                        (*near.beside(row, 1), *near.beside(row, -1), row - 2, row - 1, row + 1, row + 2, row + 3)
                    )
                )
        around = Surroundings(self.index, chosen)
        features = {
            row: self.reader.words(row, around, self.sessions, self.told) for row in chosen if row in around.shapes
        }
        closer = {row: _dot(BY_WORDS, values) + self._dated(row) for row, values in features.items()}
        return {row: features[row] for row in heapq.nlargest(READ, closer, key=closer.__getitem__)}, around

    def _dated(self, row: int) -> float:
        pairs = zip(self.found.dated, self.found.span_rarity, strict=True)
        return WEIGHTS["date"] * max((rare for rows, rare in pairs if row in rows), default=0.0)

    def scored(self) -> list[Scored]:
        """Read and score the candidates, best first."""
        looked_at, around = self.candidates()
        wants_command = bool(ASKS_COMMAND.search(self.question))
        rows = self.index.rows([*looked_at])
        sessions = self.index.sessions_of(row.id >> EPISODE_SHIFT for row in rows)
        scored = []
        for row in rows:
            own, share, text = self.reader.read(row, around.shapes[row.id].size)
            features = (own, share, *looked_at[row.id][2:], *text)
            value = _dot(BY_FEATURE, features) + prior(row, wants_command)
            scored.append(Scored(row, features, value, sessions[row.id >> EPISODE_SHIFT]))
        scored.sort(key=lambda each: (-each.score, -each.row.at, -each.row.id))
        return scored


def _dot(weights: Sequence[float], features: Sequence[float]) -> float:
    return float(sum(map(operator.mul, weights, features)))


def prior(row: StoredRow, wants_command: bool) -> float:
    """What speaks for a row before the question is looked at."""
    known = 0.0 if wants_command and row.role == "toolCall" else PRIORS.get(row.role, 0.0)
    return known + (CORRECTION if CORRECTS.search(row.text) else 0.0)


def score(index: TextIndex, found: Gathered, question: str) -> list[Scored]:
    """Every row that may answer, best first."""
    return Ranking(index, found, question).scored()


def session_scores(scored: Sequence[Scored]) -> dict[int, float]:
    """How good each session is. Row scores are fitted as logarithms of odds, so the sum of their exponentials says how
    likely it is that the answer stands somewhere in the session.
    """
    by_session: dict[int, list[float]] = {}
    for each in scored:
        by_session.setdefault(each.session, []).append(each.score)
    return {
        session: values[0] + math.log(sum(math.exp(value - values[0]) for value in values))
        for session, values in by_session.items()
    }


def choose(scored: Sequence[Scored], sessions: dict[int, float], limit: int) -> list[Chosen]:
    """The rows to show, best first: a good session lifts its rows, each further row of a session counts a little less,
    and at most half of the places, the last ones, are kept for the best sessions that have none yet.
    """
    if not scored:
        return []
    best = max(sessions.values())
    left = [(each.score + SESSION_SHARE * (sessions[each.session] - best), each) for each in scored]
    left.sort(key=lambda pair: -pair[0])
    wanted = heapq.nlargest(min(SESSIONS, limit // 2), sessions, key=sessions.__getitem__)
    wanted = [session for session in wanted if sessions[session] >= best - HOPELESS]
    shown: dict[int, int] = {}
    chosen: list[Chosen] = []
    while left and len(chosen) < limit:
        missing = [session for session in wanted if session not in shown]
        if limit - len(chosen) <= len(missing):
            at = next(at for at, (_, each) in enumerate(left) if each.session == missing[0])
        else:
            top = left[: limit * SESSIONS]
            at = max(range(len(top)), key=lambda at: top[at][0] - REPEATED * shown.get(top[at][1].session, 0))
        value, each = left.pop(at)
        shown[each.session] = shown.get(each.session, 0) + 1
        alike = next((other for other in chosen if other.is_like(each)), None)
        if alike:
            alike.alike += 1
        else:
            chosen.append(Chosen(each, value))
    return chosen
