"""Words of a question that the archive does not know: their parts, and words that begin like them.

`Spülmaschine` is asked for where the archive says `Geschirrspülmaschine`, `testkörningen` where it says `test`. Only a
word that no row has is looked at, so a question whose words are known costs a look into the vocabulary for each.
"""

from __future__ import annotations

from collections.abc import Sequence

from moon.fulltext import SearchIndex
from moon.fulltext.languages import word_terms
from moon.fulltext.words import UNSPACED
from moon.recall.question import MAX_TERMS, Query, Term, any_of

# Languages that write compounds as one word, and what they put between the parts.
COMPOUNDING = frozenset({"de", "nl", "sv", "no", "da", "fi", "hu", "et"})
LINKS = ("", "s", "es", "n", "en", "e", "er")
LEAST_CHARS = 6
LEAST_PART = 4
# A part says less than the word would.
PART_WEIGHT = 0.5
# How much of a word another must begin with, of how many such words, and how much longer they may be.
START_SHARE = 0.65
LOOKED_AT = 60
KIN = 6
LONGER = 6


def widened(index: SearchIndex, query: Query, languages: Sequence[str]) -> Query:
    """The question with kin and parts of the words that no row has."""
    doubtful = [term for term in query.terms if _is_plain(term)]
    known = index.known({stem for term in doubtful for stem in term.stems}) if doubtful else set()
    unknown = {term.text for term in doubtful if known.isdisjoint(term.stems)}
    if not unknown:
        return query
    terms = [_with_kin(index, term) if term.text in unknown else term for term in query.terms]
    if not COMPOUNDING.isdisjoint(languages):
        terms += [part for word in sorted(unknown) for part in _parts(index, word, languages)]
    return query._replace(terms=tuple(terms[:MAX_TERMS]))


def _is_plain(term: Term) -> bool:
    word = term.text
    return not term.sequence and len(word) >= LEAST_CHARS and word.isalpha() and not UNSPACED.search(word)


def _with_kin(index: SearchIndex, term: Term) -> Term:
    related = term.related_stems.union(_kin(index, term.text))
    return term._replace(related=any_of([each] for each in sorted(related)), related_stems=related)


def _kin(index: SearchIndex, word: str) -> list[str]:
    """Terms that begin like the word, those with most of its beginning first, then the commonest."""
    start = word[: max(LEAST_PART, int(len(word) * START_SHARE))]
    begin = index.beginning(start, LOOKED_AT)
    near = [(-_alike(word, other), -rows, other) for other, rows in begin if len(other) <= len(word) + LONGER]
    return [other for _, _, other in sorted(near)[:KIN]]


def _alike(one: str, other: str) -> int:
    """How many letters two words begin with alike."""
    same = [first == second for first, second in zip(one, other, strict=False)]
    return same.index(False) if False in same else len(same)


def _parts(index: SearchIndex, word: str, languages: Sequence[str]) -> list[Term]:
    """The longest known end and the longest known beginning of a compound; nothing where neither is known."""
    cuts = range(LEAST_PART, len(word) - 1)
    starts = {word[:at].removesuffix(link): at for at in cuts for link in LINKS if word[:at].endswith(link)}
    ends = [word[at:] for at in range(2, len(word) - LEAST_PART + 1)]
    stems = {part: word_terms(part, languages) for part in (*starts, *ends) if len(part) >= LEAST_PART}
    known = index.known(frozenset[str]().union(*stems.values()))
    found = {part: of & known for part, of in stems.items() if of & known}
    end = next((part for part in ends if part in found), "")
    start = max((part for part in found if starts.get(part, len(word)) <= len(word) - len(end)), key=len, default="")
    return [_part(part, found[part]) for part in (start, end) if part]


def _part(part: str, stems: frozenset[str]) -> Term:
    return Term(part, any_of([each] for each in sorted(stems)), stems, weight=PART_WEIGHT)
