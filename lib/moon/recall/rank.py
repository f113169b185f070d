"""Order: candidates are scored row by row, sessions by their best rows, and the answer takes from both."""

from __future__ import annotations

import heapq
import math
import operator
import re
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from moon.fulltext import SearchIndex, StoredRow
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
# How many rows get through each look: by their words alone, with their lengths and speakers (those are looked at for
# their sessions too), with their surroundings, and by reading them.
SHAPED = 1500
SEEN = 1000
ROUGHLY = 300
READ = 160
NEIGHBOURS_OF = 40

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
    "speaker": 2.8,
    "date": 1.5,
    "answers": 0.7,
    "failure": 3.0,
    "command": 2.5,
    "output": 0.6,
    "standing": 2.0,
    "order": 1.2,
    "digits": 0.4,
}
# Bare words that a row has all of (`Reader.is_quoted`) stand where they stand, whoever said them and whatever is
# around: such a row comes before those that have some of them.
QUOTED = {**dict.fromkeys(FEATURES, 0.0), "own": 0.2, "share": 16.0, "pairs": 0.35}
BY_FEATURE = tuple(tuple(weights[each] for each in FEATURES) for weights in (WEIGHTS, QUOTED))

# What speaks for or against a row whatever the question is, in the same unit. A summary retells what other rows say in
# their own words. What a tool was called with holds words of the question, seldom the answer, unless a command is what
# is asked for. Of two statements, the one that corrects the other is the one that holds.
SUMMARIES = {"compaction": -2.5, "branch_summary": -2.5}
PRIORS = {**SUMMARIES, "toolCall": -1.5}
CORRECTION = 0.6
# It has nothing of what the question says, only something beside it has.
BARE = -0.5
CORRECTS = re.compile(r"\b(?:correct(?:ion|ed)|no longer|instead of)\b", re.IGNORECASE)


class Scored(NamedTuple):
    """A candidate with its features and score."""

    row: StoredRow
    features: tuple[float, ...]
    score: float
    session: int
    is_quoted: bool = False


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

    def __init__(self, index: SearchIndex, found: Gathered, question: str) -> None:
        self.index = index
        self.found = found
        self.question = question
        self.reader = Reader(found, question)
        self.told = 0.0
        # Of bare words the rows with most of them are read in any case: one of them may be quoted.
        self.by_share = (WEIGHTS if found.asks else QUOTED)["share"]
        self.by_words = (BY_FEATURE[False][0], self.by_share, *BY_FEATURE[False][2 : len(WORD_FEATURES)])

    def _by_words(self) -> list[int]:
        """The rows with the rarest words."""
        groups: dict[int, list[int]] = {}
        for row, bits in self.found.hits.items():
            groups.setdefault(bits, []).append(row)
        worth = self.reader.scales.worth
        chosen: list[int] = []
        for bits in sorted(groups, key=lambda bits: -worth(bits)):
            chosen += groups[bits][: SHAPED - len(chosen)]
        return chosen

    def _alike(self) -> tuple[int, ...]:
        """Rows that mean much the same as the question, whatever their words."""
        return self.found.likeness.nearest if self.found.likeness else ()

    def _look_at_meaning(self, rows: Iterable[tuple[int, str, int, int]]) -> None:
        if self.found.likeness:
            self.found.likeness.look_at({row: digest for row, _, _, digest in rows})

    def _meant(self, row: int) -> float:
        """What the meaning of a row is worth."""
        return self.found.likeness.worth(row) if self.found.likeness else 0.0

    def _promising(self) -> tuple[list[int], dict[int, float]]:
        """(the rows that promise most, the best first; the BM25 of many), by words, lengths and speakers. Of a text
        that came a thousand times, one row is looked at.
        """
        rows = self.index.found_sizes([*{*self._by_words(), *self.found.more, *self._alike()}])
        self._look_at_meaning(rows)
        user, assistant = ([size for _, role, size, _ in rows if role == who] for who in ("user", "assistant"))
        self.told = talkativeness(user, assistant)
        told = WEIGHTS["told"] * self.told
        words_of = self.found.hits.get
        of_bits = {bits: self._by_bits(bits) for bits in {words_of(row[0], 0) for row in rows}}
        densities = {size: density(size) for size in {row[2] for row in rows}}
        own: dict[int, float] = {}
        of_text: dict[int, tuple[float, int]] = {}
        for row, role, size, digest in rows:
            exact, value = of_bits[words_of(row, 0)]
            own[row] = bm25 = exact * densities[size]
            value += WEIGHTS["own"] * bm25 + (told if role == "user" else 0.0)
            if digest not in of_text or value > of_text[digest][0]:
                of_text[digest] = value, row
        promise = {row: value + self._meant(row) for value, row in of_text.values()}
        for dated, rare in zip(self.found.dated, self.found.span_rarity, strict=True):
            for row in dated:
                promise[row] = promise.get(row, 0.0) + WEIGHTS["date"] * rare
        return sorted(promise, key=promise.__getitem__, reverse=True)[:SEEN], own

    def _by_bits(self, bits: int) -> tuple[float, float]:
        """(rarity of the words, what these words promise wherever they stand)."""
        exact, related = self.reader.scales.weigh(bits)
        return exact, self.by_share * exact / self.reader.scales.total + WEIGHTS["related"] * related

    def candidates(self) -> tuple[dict[int, list[float]], Surroundings]:
        """Rows worth reading, with their word features: first by a rough look at all, then by a closer one, which also
        lets in the neighbours of the best.
        """
        seen, own = self._promising()
        chosen = dict.fromkeys(seen[:ROUGHLY])
        # A reply may hold none of the question's words; somebody who looks for one word wants that word.
        if len(self.found.terms) > 1 and not self.found.strict:
            near = Surroundings(self.index, seen[:NEIGHBOURS_OF])
            for row in seen[:NEIGHBOURS_OF]:
                chosen.update(dict.fromkeys((*near.beside(row, 1), *near.beside(row, -1))))
                chosen.update(dict.fromkeys(row + step for step in (-2, -1, 1, 2, 3)))
        around = Surroundings(self.index, chosen)
        episodes = self.index.sessions_of(row >> EPISODE_SHIFT for row in (*seen, *chosen))
        of = {row: episodes.get(row >> EPISODE_SHIFT, 0) for row in (*seen, *chosen)}
        sessions = Sessions(self.found, self.reader.scales, {row: (of[row], own[row]) for row in seen if row in own})
        features = {
            row: self.reader.words(row, of[row], around, sessions, self.told) for row in chosen if row in around.shapes
        }
        if self.found.likeness:
            self._look_at_meaning(self.index.found_sizes([*features]))
        closer = {
            row: _dot(self.by_words, values) + self._dated(row) + self._meant(row) for row, values in features.items()
        }
        return {row: features[row] for row in heapq.nlargest(READ, closer, key=closer.__getitem__)}, around

    def _dated(self, row: int) -> float:
        pairs = zip(self.found.dated, self.found.span_rarity, strict=True)
        return WEIGHTS["date"] * max((rare for rows, rare in pairs if row in rows), default=0.0)

    def scored(self) -> list[Scored]:
        """Read and score the candidates, best first."""
        looked_at, around = self.candidates()
        rows = self.index.rows([*looked_at])
        moments = _moments(rows, self.found.hits)
        sessions = self.index.sessions_of(row.id >> EPISODE_SHIFT for row in rows)
        scored = []
        for row in rows:
            read = self.reader.read(row, around.shapes[row.id].size, moments[row.id])
            features = (read.own, read.share, *looked_at[row.id][2:], *read.features)
            value = _dot(BY_FEATURE[read.is_quoted], features)
            value += SUMMARIES.get(row.role, 0.0) if read.is_quoted else prior(row, self.reader.wanted.call)
            value += 0.0 if read.is_quoted else self._meant(row.id)
            value += 0.0 if read.share or self.found.hits.get(row.id) else BARE
            scored.append(Scored(row, features, value, sessions[row.id >> EPISODE_SHIFT], read.is_quoted))
        scored.sort(key=lambda each: (-each.score, -each.row.at, -each.row.id))
        return scored


def _moments(rows: Sequence[StoredRow], having: Container[int]) -> dict[int, float]:
    """When each row was said among those that have words of the question: 0 for the first, 1 for the last."""
    moments = sorted(row.at for row in rows if row.id in having)
    last = max(1, len(moments) - 1)
    return {row.id: min(1.0, bisect_left(moments, row.at) / last) for row in rows}


def _dot(weights: Sequence[float], features: Sequence[float]) -> float:
    return float(sum(map(operator.mul, weights, features)))


def prior(row: StoredRow, wants_call: bool) -> float:
    """What speaks for a row before the question is looked at."""
    known = 0.0 if wants_call and row.role == "toolCall" else PRIORS.get(row.role, 0.0)
    return known + (CORRECTION if CORRECTS.search(row.text) else 0.0)


def score(index: SearchIndex, found: Gathered, question: str) -> list[Scored]:
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


def _lift(each: Scored, behind: float) -> float:
    """What a row's session does for it; what is quoted stands where it stands."""
    return 0.0 if each.is_quoted else SESSION_SHARE * behind


def _repeated(each: Scored, shown: dict[int, int]) -> float:
    return 0.0 if each.is_quoted else REPEATED * shown.get(each.session, 0)


def choose(scored: Sequence[Scored], sessions: dict[int, float], limit: int) -> list[Chosen]:
    """The rows to show, best first: a good session lifts its rows, each further row of a session counts a little less,
    and at most half of the places, the last ones, are kept for the best sessions that have none yet.
    """
    if not scored:
        return []
    best = max(sessions.values())
    left = [(each.score + _lift(each, sessions[each.session] - best), each) for each in scored]
    left.sort(key=lambda pair: -pair[0])
    wanted = heapq.nlargest(min(SESSIONS, limit // 2), sessions, key=sessions.__getitem__)
    wanted = [each for each in wanted if sessions[each] >= best - HOPELESS and not left[0][1].is_quoted]
    shown: dict[int, int] = {}
    chosen: list[Chosen] = []
    while left and len(chosen) < limit:
        missing = [session for session in wanted if session not in shown]
        if limit - len(chosen) <= len(missing):
            at = next(at for at, (_, each) in enumerate(left) if each.session == missing[0])
        else:
            top = left[: limit * SESSIONS]
            at = max(range(len(top)), key=lambda at: top[at][0] - _repeated(top[at][1], shown))
        value, each = left.pop(at)
        shown[each.session] = shown.get(each.session, 0) + 1
        alike = next((other for other in chosen if other.is_like(each)), None)
        if alike:
            alike.alike += 1
        else:
            chosen.append(Chosen(each, value))
    return chosen
