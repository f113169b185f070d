"""What recall is asked for and what it answers."""

from __future__ import annotations

from typing import NamedTuple

from moon.fulltext import Filters, Place, StoredRow

DEFAULT_LIMIT = 10
MAX_LIMIT = 200
DEFAULT_PACK_TOKENS = 2000
# Which machine is asked: this one, or every one that the role may see.
OWN, ALL = "own", "all"


class Request(NamedTuple):
    """One question with what it is limited to and what the answer shall carry. `host`: "" for the configured one."""

    text: str
    limit: int = DEFAULT_LIMIT
    filters: Filters = Filters()
    context: int = 0
    pack_tokens: int = DEFAULT_PACK_TOKENS
    pick: tuple[int, ...] = ()
    host: str = ""


class Hit(NamedTuple):
    """One found row and where it comes from. `alike` counts rows that were folded into it."""

    row: StoredRow
    place: Place
    score: float
    engines: tuple[str, ...]
    alike: int = 0
    before: tuple[StoredRow, ...] = ()
    after: tuple[StoredRow, ...] = ()


class Answer(NamedTuple):
    """What was found, best first, by which engines, what went wrong on the way, and words for people."""

    hits: tuple[Hit, ...]
    engines: tuple[str, ...]
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    highlights: frozenset[str] = frozenset()
