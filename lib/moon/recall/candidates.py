"""The first stage: rows worth a closer look, found with bounded work however large the archive is.

Rare words are looked up whole. A common word costs as much as it has rows, so it is only asked about rows that a rarer
word has found (FTS5 intersects by skipping). What is learned about a row is a number with one bit for each term.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moon.fulltext import Filters, SearchIndex
from moon.recall.dates import Span
from moon.recall.question import Query, Term, any_of

if TYPE_CHECKING:
    from moon.recall.meaning import Likeness

# How many occurrences one question may look at. SQLite hands over about three a microsecond.
POSTINGS = 5_000
DATED_ROWS = 2_000
# Where fewer rows have what was asked for, those with its small words are looked at too, so many of them.
FEW = 60
MORE = 200


class Gathered:
    """What the question finds. `hits`: row number → bits; bit `i` is term `i`, bit `i + len(terms)` a related word.

    `dated` holds, for each time that the question names, the rows from that time (none where they are too many).
    `strict` says that only rows in `hits` may be shown, because the question limits more than the agent.
    """

    def __init__(self, terms: tuple[Term, ...], spans: tuple[Span, ...], rows: int, *, strict: bool) -> None:
        self.terms = terms
        self.spans = spans
        self.rows = rows
        self.strict = strict
        self.hits: dict[int, int] = {}
        self.rarity: list[float] = []
        self.related_rarity: list[float] = []
        self.dated: list[set[int]] = []
        self.span_rarity: list[float] = []
        # Rows with nothing but small words, looked at where little else is found.
        self.more: set[int] = set()
        # Words of the question as sets of terms: all of them in order, and those that are never searched for.
        self.asked: tuple[frozenset[str], ...] = ()
        self.small: tuple[frozenset[str], ...] = ()
        # Bare words ask nothing.
        self.asks = True
        # What the vectors of rows say, where there are any.
        self.likeness: Likeness | None = None
        # In about how many of the rows in scope the common ones stand.
        self.common: dict[str, float] = {}

    @property
    def has_words(self) -> bool:
        """Has any row a word of the question itself, not only one that is related to it?"""
        own = (1 << len(self.terms)) - 1
        return any(bits & own for bits in self.hits.values())

    def mark(self, ids: Iterable[int], bit: int) -> None:
        """Note that these rows have what the bit stands for."""
        hits = self.hits
        known = hits.get
        for row in ids:
            hits[row] = known(row, 0) | bit


def rarity(rows: int, found: float) -> float:
    """How much it says that a row has something which `found` of all rows have (the idf of BM25, never negative)."""
    return math.log(1 + (max(rows, found) - found + 0.5) / (found + 0.5))


class Gatherer:
    """Looks up one question."""

    def __init__(self, index: SearchIndex, query: Query, filters: Filters, spans: Iterable[Span]) -> None:
        self.index = index
        self.query = query
        self.filters = filters
        in_scope, total = index.rows_in(filters)
        self.share = in_scope / total if total else 0.0
        self.left = POSTINGS
        self.rare: list[str] = []
        strict = bool(query.required or query.excluded or not filters.plain)
        self.found = Gathered(query.terms, tuple(spans), in_scope, strict=strict)

    def gather(self) -> Gathered:
        """Do it."""
        terms = self.query.terms
        small = {each for word in self.query.small for each in word}
        common = self.index.frequencies({each for term in terms for each in (term.stems | term.related_stems)} | small)
        self.found.asked, self.found.small, self.found.asks = self.query.asked, self.query.small, self.query.asks
        self.found.common = {each: self.share * common[each] for each in small & common.keys()}
        expected = [self._expected(term, common) for term in terms]
        self.found.rarity = [0.0] * len(terms)
        self.found.related_rarity = [0.0] * len(terms)
        for at in sorted(range(len(terms)), key=lambda at: expected[at]):
            self.found.rarity[at] = self._look_up(terms[at].match, expected[at], 1 << at)
        for at, term in enumerate(terms):
            if term.related:
                many = self.share * sum(common.get(each, 0) for each in term.related_stems)
                bit = 1 << (at + len(terms))
                self.found.related_rarity[at] = self._look_up(term.related, many, bit, rare=False)
        for span in self.found.spans:
            self._look_at(span)
        if len(self.found.hits) < FEW and not self.found.strict:
            self._look_for_small()
        return self.found

    def _look_for_small(self) -> None:
        for word in self.query.small:
            ids = self.index.matches(any_of([each] for each in word), self.filters, min(MORE, self.left))
            self.found.more.update(ids)
            self.left -= len(ids)

    def _expected(self, term: Term, common: dict[str, int]) -> float:
        counts = [common.get(each, 0) for each in term.stems]
        return self.share * (min(counts) if term.sequence else sum(counts))

    def _look_up(self, match: str, expected: float, bit: int, *, rare: bool = True) -> float:
        """Mark the rows that a term matches, within what is left to spend; returns the term's rarity."""
        whole = expected <= self.left or (rare and not self.rare)
        if self.left <= 0 or (not whole and not self.rare):
            return rarity(self.found.rows, expected)
        expression = f"({match})" if whole else f"({match}) AND ({' OR '.join(self.rare)})"
        limit = self.left
        ids = self.index.matches(self._limited(expression), self.filters, limit)
        self.found.mark(ids, bit)
        self.left -= len(ids)
        if not whole:
            return rarity(self.found.rows, max(expected, len(ids)))
        if rare and ids:
            self.rare.append(f"({match})")
        return rarity(self.found.rows, len(ids) if len(ids) < limit else max(expected, limit))

    def _limited(self, expression: str) -> str:
        for phrase in self.query.required:
            expression += f" AND ({phrase})"
        if self.query.excluded:
            expression = f"({expression}) NOT ({' OR '.join(self.query.excluded)})"
        return expression

    def _look_at(self, span: Span) -> None:
        """Note the rows from a time that the question names, unless they are too many to say anything."""
        ids = self.index.in_time(span.since, span.until, self.filters, DATED_ROWS)
        many = len(ids) >= DATED_ROWS
        self.found.dated.append(set() if many or self.found.strict else set(ids))
        self.found.span_rarity.append(
            rarity(self.found.rows, max(self.found.rows / 10, len(ids)) if many else len(ids))
        )


def gather(index: SearchIndex, query: Query, filters: Filters, spans: Iterable[Span]) -> Gathered:
    """Rows that have something of what a question asks for."""
    return Gatherer(index, query, filters, spans).gather()
