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
from moon.recall.beside import Beside
from moon.recall.candidates import Gathered
from moon.recall.features import TEXT_FEATURES, WORD_FEATURES, Reader

SESSIONS = 5
# Logarithm of odds by which a session may stand behind the best one and still be given a place.
HOPELESS = 6.0
SESSION_SHARE = 0.5
REPEATED = 0.3
ALIKE_WORDS = 8
ALIKE_SHARE = 0.85
# How many rows get through each look: by their own words, with their surroundings, and by reading them.
ROUGHLY = 400
COPIES = 4000
LOOKED_AT = 200
NEIGHBOURS_OF = 60
READ = 100

# Fitted on conversations, see docs/recall.md; the order is that of the feature names.
WEIGHTS = (0.26, 0.18, 0.14, 0.29, 3.2, 1.6, 0.3, 0.28, 2.8, -0.6, 0.16, 0.3, -0.17, 1.43, 1.27)
WORD_WEIGHTS = WEIGHTS[: len(WORD_FEATURES)]
DATE_WEIGHT = WEIGHTS[len(WORD_FEATURES) + TEXT_FEATURES.index("date")]


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


def candidates(index: TextIndex, found: Gathered, reader: Reader) -> tuple[dict[int, list[float]], Beside]:
    """Rows worth reading, with their word features: those with the rarest words in and around them, first by a rough
    look at all, then by a closer one, which also lets in the neighbours of the best.
    """
    weigh = reader.scales.weigh
    episode_bits = reader.episodes.bits
    promise: dict[int, float] = {}
    for row in _without_copies(index, _by_promise(found, reader)):
        exact, related, _ = weigh(found.hits[row])
        promise[row] = exact + 0.5 * related + 0.3 * weigh(episode_bits(row >> EPISODE_SHIFT))[0]
    for dated, rare in zip(found.dated, found.span_rarity, strict=True):
        for row in dated:
            promise[row] = promise.get(row, 0.0) + rare
    best = heapq.nlargest(LOOKED_AT, promise, key=promise.__getitem__)
    chosen = dict.fromkeys(best)
    # A reply may hold none of the question's words; somebody who looks for one word wants that word.
    is_question = len(found.terms) > 1 and not found.strict
    if is_question:
        beside = Beside(index, best[:NEIGHBOURS_OF])
        for row in best[:NEIGHBOURS_OF]:
            after = beside.step(row, 1)
            chosen.update(dict.fromkeys((after, beside.step(row, -1), beside.step(after, 1), row + 1)))
    beside = Beside(index, chosen)
    features = {row: reader.words(row, beside) for row in chosen}
    closer = {row: _dot(WORD_WEIGHTS, values) + _dated(found, row) for row, values in features.items()}
    return {row: features[row] for row in heapq.nlargest(READ, closer, key=closer.__getitem__)}, beside


def _by_promise(found: Gathered, reader: Reader) -> list[int]:
    """Rows by what was found in them, the best first."""
    groups: dict[int, list[int]] = {}
    for row, bits in found.hits.items():
        groups.setdefault(bits, []).append(row)
    weigh = reader.scales.weigh
    order = sorted(groups, key=lambda bits: -(weigh(bits)[0] + 0.5 * weigh(bits)[1]))
    return [row for bits in order for row in groups[bits]]


def _without_copies(index: TextIndex, rows: list[int]) -> list[int]:
    """The first `ROUGHLY` rows that say different things: a heartbeat that came a thousand times is one of them."""
    first: dict[int, int] = {}
    for start in range(0, min(len(rows), COPIES), ROUGHLY):
        part = rows[start : start + ROUGHLY]
        digest_of = dict(index.digests(part))
        for row in part:
            first.setdefault(digest_of.get(row, -row), row)
        if len(first) >= ROUGHLY:
            break
    return list(first.values())[:ROUGHLY]


def _dated(found: Gathered, row: int) -> float:
    return DATE_WEIGHT * max(
        (rare for rows, rare in zip(found.dated, found.span_rarity, strict=True) if row in rows), default=0.0
    )


def _dot(weights: Sequence[float], features: Sequence[float]) -> float:
    return float(sum(map(operator.mul, weights, features)))


def prior(row: StoredRow, wants_command: bool) -> float:
    """What speaks for a row before the question is looked at."""
    known = 0.0 if wants_command and row.role == "toolCall" else PRIORS.get(row.role, 0.0)
    return known + (CORRECTION if CORRECTS.search(row.text) else 0.0)


def score(index: TextIndex, found: Gathered, question: str) -> list[Scored]:
    """Read and score the candidates, best first."""
    reader = Reader(found, question)
    looked_at, beside = candidates(index, found, reader)
    rows = {row.id: row for row in index.rows([*looked_at])}
    sessions = index.sessions_of(number >> EPISODE_SHIFT for number in rows)
    wants_command = bool(ASKS_COMMAND.search(question))
    scored = []
    for number, row in rows.items():
        features = (*looked_at[number], *reader.text(row, rows.get(beside.step(number, -1))))
        value = _dot(WEIGHTS, features) + prior(row, wants_command)
        scored.append(Scored(row, features, value, sessions[number >> EPISODE_SHIFT]))
    scored.sort(key=lambda each: (-each.score, -each.row.at, -each.row.id))
    return scored


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
