"""Order: candidates are scored row by row, sessions by their best rows, and the answer takes from both."""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from moon.recall.features import TEXT_FEATURES, WORD_FEATURES, Reader
from moon.recall.gather import Gathered
from moon.textindex import StoredRow, TextIndex
from moon.textindex.database import EPISODE_SHIFT
from moon.textindex.words import words

SESSIONS = 5
SESSION_ROWS = 8
SESSION_SHARE = 0.5
MORE_ROWS = 0.3
REPEATED = 0.3
ALIKE_WORDS = 8
ALIKE_SHARE = 0.9
LOOKED_AT = 300
NEIGHBOURS_OF = 60
READ = 150

# Fitted on conversations, see docs/recall.md; the order is that of the feature names.
WEIGHTS = (0.26, 0.19, 0.14, 0.29, 3.1, 1.75, 0.3, 0.28, 2.9, -0.62, 0.16, 0.32, -0.17, 1.49, 1.29)
WORD_WEIGHTS = WEIGHTS[: len(WORD_FEATURES)]
DATE_WEIGHT = WEIGHTS[len(WORD_FEATURES) + TEXT_FEATURES.index("date")]


@dataclass(frozen=True)
class Scored:
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
        return len(self.words & theirs) >= ALIKE_SHARE * len(self.words | theirs)


def candidates(found: Gathered, reader: Reader) -> dict[int, list[float]]:
    """Rows worth reading, with their word features: those with the rarest words in and around them, first by a rough
    look at all, then by a closer one, which also lets in the neighbours of the best.
    """
    weigh = reader.scales.weigh
    hits = found.hits
    rough = {bits: weigh(bits)[0] + 0.5 * weigh(bits)[1] for bits in set(hits.values())}
    episodes = {episode: 0.3 * weigh(_union(hits, rows))[0] for episode, rows in reader.episodes.rows.items()}
    promise = {row: rough[bits] + episodes[row >> EPISODE_SHIFT] for row, bits in hits.items()}
    for rows, rare in zip(found.dated, found.span_rarity, strict=True):
        for row in rows:
            promise[row] = promise.get(row, 0.0) + rare
    best = heapq.nlargest(LOOKED_AT, promise, key=promise.__getitem__)
    chosen = dict.fromkeys(best)
    for row in best[:NEIGHBOURS_OF]:
        chosen.update(dict.fromkeys((row + 1, row - 1, row + 2)))
    features = {row: reader.words(row) for row in chosen}
    closer = {row: _dot(WORD_WEIGHTS, values) + _dated(found, row) for row, values in features.items()}
    return {row: features[row] for row in heapq.nlargest(READ, closer, key=closer.__getitem__)}


def _union(hits: dict[int, int], rows: Sequence[int]) -> int:
    bits = 0
    for row in rows:
        bits |= hits[row]
    return bits


def _dated(found: Gathered, row: int) -> float:
    return DATE_WEIGHT * max(
        (rare for rows, rare in zip(found.dated, found.span_rarity, strict=True) if row in rows), default=0.0
    )


def _dot(weights: Sequence[float], features: Sequence[float]) -> float:
    return float(sum(map(operator.mul, weights, features)))


def score(index: TextIndex, found: Gathered, question: str) -> list[Scored]:
    """Read and score the candidates, best first."""
    reader = Reader(found, question)
    looked_at = candidates(found, reader)
    rows = {row.id: row for row in index.rows([*looked_at])}
    sessions = index.sessions_of(number >> EPISODE_SHIFT for number in rows)
    scored = []
    for number, row in rows.items():
        features = (*looked_at[number], *reader.text(row, rows.get(number - 1)))
        scored.append(Scored(row, features, _dot(WEIGHTS, features), sessions[number >> EPISODE_SHIFT]))
    scored.sort(key=lambda each: (-each.score, -each.row.id))
    return scored


def session_scores(scored: Sequence[Scored]) -> dict[int, float]:
    """How good each session is: its best row, lifted by more good rows."""
    by_session: dict[int, list[float]] = {}
    for each in scored:
        by_session.setdefault(each.session, []).append(each.score)
    return {
        session: values[0] + MORE_ROWS * math.log(sum(math.exp(value - values[0]) for value in values[:SESSION_ROWS]))
        for session, values in by_session.items()
    }


def choose(scored: Sequence[Scored], sessions: dict[int, float], limit: int) -> list[Chosen]:
    """The rows to show, best first: a good session lifts its rows, each further row of a session counts a little less,
    and the last places are kept for the best sessions that have none yet.
    """
    if not scored:
        return []
    best = max(sessions.values())
    left = [(each.score + SESSION_SHARE * (sessions[each.session] - best), each) for each in scored]
    left.sort(key=lambda pair: -pair[0])
    wanted = heapq.nlargest(min(SESSIONS, limit), sessions, key=sessions.__getitem__)
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
