"""The second stage's eyes: what speaks for a row, as numbers. `WEIGHTS` in rank.py says how much each counts.

Everything here is either about words (which of the question's words stand in the row, in the rows beside it, in its
episode, and how close together) or about what a reader of English would expect of an answer (a question for a time is
answered by a text that names one). Nothing knows any archive.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from moon.fulltext import StoredRow
from moon.fulltext.index_database import EPISODE_ROWS, EPISODE_SHIFT
from moon.fulltext.languages import terms
from moon.recall.answers import expected
from moon.recall.beside import Beside
from moon.recall.candidates import Gathered

RELATED = 0.5
BESIDE = 0.6
PROXIMITY = 4
SPEAKER_CHARS = 40

# What is known of a row without its text …
WORD_FEATURES = (
    "exact",  # summed rarity of the question's words in the row
    "before_1",  # what the row before it adds to that
    "after_1",  # what the row after it adds
    "before_2",  # what the row before the one before adds
    "share",  # share of the question in the row; related words and neighbours count less
    "episode_share",  # the best such share in the row's episode
    "episode_words",  # rarity of the words in the episode, by how often they come
)
# … and with it.
TEXT_FEATURES = (
    "adjacent",  # words of the question side by side
    "speaker",  # the question names who speaks here
    "asks",  # the row ends with a question
    "answers_question",  # the row before asks, with these words
    "first_person",  # somebody speaks of themselves
    "length",  # logarithm of the number of words
    "date",  # nearness to a time that the question names
    "answers",  # signs of an answer of the kind that is asked for
)


_FIRST_PERSON = re.compile(r"\b(?:I|I'm|I've|my|we|our|me|My|We|Our)\b")
_TRAILER = re.compile(r"\s*\[[^\]]*\]\s*$")


Weight = tuple[float, float, float]


class Scales:
    """Weighs sets of bits, remembering each: (rarity of exact words, of related words, share of the question)."""

    def __init__(self, found: Gathered) -> None:
        self.count = len(found.terms)
        self.low = (1 << self.count) - 1
        self.exact = [term.weight * rare for term, rare in zip(found.terms, found.rarity, strict=True)]
        self.related = [term.weight * rare for term, rare in zip(found.terms, found.related_rarity, strict=True)]
        # A name says who is meant; the share is about what else the question asks.
        self.content = [0.0 if term.is_name else weight for term, weight in zip(found.terms, self.exact, strict=True)]
        self.total = sum(self.content) or 1e-6
        self._known: dict[int, Weight] = {0: (0.0, 0.0, 0.0)}

    def weigh(self, bits: int) -> Weight:
        """What these bits are worth."""
        known = self._known.get(bits)
        if known is None:
            known = self._known[bits] = self._weigh(bits)
        return known

    def _weigh(self, bits: int) -> Weight:
        exact = related = share = 0.0
        for at in range(self.count):
            if bits >> at & 1:
                exact += self.exact[at]
                share += self.content[at]
            elif bits >> (at + self.count) & 1:
                related += self.related[at]
                share += RELATED * self.content[at]
        return exact, related, share / self.total

    def share_beside(self, own: int, beside: int) -> float:
        """The share of the question in a row; what only the rows beside it have counts less."""
        inside = self.weigh(own)[2]
        return inside + BESIDE * (self.weigh(own | beside)[2] - inside)


class Episodes:
    """What the question finds in whole episodes."""

    def __init__(self, found: Gathered, scales: Scales) -> None:
        self.scales = scales
        self.hits = found.hits
        self._rows: dict[int, list[int]] = {}
        self._known: dict[int, tuple[float, float]] = {}

    def rows(self, episode: int) -> list[int]:
        """The rows of an episode in which something was found."""
        known = self._rows.get(episode)
        if known is None:
            first = episode << EPISODE_SHIFT
            hits = self.hits
            known = self._rows[episode] = [row for row in range(first, first + EPISODE_ROWS) if row in hits]
        return known

    def bits(self, episode: int) -> int:
        """All that was found in an episode."""
        bits = 0
        for row in self.rows(episode):
            bits |= self.hits[row]
        return bits

    def of(self, episode: int) -> tuple[float, float]:
        """(best share of one row with its neighbours, weight of all words with how often they come) of an episode."""
        known = self._known.get(episode)
        if known is None:
            known = self._known[episode] = self._read(self.rows(episode))
        return known

    def _read(self, rows: Sequence[int]) -> tuple[float, float]:
        get = self.hits.get
        share = self.scales.share_beside
        best = max((share(get(row, 0), get(row - 1, 0) | get(row + 1, 0)) for row in rows), default=0.0)
        counts = [0] * self.scales.count
        for row in rows:
            bits = get(row, 0) & self.scales.low
            while bits:
                lowest = bits & -bits
                counts[lowest.bit_length() - 1] += 1
                bits ^= lowest
        return best, sum(
            weight * count / (count + 1.5) for weight, count in zip(self.scales.exact, counts, strict=True)
        )


class Reader:
    """Turns rows into features for one question: first those of words, which need no text, then those of the text."""

    def __init__(self, found: Gathered, question: str) -> None:
        self.found = found
        self.scales = Scales(found)
        self.episodes = Episodes(found, self.scales)
        self.expected = expected(question)
        self.order = {each: at for at, term in enumerate(found.terms) for each in term.stems}

    def words(self, row: int, beside: Beside) -> list[float]:
        """The features that follow from where words stand, `WORD_FEATURES`."""
        get = self.found.hits.get
        weigh = self.scales.weigh
        low = self.scales.low
        earlier = beside.step(row, -1)
        own, before, after = get(row, 0), get(earlier, 0), get(beside.step(row, 1), 0)
        exact = weigh(own & low)
        with_before = weigh((own | before) & low)
        with_both = weigh((own | before | after) & low)
        with_two = weigh((own | before | after | get(beside.step(earlier, -1), 0)) & low)
        share = self.scales.share_beside(own, before | after)
        steps = (exact[0], with_before[0] - exact[0], with_both[0] - with_before[0], with_two[0] - with_both[0])
        return [*steps, share, *self.episodes.of(row >> EPISODE_SHIFT)]

    def text(self, row: StoredRow, before: StoredRow | None) -> list[float]:
        """The other features, `TEXT_FEATURES`. `before` is what was said before this row, where that was fetched."""
        text = row.text
        tokens = terms(text, row.language)
        asks = "?" in text
        question = before if before is not None and "?" in before.text else None
        return [
            self._adjacent(tokens),
            self._speaker(text, row.language),
            1.0 if asks and _TRAILER.sub("", text).rstrip().endswith("?") else 0.0,
            self.scales.weigh(self.found.hits.get(question.id, 0))[0] if question else 0.0,
            1.0 if _FIRST_PERSON.search(text) else 0.0,
            math.log1p(len(tokens)),
            self._date(row.at),
            float(sum(1 for answer in self.expected if answer.search(text))),
        ]

    def _date(self, at: int) -> float:
        spans = zip(self.found.spans, self.found.span_rarity, strict=True)
        return max((rare * span.closeness(at) for span, rare in spans), default=0.0)

    def _speaker(self, text: str, language: str) -> float:
        """1 when the text begins like `Name: ` and the question names that speaker."""
        colon = text.find(": ", 0, SPEAKER_CHARS)
        if colon <= 0 or not (text[0].isalpha() or text[0] == "["):
            return 0.0
        return 1.0 if any(each in self.order for each in terms(text[:colon], language)) else 0.0

    def _adjacent(self, tokens: Sequence[str]) -> float:
        """How close together words of the question stand here: 1 for each pair side by side, less up to 4 apart."""
        order = self.order
        places = [(at, order[token]) for at, token in enumerate(tokens) if token in order]
        best: dict[tuple[int, int], float] = {}
        for index, (at, term) in enumerate(places):
            for other_at, other in places[index + 1 : index + 4]:
                gap = other_at - at
                if gap > PROXIMITY:
                    break
                if term != other:
                    pair = (min(term, other), max(term, other))
                    best[pair] = max(best.get(pair, 0.0), 1.0 / gap)
        return sum(best.values())
