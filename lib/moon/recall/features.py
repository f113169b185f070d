"""What speaks for a row, as numbers; `WEIGHTS` in rank.py says how much each counts.

`WORD_FEATURES` follow from which of the question's words stand in a row and around it, and need no text; for
`TEXT_FEATURES` it is read. Nothing here knows any archive, and but for the signs of answers nothing knows a language.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from moon.fulltext import StoredRow
from moon.fulltext.languages import row_words, stem, terms
from moon.recall.answers import expected
from moon.recall.candidates import Gathered, rarity
from moon.recall.cues import Wanted, is_standing, runs_command, shows_failure
from moon.recall.question import ends_as_question
from moon.recall.surroundings import TOOLS, Surroundings

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
LEAST_BRIEF = 0.1
# Words of a text that begin like a word of the question: with so much of it.
NEAR_CHARS = 4
NEAR_SHARE = 0.65
# … and how much of its rarity a word has for that which no row holds.
NEAR_NOWHERE = 0.7
ASKS_CHARS = 300
# A word and its stem begin alike, but in languages whose stemmer takes beginnings off.
STEM_START = 2
TAKES_BEGINNINGS = frozenset({"id"})
# A row with so much of a question's order says the question again.
ECHO_PAIRS = 3
ECHO_SHARE = 0.8
# It is worse than any other question: what was said before it speaks for it too.
SAID_AGAIN = 3.0
# Bare words of which a row has so much are taken to be quoted from it.
WHOLE = 0.9
# … or so much of their order, with at most so many words between two of them.
IN_ORDER = 0.6
BETWEEN = 4
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
    "answers",  # signs of an answer of the kind that is asked for, in a short message
    "failure",  # the question is about a failure, and the result of a tool or a short message shows one
    "command",  # it asks for a command, or how something was done, and a command is run here
    "output",  # it asks for what a tool showed, and this is the result of one
    "standing",  # the user lays down a rule in few words
    "order",  # the question names the first or the last of several: how early or late this is said
    "digits",  # there is a number in it, and it is short
)

_SPEAKER = re.compile(r"\[?([^\W\d_][\w.'-]*(?: [\w.'-]+){0,3})\]?: ")
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
        self._places: dict[int, list[int]] = {}

    def weigh(self, bits: int) -> tuple[float, float]:
        """What these bits are worth."""
        known = self._known.get(bits)
        if known is None:
            known = self._known[bits] = self._weigh(bits)
        return known

    def places(self, bits: int) -> Sequence[int]:
        """Which terms these bits stand for."""
        known = self._places.get(bits)
        if known is None:
            known = self._places[bits] = [at for at in range(self.count) if bits >> at & 1]
        return known

    def worth(self, bits: int) -> float:
        """One number for what these bits are worth."""
        exact, related = self.weigh(bits)
        return exact + 0.5 * related

    def _weigh(self, bits: int) -> tuple[float, float]:
        exact = related = 0.0
        for at in range(self.count):
            if bits >> at & 1:
                exact += self.exact[at]
            elif bits >> (at + self.count) & 1:
                related += self.related[at]
        return exact, related


class Sessions:
    """What the question finds in whole sessions: in `of`, row number → (session, BM25)."""

    def __init__(self, found: Gathered, scales: Scales, of: Mapping[int, tuple[int, float]]) -> None:
        self.best: dict[int, float] = {}
        together: dict[tuple[int, int], int] = {}
        for row, (session, own) in of.items():
            if own > self.best.get(session, 0.0):
                self.best[session] = own
            each = session, found.hits.get(row, 0)
            together[each] = together.get(each, 0) + 1
        counts: dict[int, dict[int, int]] = {}
        for (session, bits), rows in together.items():
            count = counts.setdefault(session, {})
            for at in scales.places(bits):
                count[at] = count.get(at, 0) + rows
        exact = scales.exact
        self.words = {
            session: sum([exact[at] * count[at] / (count[at] + 1.5) for at in sorted(count)])
            for session, count in counts.items()
        }


def talkativeness(user: Sequence[int], assistant: Sequence[int]) -> float:
    """How much longer the assistant's messages are than the user's, as a logarithm, from sizes of some; 0 when they are
    not, or when there are few. Who is short tells facts, who is long explains.
    """
    least = min(len(user), len(assistant))
    if not least:
        return 0.0
    ratio = (sum(assistant) / len(assistant)) / (sum(user) / len(user))
    return max(0.0, math.log(ratio)) * least / (least + SHRINK)


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


class PlainCodes(dict[str, int]):
    """Word of a row in ASCII → code, filled by use. Stemming all words of all rows would take longer than all else, so
    only those are stemmed that begin like a term of the question.
    """

    def __init__(self, codes: Codes, language: str) -> None:
        super().__init__()
        self.codes = codes
        self.language = language
        self.starts = {term[:STEM_START] for term in codes}

    def __missing__(self, word: str) -> int:
        is_like = word[:STEM_START] in self.starts
        code = self[word] = self.codes[stem(word, self.language)] if is_like else Codes.NOTHING
        return code


class Read(NamedTuple):
    """What reading a row told. `own` is its BM25 and `share` how much of the question its best passage holds; of a row
    that is quoted, its own length counts instead of its message's, and the words may stand anywhere in it. `features`
    are `TEXT_FEATURES`.
    """

    is_quoted: bool
    own: float
    share: float
    features: list[float]


class Reader:
    """Turns rows into features for one question."""

    def __init__(self, found: Gathered, question: str) -> None:
        self.found = found
        self.scales = Scales(found)
        self.codes = Codes(found)
        self.plain: dict[str, PlainCodes] = {}
        self.expected = expected(question)
        self.wanted = Wanted(question)
        self.small = [
            rarity(found.rows, max(found.common.get(stem, min(STOP_ROWS, found.rows / 2)) for stem in word))
            for word in found.small
        ]
        ordered = [self.codes[min(word)] for word in found.asked]
        self.pairs = {(one, other) for one, other in zip(ordered, ordered[1:], strict=False) if one != other}
        # Key words have no small words between them, a sentence that somebody remembers has.
        self.is_piece = not found.asks and bool(found.small) and len(self.pairs) >= ECHO_PAIRS

    def is_quoted(self, counts: Mapping[int, int], bits: int, ordered: int) -> bool:
        """Are these bare words, and a row has (nearly) all of them, if with other endings, or, of a piece of a
        sentence, most of them in their order? Then it is likely what somebody remembers.
        """
        if self.found.asks:
            return False
        in_order = self.is_piece and ordered >= IN_ORDER * len(self.pairs)
        return in_order or self._covered(counts, bits) >= WHOLE * self.scales.total

    def _ordered(self, codes: Sequence[int]) -> int:
        """How many neighbours of the question stand in a row in their order, with few words between them."""
        places = [(at, code if code >= 0 else ~code) for at, code in enumerate(codes) if code != Codes.NOTHING]
        found: set[tuple[int, int]] = set()
        for number, (at, code) in enumerate(places):
            for other_at, other in places[number + 1 : number + 1 + BETWEEN]:
                if other_at - at <= BETWEEN and (code, other) in self.pairs:
                    found.add((code, other))
        return len(found)

    def _covered(self, counts: Mapping[int, int], bits: int) -> float:
        """The rarity of the words that a row has, also of those that only begin like one of its words."""
        return sum(weight for at, weight in enumerate(self.scales.exact) if bits >> at & 1 or ~at in counts)

    def words(self, row: int, session: int, around: Surroundings, sessions: Sessions, told: float) -> list[float]:
        """`WORD_FEATURES` of a row whose text is not known."""
        shape = around.shapes[row]
        bits = self.found.hits.get(row, 0)
        exact, related = self.scales.weigh(bits)
        before, after = around.beside(row, -1), around.beside(row, 1)
        said = [(self._of(other, around), brevity(around.shapes[other].size)) for other in before]
        return [
            exact * density(shape.size),
            exact / self.scales.total,
            max((self._of(other, around) for other in after), default=0.0),
            max((own * brief for own, brief in said), default=0.0),
            said[0][0] if said and shape.role == "toolResult" and around.shapes[before[0]].role != "user" else 0.0,
            self._earlier(bits, before, after, around),
            sessions.best.get(session, 0.0),
            sessions.words.get(session, 0.0),
            told if shape.role == "user" else 0.0,
            related,
        ]

    def _earlier(self, bits: int, before: Sequence[int], after: Sequence[int], around: Surroundings) -> float:
        """What the event before the one before adds to a row with its neighbours."""
        second = around.beside(before[0], -1) if before else ()
        if not second or second[0] not in self.found.hits:
            return 0.0
        for other in (*before[:1], *after[:1]):
            bits |= self.found.hits.get(other, 0)
        weigh = self.scales.weigh
        gain = weigh(bits | self.found.hits.get(second[0], 0))[0] - weigh(bits)[0]
        return gain * brevity(around.shapes[second[0]].size)

    def _of(self, row: int, around: Surroundings) -> float:
        bits = self.found.hits.get(row, 0)
        return self.scales.weigh(bits)[0] * density(around.shapes[row].size) if bits else 0.0

    def read(self, row: StoredRow, size: int, moment: float) -> Read:
        """What the text of a row says, which stands in a message of `size` words; `moment` is how late among the rows
        that are read, from 0 to 1.
        """
        text, bits = row.text, self.found.hits.get(row.id, 0)
        codes = self._codes(text, row.language)
        counts = Counter(codes)
        pairs = len(self.pairs.intersection(zip(codes, codes[1:], strict=False)))
        ordered = self._ordered(codes) if self.is_piece else pairs
        says_again = self.found.asks and len(self.pairs) >= ECHO_PAIRS and pairs >= ECHO_SHARE * len(self.pairs)
        asks = SAID_AGAIN if says_again else float(ends_as_question(text[-ASKS_CHARS:]))
        brief = brevity(size)  # a long message has every sign by chance
        features = [
            self._near(counts, bits),
            0.0 if says_again else float(pairs),
            asks,
            self._speaker(row),
            self._date(row.at),
            brief * self._signs(text) if brief > LEAST_BRIEF else 0.0,
            self._failure(row, brief),
            float(self.wanted.command and runs_command(row)),
            float(self.wanted.output and row.role == "toolResult"),
            float(is_standing(row, size)),
            self._order(moment),
            brief if _DIGIT.search(text) else 0.0,
        ]
        if self.is_quoted(counts, bits, ordered):
            share = self._covered(counts, bits) / self.scales.total
            features[TEXT_FEATURES.index("pairs")] = float(ordered)
            return Read(True, self._bm25(counts, bits, len(codes)), share, features)
        return Read(False, self._bm25(counts, bits, size), self._share(codes, bits), features)

    def _codes(self, text: str, language: str) -> list[int]:
        """What the terms of a text are to the question, in order."""
        if not text.isascii() or language in TAKES_BEGINNINGS:
            return [self.codes[term] for term in terms(text, language)]
        if language not in self.plain:
            self.plain[language] = PlainCodes(self.codes, language)
        return [*map(self.plain[language].__getitem__, row_words(text))]

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

    def _signs(self, text: str) -> int:
        """How many signs there are of the kind of answer that is asked for."""
        amount = self.wanted.amount and _DIGIT.search(text) is not None
        return amount + sum(1 for answer in self.expected if answer.search(text))

    def _failure(self, row: StoredRow, brief: float) -> float:
        """How likely a row shows the failure that is asked for: what a tool prints does so at any length."""
        if not self.wanted.failure or not shows_failure(row.text):
            return 0.0
        return 1.0 if row.role == "toolResult" else brief

    def _order(self, moment: float) -> float:
        return {-1: 1.0 - moment, 0: 0.0, 1: moment}[self.wanted.order]

    def _speaker(self, row: StoredRow) -> float:
        """1 when somebody speaks whom the question names: the text begins like `Name: `."""
        found = _SPEAKER.match(row.text) if row.role not in TOOLS else None
        if found is None:
            return 0.0
        return float(any(0 <= self.codes[each] < self.scales.count for each in terms(found[1], row.language)))
