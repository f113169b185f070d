"""What speaks for a row, as numbers; `WEIGHTS` in rank.py says how much each counts.

`WORD_FEATURES` follow from which of the question's words stand in a row and around it, and need no text; for
`TEXT_FEATURES` it is read. Nothing here knows any archive, and but for the signs of answers nothing knows a language.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from moon.fulltext import Shape, StoredRow
from moon.fulltext.index_database import EPISODE_SHIFT
from moon.fulltext.languages import terms
from moon.recall.answers import expected
from moon.recall.candidates import Gathered, rarity
from moon.recall.surroundings import Surroundings

# BM25 (Robertson and Zaragoza 2009) with b = 1: how fast further occurrences count less, and how many words a message
# may have before it holds words by chance. A fixed length, not the archive's mean: a word is as telling in a short
# message of an archive of long ones as elsewhere.
SATURATION = 1.2
MESSAGE_WORDS = 100
# Parts of a long row, half overlapping; a row a little longer than one is taken whole.
PASSAGE_WORDS = 80
PASSAGE_STEP = 40
# What was said before says what is talked about when it is short; a long message says many things.
BRIEF_WORDS = 30
# Words of a text that begin like a word of the question: with so much of it.
NEAR_CHARS = 4
NEAR_SHARE = 0.65
# … and how much of its rarity a word has for that which no row holds.
NEAR_NOWHERE = 0.7
SPEAKER_CHARS = 40
ASKS_CHARS = 300
# A row with so much of a question's order says the question again.
ECHO_PAIRS = 3
ECHO_SHARE = 0.8
# It is worse than any other question: what was said before it speaks for it too.
SAID_AGAIN = 3.0
# An unknown stop word is taken to stand in so many rows.
STOP_ROWS = 32
# Lengths of messages say something about who talks much from about so many on.
SHRINK = 8

WORD_FEATURES = (
    "own",  # BM25 of the row
    "share",  # how much of the question its best passage holds
    "after",  # BM25 of what comes after: an answer says again what it answers
    "before",  # BM25 of what was said before, less when that is long
    "call",  # for the result of a tool: BM25 of its call
    "earlier",  # what the event two before adds to row and neighbours, less when that is long
    "session",  # the best row of the session
    "session_words",  # the words in the session, by how often they come
    "told",  # the user says it, and the assistant is the one who talks much
    "related",  # words related to those that are missing
)
TEXT_FEATURES = (
    "near",  # words that begin like those that are missing
    "pairs",  # words side by side as in the question
    "asks",  # the row ends with a question, counted thrice when it says this one again
    "speaker",  # the question names who speaks here
    "date",  # nearness to a time that the question names
    "answers",  # signs of an answer of the kind that is asked for
    "digits",  # there is a number in it
)

_ASKS = re.compile(r"[?\uff1f\u061f\u037e]\s*(?:\[[^\]]*\]\s*)?$")
_DIGIT = re.compile(r"\d")


def density(size: int, count: int = 1) -> float:
    """How much a word tells that comes so often in a message of so many words; 1 for once in a hundred."""
    return (SATURATION + 1) * count / (count + SATURATION * size / MESSAGE_WORDS)


def brevity(size: int) -> float:
    """How much a message of so many words says what is talked about."""
    return min(1.0, BRIEF_WORDS / max(1, size))


class Scales:
    """Weighs sets of bits, remembering each: (rarity of exact words, of related words)."""

    def __init__(self, found: Gathered) -> None:
        self.count = len(found.terms)
        self.exact = [term.weight * rare for term, rare in zip(found.terms, found.rarity, strict=True)]
        self.related = [term.weight * rare for term, rare in zip(found.terms, found.related_rarity, strict=True)]
        self.total = sum(self.exact) or 1e-6
        self._known: dict[int, tuple[float, float]] = {0: (0.0, 0.0)}

    def weigh(self, bits: int) -> tuple[float, float]:
        """What these bits are worth."""
        known = self._known.get(bits)
        if known is None:
            known = self._known[bits] = self._weigh(bits)
        return known

    def _weigh(self, bits: int) -> tuple[float, float]:
        exact = related = 0.0
        for at in range(self.count):
            if bits >> at & 1:
                exact += self.exact[at]
            elif bits >> (at + self.count) & 1:
                related += self.related[at]
        return exact, related


class Sessions:
    """What the question finds in whole sessions."""

    def __init__(self, found: Gathered, scales: Scales, shapes: Mapping[int, Shape], of: Mapping[int, int]) -> None:
        self.of = of
        self.best: dict[int, float] = {}
        together: dict[tuple[int, int], int] = {}
        for row, shape in shapes.items():
            session, bits = of.get(row >> EPISODE_SHIFT, 0), found.hits.get(row, 0)
            value = scales.weigh(bits)[0] * density(shape.size)
            if value > self.best.get(session, 0.0):
                self.best[session] = value
            together[session, bits] = together.get((session, bits), 0) + 1
        counts: dict[int, list[int]] = {}
        for (session, bits), rows in together.items():
            count = counts.setdefault(session, [0] * scales.count)
            for at in range(scales.count):
                if bits >> at & 1:
                    count[at] += rows
        self.words = {
            session: sum(weight * times / (times + 1.5) for weight, times in zip(scales.exact, count, strict=True))
            for session, count in counts.items()
        }


def talkativeness(shapes: Mapping[int, Shape]) -> float:
    """How much longer the assistant's messages are than the user's, as a logarithm; 0 when they are not, or when there
    are few. Who is short tells facts, who is long explains.
    """
    sizes: dict[str, list[int]] = {"user": [], "assistant": []}
    for shape in shapes.values():
        if shape.role in sizes:
            sizes[shape.role].append(shape.size)
    least = min(map(len, sizes.values()))
    if not least:
        return 0.0
    user, assistant = (sum(values) / len(values) for values in sizes.values())
    return max(0.0, math.log(assistant / user)) * least / (least + SHRINK)


class Codes(dict[str, int]):
    """Term of a text → what it is to the question, filled by use: the number of its word (those that are searched for
    first), `~number` for a term that begins like a word, or `NOTHING`.
    """

    NOTHING = 1 << 20

    def __init__(self, found: Gathered) -> None:
        words = [*(term.stems for term in found.terms), *found.small]
        super().__init__({stem: at for at, stems in enumerate(words) for stem in stems})
        self.near = {
            stem[: max(NEAR_CHARS, int(len(stem) * NEAR_SHARE))]: at
            for at, term in enumerate(found.terms)
            for stem in term.stems
            if len(stem) >= NEAR_CHARS and not term.sequence
        }
        self.lengths = sorted({len(each) for each in self.near})

    def __missing__(self, term: str) -> int:
        near = (~self.near[term[:size]] for size in self.lengths if term[:size] in self.near)
        code = self[term] = next(near, Codes.NOTHING)
        return code


class Reader:
    """Turns rows into features for one question."""

    def __init__(self, found: Gathered, question: str) -> None:
        self.found = found
        self.scales = Scales(found)
        self.codes = Codes(found)
        self.expected = expected(question)
        self.is_question = bool(_ASKS.search(question))
        self.small = [
            rarity(found.rows, max(found.common.get(stem, min(STOP_ROWS, found.rows / 2)) for stem in word))
            for word in found.small
        ]
        ordered = [self.codes[min(word)] for word in found.asked]
        self.pairs = {(one, other) for one, other in zip(ordered, ordered[1:], strict=False) if one != other}

    def words(self, row: int, around: Surroundings, sessions: Sessions, told: float) -> list[float]:
        """`WORD_FEATURES` of a row whose text is not known."""
        get, weigh = self.found.hits.get, self.scales.weigh
        shape = around.shapes[row]
        bits = get(row, 0)
        exact, related = weigh(bits)
        before, after = around.beside(row, -1), around.beside(row, 1)
        session = sessions.of.get(row >> EPISODE_SHIFT, 0)
        return [
            exact * density(shape.size),
            exact / self.scales.total,
            max((self._of(other, around) for other in after), default=0.0),
            max((self._of(other, around) * brevity(around.shapes[other].size) for other in before), default=0.0),
            self._of(before[0], around) if before and shape.role == "toolResult" else 0.0,
            self._earlier(bits, before, after, around),
            sessions.best.get(session, 0.0),
            sessions.words.get(session, 0.0),
            told if shape.role == "user" else 0.0,
            related,
        ]

    def _earlier(self, bits: int, before: Sequence[int], after: Sequence[int], around: Surroundings) -> float:
        """What the event before the one before adds to a row with its neighbours."""
        second = around.beside(before[0], -1) if before else ()
        if not second:
            return 0.0
        for other in (*before[:1], *after[:1]):
            bits |= self.found.hits.get(other, 0)
        weigh = self.scales.weigh
        gain = weigh(bits | self.found.hits.get(second[0], 0))[0] - weigh(bits)[0]
        return gain * brevity(around.shapes[second[0]].size)

    def _of(self, row: int, around: Surroundings) -> float:
        return self.scales.weigh(self.found.hits.get(row, 0))[0] * density(around.shapes[row].size)

    def read(self, row: StoredRow, size: int) -> tuple[float, float, list[float]]:
        """(BM25, share of the question in the best passage, `TEXT_FEATURES`) of a row in a message of `size` words."""
        text, bits = row.text, self.found.hits.get(row.id, 0)
        found = terms(text, row.language)
        codes = [self.codes[term] for term in found]
        counts = Counter(codes)
        pairs = len(self.pairs.intersection(zip(codes, codes[1:], strict=False)))
        says_again = self.is_question and len(self.pairs) >= ECHO_PAIRS and pairs >= ECHO_SHARE * len(self.pairs)
        asks = SAID_AGAIN if says_again else float(bool(_ASKS.search(text[-ASKS_CHARS:])))
        features = [
            self._near(counts, bits),
            0.0 if says_again else float(pairs),
            asks,
            self._speaker(text, row.language),
            self._date(row.at),
            float(sum(1 for answer in self.expected if answer.search(text))),
            1.0 if _DIGIT.search(text) else 0.0,
        ]
        return self._bm25(counts, bits, size), self._share(codes, bits), features

    def _bm25(self, counts: Mapping[int, int], bits: int, size: int) -> float:
        """BM25 with all words of the question, also those that are too common to be searched for."""
        own = 0.0
        for at, weight in enumerate(self.scales.exact):
            if bits >> at & 1:
                own += weight * density(size, 1 if self.found.terms[at].sequence else counts.get(at, 1))
        for at, weight in enumerate(self.small, self.scales.count):
            if at in counts:
                own += weight * density(size, counts[at])
        return own

    def _near(self, counts: Mapping[int, int], bits: int) -> float:
        """The rarity of words that are missing, where others here begin like them."""
        nowhere = NEAR_NOWHERE * rarity(self.found.rows, 0)
        return sum(
            weight or term.weight * nowhere
            for at, (weight, term) in enumerate(zip(self.scales.exact, self.found.terms, strict=True))
            if ~at in counts and not bits >> at & 1
        )

    def _share(self, codes: Sequence[int], bits: int) -> float:
        """How much of the question the best passage holds."""
        if len(codes) <= PASSAGE_WORDS + PASSAGE_STEP:
            return self.scales.weigh(bits)[0] / self.scales.total
        seen = 0
        passages: dict[int, int] = {0: 0}
        for place, code in enumerate(codes):
            if 0 <= code < self.scales.count:
                step, bit = place // PASSAGE_STEP, 1 << code
                passages[step] = passages.get(step, 0) | bit
                passages[step - 1] = passages.get(step - 1, 0) | bit
                seen |= bit
        # What the index found, but is no single term here (a path, a phrase), counts for every passage.
        unseen = bits & ~seen
        return max(self.scales.weigh(each & bits | unseen)[0] for each in passages.values()) / self.scales.total

    def _date(self, at: int) -> float:
        spans = zip(self.found.spans, self.found.span_rarity, strict=True)
        return max((rare * span.closeness(at) for span, rare in spans), default=0.0)

    def _speaker(self, text: str, language: str) -> float:
        """1 when the text begins like `Name: ` and the question names that speaker."""
        colon = text.find(": ", 0, SPEAKER_CHARS)
        if colon <= 0 or not (text[0].isalpha() or text[0] == "["):
            return 0.0
        return 1.0 if any(0 <= self.codes[each] < self.scales.count for each in terms(text[:colon], language)) else 0.0
