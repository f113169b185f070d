"""The RecallResult document, `moon.recall/1`."""

from __future__ import annotations

from typing import Any

from moon.clock import format_ms
from moon.fulltext import StoredRow
from moon.page_link import page_command
from moon.recall.pack import pack
from moon.recall.recall_types import Answer, Hit, Request
from moon.recall.snippet import cut, mark
from moon.text import lines, one_line

Document = dict[str, Any]
# Scores are logarithms of odds: this far behind the best, a result is four hundred times less likely.
HOPELESS = 6.0


def document(request: Request, answer: Answer, took_ms: int) -> Document:
    """What recall prints for one question."""
    numbered = list(enumerate(answer.hits, 1))
    wanted = [each for each in numbered if not request.pick or each[0] in request.pick]
    return {
        "schema": "moon.recall/1",
        "query": request.text.encode("utf-8", "replace").decode(),
        "engines": list(answer.engines),
        "degraded": list(answer.degraded),
        "notes": [*answer.notes, *_not_there(request, len(numbered))],
        "took_ms": took_ms,
        "results": [_result(rank, hit, answer.highlights) for rank, hit in wanted],
        "pack": pack(wanted if request.pick else _promising(wanted), request.pack_tokens),
    }


def _promising(numbered: list[tuple[int, Hit]]) -> list[tuple[int, Hit]]:
    """What a model should read: not the results that stand so far behind the best one that chance put them there."""
    best = max((hit.score for _, hit in numbered), default=0.0)
    return [(rank, hit) for rank, hit in numbered if hit.score >= best - HOPELESS]


def _not_there(request: Request, found: int) -> list[str]:
    """A note for each picked result that there is not."""
    return [f"there is no result {number}, only {found}" for number in request.pick if not 1 <= number <= found]


def _result(rank: int, hit: Hit, highlights: frozenset[str]) -> Document:
    row = hit.row
    return {
        "rank": rank,
        "score": hit.score,
        "snippet": mark(*cut(row.text, highlights, language=row.language)),
        "role": one_line(row.role),
        "tool": one_line(row.tool) or None,
        "timestamp": _when(row),
        "host": hit.place.host or None,
        "agent": hit.place.agent,
        "session_key": hit.place.session_key,
        "session_id": hit.place.session_id,
        "event_id": row.event_id,
        "archive_path": hit.place.archive_path,
        "line": row.line,
        "engines": list(hit.engines),
        "alike": hit.alike,
        "page": page_command(hit.place.session_key, row.event_id),
        "before": [neighbour(each) for each in hit.before],
        "after": [neighbour(each) for each in hit.after],
    }


def neighbour(row: StoredRow) -> Document:
    """A message that stands beside a result."""
    return {
        "role": one_line(row.role),
        "timestamp": _when(row),
        "event_id": row.event_id,
        "line": row.line,
        "text": lines(row.text),
    }


def _when(row: StoredRow) -> str | None:
    return format_ms(row.at) if row.at else None
