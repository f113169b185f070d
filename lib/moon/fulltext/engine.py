"""What recall and moon-index need of an engine that holds words: SQLite (`TextIndex`) and PostgreSQL (`SharedIndex`).

An engine gives candidates and the figures that BM25 needs; the second look is recall's own, so that every engine ranks
alike. Both pass one suite (`tests/integration/test_index_engines.py`).

Row numbers carry meaning, the same in each (see `index_database`): agent, episode, place. Expressions are FTS5's, as
`moon.fulltext.expression` reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from moon.fulltext.index_rows import EventPlace, Filters, MessageRow, Place, SegmentSource, Shape, StoredRow

# So many rows with all words of a phrase are read to see whether they hold it, the newest first.
READ_FOR_PHRASES = 100_000


class Moved(NamedTuple):
    """A segment in a pack: its hash, and how many lines stand before it there."""

    sha256: str
    first_line: int


class SearchIndex(Protocol):
    """An index open to be searched. Every method raises `IndexUnusable` when it cannot be."""

    @property
    def outdated(self) -> str:
        """In what way the index is not as this Moon would make it; "" when it is."""

    @property
    def is_in_memory(self) -> bool:
        """Is it a makeshift that ends with this process?"""

    def close(self) -> None:
        """Let go of it."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Questions asked within see one state of the index, whatever is written meanwhile."""

    # what there is

    def agents(self) -> dict[str, int]:
        """Agent name → rows."""

    def rows_in(self, filters: Filters) -> tuple[int, int]:
        """(rows of the machine and agent that the filters name, all rows)."""

    def languages(self) -> list[str]:
        """The languages that messages are in, the commonest first."""

    def time_range(self) -> tuple[int, int]:
        """The first and the last instant that any message was written, (0, 0) when none is dated."""

    def has_any(self, filters: Filters) -> bool:
        """Is there any message within these limits?"""

    # candidates

    def frequencies(self, stems: Iterable[str]) -> dict[str, int]:
        """In about how many rows each of the common words stands; words that are not common are left out."""

    def matches(self, query: str, filters: Filters, limit: int) -> list[int]:
        """Row numbers that fit an expression, newest first, at most `limit`."""

    def in_time(self, since: int, until: int, filters: Filters, limit: int) -> list[int]:
        """Row numbers of messages from a span of time (milliseconds, end exclusive), at most `limit`."""

    def like(self, word: str, slips: int) -> list[tuple[str, int]]:
        """Stems that may be `word` with so many slips, its first letter trusted, with the number of rows they stand
        in; others may be among them.
        """

    def known(self, terms: Collection[str]) -> set[str]:
        """Those of these terms that some row has; an engine that cannot tell cheaply says all of them."""

    def beginning(self, start: str, limit: int) -> list[tuple[str, int]]:
        """Terms that begin so, with the number of rows they stand in; an engine that cannot tell cheaply says none."""

    # rows

    def rows(self, ids: Sequence[int]) -> list[StoredRow]:
        """The rows with these numbers, in no particular order; numbers that do not exist are left out."""

    def shapes(self, ids: Iterable[int]) -> dict[int, Shape]:
        """What is known of rows without their texts; numbers that do not exist are left out."""

    def found_sizes(self, ids: Sequence[int]) -> list[tuple[int, str, int, int]]:
        """(row number, role, size, digest of its text) of rows that a search found, each of which must be there."""

    def places(self, segments: Iterable[int]) -> dict[int, Place]:
        """Where segments (by their number in rows) come from."""

    def sessions_of(self, episodes: Iterable[int]) -> dict[int, int]:
        """Episode number → session number."""

    def session_numbers(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """(agent, session id) → session number, for those that are known."""

    def around(self, row_id: int, count: int, *, after: bool) -> list[StoredRow]:
        """Up to `count` rows of the same session before or after a row, in the order of the conversation."""

    # events

    def event_rows(self, event_id: str, session: str | None = None) -> list[StoredRow]:
        """The rows of an event, in order; those of the session where one is named, else of the first that has it."""

    def events_beginning(self, start: str, limit: int) -> list[str]:
        """Event ids that begin so."""

    def locate_event(self, event_id: str) -> list[EventPlace]:
        """Where an event lies in the archives; several places when it has several pieces or sessions."""

    # segments

    def has_segment(self, sha256: str) -> bool:
        """Is this archive segment in the index?"""

    def segment_shas(self) -> set[str]:
        """Every indexed segment."""

    def counts(self) -> dict[str, int]:
        """How much is in the index: `segments`, `messages`."""

    def findable(self, sha256: str) -> bool:
        """Does a search bring back the messages of this segment? True for an indexed segment without any text."""


class IndexWriter(SearchIndex, Protocol):
    """An index open to be written to, by one process at a time."""

    def add_segments(self, segments: Iterable[tuple[SegmentSource, Iterable[MessageRow]]]) -> list[int]:
        """Enter several segments, all of them or none; how many rows each made, 0 for a known one. Rows come in the
        order of the archive, the segments of one session in the order of the ledger.
        """

    def forget_segment(self, sha256: str) -> int:
        """Take a segment out again; returns how many rows went."""

    def take_over(self, pack: SegmentSource, segments: Sequence[Moved]) -> bool:
        """Point the rows of these segments to the pack that holds them now; returns whether the pack is indexed now.
        If not, it has to be entered like any archive, and nothing of its segments is left.
        """

    def finish(self) -> None:
        """End a run of changes: put words and their counts in order."""
