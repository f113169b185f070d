"""Mistyped words: when nothing at all is found, the nearest words that the archive does hold."""

from __future__ import annotations

from moon.fulltext import Filters, SearchIndex
from moon.fulltext.languages import stem, term_places
from moon.fulltext.words import fold
from moon.recall.question import Query, Term, quoted

LEAST_CHARS = 4
BEST = 3


def corrected(index: SearchIndex, query: Query) -> tuple[Query, list[str]]:
    """The question with near words added for each word that the archive does not know, and a note for each."""
    notes = []
    terms = []
    for term in query.terms:
        near = _near(index, stem(term.text)) if len(term.text) >= LEAST_CHARS and not term.sequence else []
        if near:
            shown = dict.fromkeys(_spelled(index, each) for each in near)
            notes.append(f"nothing for {term.text!r}; searched for words like it: {', '.join(shown)}")
            term = _widened(term, near)
        terms.append(term)
    return query._replace(terms=tuple(terms)), notes


def _widened(term: Term, near: list[str]) -> Term:
    match = " OR ".join([term.match, *(quoted(each) + "*" for each in near)])
    return term._replace(match=match, stems=term.stems | frozenset(near))


def _spelled(index: SearchIndex, term: str) -> str:
    """A word of the archive that is stored as this term."""
    for row in index.rows(index.matches(quoted(term), Filters(), 1)):
        for place in term_places(row.text, row.language):
            if place.word == term:
                return fold(row.text[place.start : place.end])
    return term


def _near(index: SearchIndex, word: str) -> list[str]:
    """Stems within one slip of a word, or two for a long one; the commonest first. The first letter is trusted.

    Nothing for a word that the archive knows: then the question's limits kept it away, not a slip.
    """
    allowed = 1 if len(word) < 8 else 2
    found = [
        (slips, -rows, other)
        for other, rows in index.like(word, allowed)
        if (slips := distance(word, other, allowed)) <= allowed
    ]
    best = sorted(found)[:BEST]
    return [other for _, _, other in best] if best and best[0][0] else []


def distance(one: str, other: str, most: int) -> int:
    """How many letters are wrong, missing, too many or swapped; `most + 1` when it is more than `most`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, 1):
        older, before, row = before, row, [at]
        for there, against in enumerate(other, 1):
            cost = min(before[there] + 1, row[-1] + 1, before[there - 1] + (char != against))
            if older and there > 1 and char == other[there - 2] and one[at - 2] == against:
                cost = min(cost, older[there - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
