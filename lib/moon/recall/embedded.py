"""The embedded engine: the question against `index/recall.sqlite`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple

from moon.fulltext import READ_FOR_PHRASES, Filters, Place, SearchIndex
from moon.recall import typos, unknown
from moon.recall.candidates import Gathered, gather
from moon.recall.dates import Calendar, spans
from moon.recall.question import Query, Term, parse, quoted
from moon.recall.rank import Chosen, Scored, choose, score, session_scores
from moon.recall.recall_types import Hit

if TYPE_CHECKING:
    from moon.recall.meaning import Likeness

MAX_YEARS = 10
# (question, its limits, whether only rows with its words may be shown) → how like it the rows in scope are.
Meant = Callable[[str, Filters, bool], "Likeness | None"]
NO_LIFTS: Mapping[int, float] = {}


class Searched(NamedTuple):
    """What the engine found, the question as it was finally asked, and the limits with those written into it."""

    scored: tuple[Scored, ...]
    query: Query
    filters: Filters
    notes: tuple[str, ...]
    by_meaning: bool


def search(
    index: SearchIndex, text: str, filters: Filters, calendar: Calendar, meaning: Meant | None = None
) -> Searched:
    """Look a question up; every row that may answer it, best first. Raises what `meaning` does."""
    languages = index.languages()
    query = unknown.widened(index, parse(text, languages), languages)
    filters = merged(filters, query)
    notes = list(query.notes)
    found = _look(index, query, filters, calendar)
    if not found.hits and not any(found.dated) and query.required:
        notes.append(f"{_no_phrase(index, query, filters)}; its words were searched for")
        query = query._replace(required=(), terms=_spelled_out(query, languages))
        found = _look(index, query, filters, calendar)
    if not found.has_words and not any(found.dated):
        query, guessed = typos.corrected(index, query)
        notes += guessed
        found = _look(index, query, filters, calendar) if guessed else found
    if meaning is not None:
        found.likeness = meaning(text, filters, found.strict)
    if not found.hits and found.more:
        notes.append("nothing found for the words that say something; these messages have only its small words")
    scored = tuple(score(index, found, query.folded))
    return Searched(scored, query, filters, tuple(notes), found.likeness is not None)


def merged(filters: Filters, query: Query) -> Filters:
    """The limits of the command line, and those written into the question where the command line has none."""
    return filters._replace(
        agent=filters.agent if filters.agent is not None else query.agent,
        session=filters.session if filters.session is not None else query.session,
        roles=filters.roles or query.roles,
        tools=filters.tools or query.tools,
    )


def _look(index: SearchIndex, query: Query, filters: Filters, calendar: Calendar) -> Gathered:
    return gather(index, query, filters, spans(query.folded, calendar, _years(index)))


def _years(index: SearchIndex) -> tuple[int, ...]:
    """The calendar years that a month without a year can mean: the latest ones with messages."""
    first, last = (datetime.fromtimestamp(each / 1000, tz=timezone.utc).year for each in index.time_range())
    return tuple(range(max(first, last - MAX_YEARS), last + 1)) if last > 1970 else ()


def _no_phrase(index: SearchIndex, query: Query, filters: Filters) -> str:
    """That no message holds a phrase, as far as that is known."""
    for term in query.terms:
        having = " AND ".join(quoted(word) for word in dict.fromkeys(term.sequence))
        if having and len(index.matches(having, filters, READ_FOR_PHRASES)) >= READ_FOR_PHRASES:
            return f"the exact phrase is not in the newest {READ_FOR_PHRASES:,} messages that have its words"
    return "no message holds the exact phrase"


def _spelled_out(query: Query, languages: Sequence[str]) -> tuple[Term, ...]:
    """The terms with each phrase taken apart into its words."""
    plain = parse(" ".join(term.text for term in query.terms), languages)
    return plain.terms or query.terms


def hits(index: SearchIndex, scored: Sequence[Scored], limit: int, lifts: Mapping[int, float] = NO_LIFTS) -> list[Hit]:
    """The rows to show, with their places. `lifts` raises sessions (by their number) that another engine found too."""
    sessions = session_scores(scored)
    for session, lift in lifts.items():
        if session in sessions:
            sessions[session] += lift
    chosen = choose(scored, sessions, limit)
    places = index.places(each.scored.row.segment for each in chosen)
    return [_hit(each, places, each.scored.session in lifts) for each in chosen]


def highlights(query: Query) -> frozenset[str]:
    """The stems that are marked in results."""
    return frozenset(stem for term in query.terms for stem in term.stems)


def _hit(chosen: Chosen, places: Mapping[int, Place], is_lifted: bool) -> Hit:
    row = chosen.scored.row
    engines = ("embedded", "qmd") if is_lifted else ("embedded",)
    return Hit(row, places[row.segment], round(chosen.value, 4), engines, chosen.alike)
