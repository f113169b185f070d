"""Two engines, one answer: reciprocal rank on sessions, the embedded engine first.

Words are found by the embedded engine already, and better ranked; what QMD adds is a second opinion on which session is
meant, weighed low, and rows that only its vectors find, which fill places that would stay empty. So a fused answer
keeps every row of the embedded one unless a lifted session brings a better one (docs/recall.md has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence

from moon.fulltext import Filters, Place, SearchIndex, StoredRow
from moon.recall.embedded import Searched, hits
from moon.recall.qmd_engine import Found
from moon.recall.recall_types import Hit

# The usual constant of reciprocal rank fusion (Cormack, Clarke, Büttcher, SIGIR 2009), and how much QMD's rank weighs.
RANK_CONSTANT = 60
QMD_WEIGHT = 0.2


def fused(index: SearchIndex, searched: Searched, found: Sequence[Found], limit: int) -> list[Hit]:
    """The embedded answer with what QMD found."""
    order = list(dict.fromkeys((each.agent, each.session_id) for each in found))
    numbers = index.session_numbers(order)
    lifts = {
        numbers[each]: QMD_WEIGHT * RANK_CONSTANT / (RANK_CONSTANT + rank)
        for rank, each in enumerate(order)
        if each in numbers
    }
    shown = hits(index, searched.scored, limit, lifts)
    return [*shown, *_more(index, searched, found, shown)][:limit]


def _more(index: SearchIndex, searched: Searched, found: Sequence[Found], shown: Sequence[Hit]) -> list[Hit]:
    """Events that only QMD found, where the question's limits allow them."""
    if searched.query.required or searched.query.excluded:
        return []
    known = {(hit.place.session_id, hit.row.event_id) for hit in shown}
    extra = []
    for each in found:
        rows = index.event_rows(each.event_id, each.session_id) if each.event_id else []
        if not rows or (each.session_id, each.event_id) in known:
            continue
        place = index.places([rows[0].segment])[rows[0].segment]
        if not _allowed(searched.filters, rows[0], place):
            continue
        known.add((each.session_id, each.event_id))
        if searched.filters.session in (None, place.session_key, place.session_id):
            extra.append(Hit(rows[0], place, 0.0, ("qmd",)))
    return extra


def _allowed(filters: Filters, row: StoredRow, place: Place) -> bool:
    """Is this row within the limits that a search of the index itself would keep?"""
    return (
        filters.agent in (None, place.agent)
        and (not filters.roles or row.role.lower() in map(str.lower, filters.roles))
        and (not filters.tools or row.tool.lower() in map(str.lower, filters.tools))
        and (filters.since is None or row.at >= filters.since)
        and (filters.until is None or row.at < filters.until)
    )
