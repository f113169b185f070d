"""Asking the shared index: the same questions as of the embedded one, over the machines that the role may see."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms
from moon.fulltext.engine import READ_FOR_PHRASES
from moon.fulltext.expression import Terms, read
from moon.fulltext.index_database import AGENT_SHIFT, EPISODE_SHIFT
from moon.fulltext.index_reader import (
    FINDABLE_ROWS,
    FINDABLE_TERMS,
    READ_AT_ONCE,
)
from moon.fulltext.index_rows import EventPlace, Filters, IndexCorrupt, Place, Shape, StoredRow
from moon.fulltext.index_tidying import COMMON_ROWS
from moon.fulltext.languages import index_terms, signature, terms
from moon.shared_index.database import Address, address, check_version, connect, translated, within
from moon.shared_index.words_query import lexeme, tsquery

if TYPE_CHECKING:
    import psycopg

SOURCE_SHIFT = AGENT_SHIFT
EPISODE_SOURCE_SHIFT = AGENT_SHIFT - EPISODE_SHIFT
NEAR_WORDS = 4_000
# A row by its number, with the segment that it stands in.
ROWS = (
    "SELECT message.id, event, line + lines_before, role, tool, at, segment, body, language FROM moon.message "
    "LEFT JOIN LATERAL (SELECT segment, lines_before FROM moon.span WHERE span.source = message.source "
    "AND span.first <= message.id ORDER BY span.first DESC LIMIT 1) AS span ON true "
    "WHERE message.source = ANY (%s) AND message.id = ANY (%s) ORDER BY message.id"
)


class Source(NamedTuple):
    """One agent of one machine."""

    id: int
    host: str
    agent: str
    rows: int


class SharedIndex:
    """An open shared index. `seconds`: what one question may take in all."""

    is_in_memory = False

    def __init__(self, connection: psycopg.Connection[Any], seconds: float, host: str | None = None) -> None:
        """`host`: the machine that segments are asked of; None for all."""
        self.connection = connection
        self.seconds = seconds
        self.host = host
        self._known: list[Source] | None = None

    def __enter__(self) -> SharedIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(Exception):
            self.connection.close()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with translated():
            return self.connection.execute(sql, values or None).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Questions asked within see one state of the index, and have `seconds` together."""
        self._known = None
        with within(self.connection, self.seconds):
            with translated():
                self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                with contextlib.suppress(Exception):
                    self.connection.execute("ROLLBACK")

    # what there is

    @property
    def sources(self) -> list[Source]:
        """The agents of machines that this role sees."""
        if self._known is None:
            self._known = [Source(*row) for row in self._rows("SELECT id, host, agent, rows FROM moon.source")]
        return self._known

    def hosts(self) -> list[str]:
        """The machines that this role sees."""
        return sorted({each.host for each in self.sources})

    def _wanted(self, filters: Filters) -> list[int] | None:
        """The sources that the filters name; None for all."""
        if filters.agent is None and filters.host is None:
            return None
        return [
            each.id
            for each in self.sources
            if filters.agent in (None, each.agent) and filters.host in (None, each.host)
        ]

    def _own(self) -> list[int]:
        return [each.id for each in self.sources if self.host in (None, each.host)]

    @property
    def outdated(self) -> str:
        """In what way the index is not as this Moon would make it; "" when it is."""
        found = self._rows("SELECT host FROM moon.machine WHERE rules != %s ORDER BY host", signature())
        return f"the words of {', '.join(row[0] for row in found)} were made by other rules" if found else ""

    def agents(self) -> dict[str, int]:
        """Agent name → rows."""
        found: dict[str, int] = {}
        for each in self.sources:
            found[each.agent] = found.get(each.agent, 0) + each.rows
        return found

    def rows_in(self, filters: Filters) -> tuple[int, int]:
        """(rows of the machine and agent that the filters name, all rows)."""
        wanted = self._wanted(filters)
        total = sum(each.rows for each in self.sources)
        return (total if wanted is None else sum(each.rows for each in self.sources if each.id in wanted)), total

    def languages(self) -> list[str]:
        """The languages that messages are in, the commonest first."""
        found = self._rows(
            "SELECT language FROM moon.spoken WHERE language != '' GROUP BY language HAVING sum(rows) > 0 "
            "ORDER BY sum(rows) DESC, language"
        )
        return [row[0] for row in found]

    def time_range(self) -> tuple[int, int]:
        """The first and the last instant that any message was written, (0, 0) when none is dated."""
        found = self._rows(
            "SELECT (SELECT min(first_at) FROM moon.episode WHERE first_at > 0), "
            "(SELECT max(last_at) FROM moon.episode WHERE last_at > 0)"
        )
        return found[0][0] or 0, found[0][1] or 0

    def has_any(self, filters: Filters) -> bool:
        """Is there any message within these limits?"""
        return bool(self._find(None, filters, 1))

    def lateness(self) -> list[tuple[str, int, int]]:
        """(machine, seconds since it last sent something, archives that it still had to send) of all that are seen."""
        found = self._rows("SELECT host, extract(epoch FROM now() - seen_at)::bigint, waiting FROM moon.machine")
        return sorted((str(host), max(0, int(age)), int(waiting)) for host, age, waiting in found)

    def has_trigrams(self) -> bool:
        """Can the database find words for mistyped ones?"""
        return bool(self._rows("SELECT moon.has_trigrams()")[0][0])

    # candidates

    def frequencies(self, stems: Iterable[str]) -> dict[str, int]:
        """In how many rows each of the common words stands; words that are not common are left out."""
        kept = {lexeme(each): each for each in stems}
        found = self._rows(
            "SELECT word, sum(rows)::bigint FROM moon.word WHERE word = ANY (%s) GROUP BY word HAVING sum(rows) >= %s",
            [*kept],
            COMMON_ROWS,
        )
        return {kept[word]: rows for word, rows in found}

    def matches(self, query: str, filters: Filters, limit: int) -> list[int]:
        """Row numbers that fit an expression, newest first, at most `limit`."""
        expression = read(query)
        asked = tsquery(expression)
        if not expression.has_phrase:
            return self._find(asked, filters, limit)
        found: list[int] = []
        possible = self._find(asked, filters, READ_FOR_PHRASES)
        for start in range(0, len(possible), READ_AT_ONCE):
            rows = self.rows(possible[start : start + READ_AT_ONCE])
            holding = [row.id for row in rows if expression.holds(Terms(terms(row.text, row.language)))]
            found += sorted(holding, reverse=True)
            if len(found) >= limit:
                break
        return found[:limit]

    def _find(self, query: str | None, filters: Filters, limit: int) -> list[int]:
        wanted = self._wanted(filters)
        if wanted == []:
            return []
        conditions: dict[str, Any] = {}
        for name, values in (("roles", filters.roles), ("tools", filters.tools)):
            conditions |= {name: [each.lower() for each in values]} if values else {}
        for name, value in (("since", filters.since), ("until", filters.until), ("session", filters.session)):
            conditions |= {name: value} if value is not None else {}
        found = self._rows(
            "SELECT * FROM moon.find(%s::integer[], %s::tsquery, %s::jsonb, %s)",
            wanted,
            query,
            json.dumps(conditions).replace("\\u0000", ""),
            limit,
        )
        return [row[0] for row in found]

    def in_time(self, since: int, until: int, filters: Filters, limit: int) -> list[int]:
        """Row numbers of messages from a span of time (milliseconds, end exclusive), at most `limit`."""
        wanted = self._wanted(filters)
        found = self._rows(
            "SELECT message.id FROM moon.episode JOIN moon.message ON message.source = episode.source "
            "AND message.id BETWEEN episode.id << 6 AND (episode.id << 6) + 63 WHERE first_at < %s AND last_at >= %s "
            "AND at BETWEEN %s AND %s AND (%s::integer[] IS NULL OR episode.source = ANY (%s::integer[])) LIMIT %s",
            until,
            since,
            since,
            until - 1,
            wanted,
            wanted,
            limit,
        )
        return [row[0] for row in found]

    def like(self, word: str, slips: int) -> list[tuple[str, int]]:
        """Stems that may be `word` with so many slips, with the number of rows they stand in; none without pg_trgm."""
        found = self._rows("SELECT word, rows FROM moon.like_word(%s, %s, %s)", lexeme(word), slips, NEAR_WORDS)
        return [(row[0], row[1]) for row in found]

    def known(self, terms: Collection[str]) -> set[str]:
        """Those of these terms that some row has."""
        kept = {lexeme(each): each for each in terms}
        found = self._rows("SELECT DISTINCT word FROM moon.word WHERE word = ANY (%s) AND rows > 0", [*kept])
        return {kept[row[0]] for row in found}

    def beginning(self, start: str, limit: int) -> list[tuple[str, int]]:
        """Terms that begin so, with the number of rows they stand in."""
        found = self._rows(
            "SELECT word, sum(rows)::bigint FROM moon.word WHERE word >= %s AND word < %s AND rows > 0 "
            "GROUP BY word ORDER BY word LIMIT %s",
            lexeme(start),
            lexeme(start) + "\U0010ffff",
            limit,
        )
        return [(row[0], row[1]) for row in found]

    # rows

    def rows(self, ids: Sequence[int]) -> list[StoredRow]:
        """The rows with these numbers, in no particular order; numbers that do not exist are left out."""
        found = self._rows(ROWS, _sources(ids), [*ids])
        if any(row[6] is None for row in found):
            raise _damaged("a message belongs to no archive")
        return [StoredRow(*row) for row in found]

    def shapes(self, ids: Iterable[int]) -> dict[int, Shape]:
        """What is known of rows without their texts; numbers that do not exist are left out."""
        wanted = [*ids]
        found = self._rows(
            "SELECT id, role, event, size FROM moon.message WHERE source = ANY (%s) AND id = ANY (%s) ORDER BY id",
            _sources(wanted),
            wanted,
        )
        return {row[0]: Shape(*row[1:]) for row in found}

    def found_sizes(self, ids: Sequence[int]) -> list[tuple[int, str, int, int]]:
        """(row number, role, size, digest of its text) of rows that a search found, each of which must be there."""
        found = self._rows(
            "SELECT id, role, size, digest FROM moon.message WHERE source = ANY (%s) AND id = ANY (%s) ORDER BY id",
            _sources(ids),
            [*ids],
        )
        if len(found) < len(set(ids)):
            raise _damaged("messages that a search found are gone")
        return [(row[0], row[1], row[2], row[3]) for row in found]

    def places(self, segments: Iterable[int]) -> dict[int, Place]:
        """Where segments (by their number in rows) come from."""
        wanted = [*set(segments)]
        found = self._rows(
            "SELECT segment.id, agent, session_key, session_id, archive_path, host FROM moon.segment "
            "JOIN moon.session ON session.source = segment.source AND session.id = segment.session "
            "JOIN moon.source ON source.id = segment.source WHERE segment.source = ANY (%s) AND segment.id = ANY (%s)",
            _sources(wanted),
            wanted,
        )
        return {row[0]: Place(*row[1:]) for row in found}

    def sessions_of(self, episodes: Iterable[int]) -> dict[int, int]:
        """Episode number → session number."""
        wanted = [*set(episodes)]
        sources = [*{each >> EPISODE_SOURCE_SHIFT for each in wanted}]
        sql = "SELECT id, session FROM moon.episode WHERE source = ANY (%s) AND id = ANY (%s)"
        return dict(self._rows(sql, sources, wanted))

    def session_numbers(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """(agent, session id) → session number, for those that are known."""
        agents = {each.id: each.agent for each in self.sources}
        asked = {*wanted}
        found = self._rows(
            "SELECT source, session_id, id FROM moon.session WHERE session_id = ANY (%s)", [each for _, each in asked]
        )
        numbers = {(agents[source], session_id): number for source, session_id, number in found if source in agents}
        return {each: numbers[each] for each in asked if each in numbers}

    def around(self, row_id: int, count: int, *, after: bool) -> list[StoredRow]:
        """Up to `count` rows of the same session before or after a row, in the order of the conversation."""
        compare, order = (">", "") if after else ("<", "DESC")
        source, episode = row_id >> SOURCE_SHIFT, row_id >> EPISODE_SHIFT
        found = self._rows(
            "SELECT message.id FROM moon.episode JOIN moon.message ON message.source = episode.source "
            "AND message.id BETWEEN episode.id << 6 AND (episode.id << 6) + 63 WHERE episode.source = %s "
            "AND episode.session = (SELECT session FROM moon.episode WHERE source = %s AND id = %s) "
            f"AND episode.id {compare}= %s AND message.id {compare} %s "
            f"ORDER BY episode.id {order}, message.id {order} LIMIT %s",
            *(source, source, episode, episode, row_id, count),
        )
        return sorted(self.rows([row[0] for row in found]))

    # events

    def _of_event(self, event_id: str) -> list[StoredRow]:
        found = self._rows("SELECT id FROM moon.message WHERE event = %s", clean(event_id))
        return sorted(self.rows([row[0] for row in found]))

    def event_rows(self, event_id: str, session: str | None = None) -> list[StoredRow]:
        """The rows of an event, in order; those of the session where one is named, else of the first that has it."""
        found = self._of_event(event_id)
        places = self.places(row.segment for row in found)
        found = [row for row in found if session is None or session in places[row.segment][1:3]]
        return [row for row in found if row.segment == found[0].segment]

    def events_beginning(self, start: str, limit: int) -> list[str]:
        """Event ids that begin so."""
        found = self._rows(
            "SELECT DISTINCT event FROM moon.message WHERE event >= %s AND event < %s LIMIT %s",
            clean(start),
            clean(start) + "\U0010ffff",
            limit,
        )
        return [row[0] for row in found]

    def locate_event(self, event_id: str) -> list[EventPlace]:
        """Where an event lies in the archives of its machine."""
        rows = self._of_event(event_id)
        places = self.places(row.segment for row in rows)
        found = [
            EventPlace(*places[row.segment][:4], row.line, row.role, format_ms(row.at) if row.at else None)
            for row in rows
        ]
        return list(dict.fromkeys(found))

    # segments

    def has_segment(self, sha256: str) -> bool:
        """Is this archive segment of the machine in the index?"""
        return bool(self._segments_of([sha256]))

    def _segments_of(self, shas: Sequence[str]) -> list[tuple[Any, ...]]:
        """(source, number, rows, sha256) of those that are there."""
        sql = "SELECT source, id, rows, sha256 FROM moon.segment WHERE source = ANY (%s) AND sha256 = ANY (%s)"
        return self._rows(sql, self._own(), [*shas])

    def segment_shas(self) -> set[str]:
        """Every indexed segment of the machine."""
        return {row[0] for row in self._rows("SELECT sha256 FROM moon.segment WHERE source = ANY (%s)", self._own())}

    def counts(self) -> dict[str, int]:
        """How much is in the index."""
        own = self._own()
        segments = self._rows("SELECT count(*) FROM moon.segment WHERE source = ANY (%s)", own)[0][0]
        return {"segments": segments, "messages": sum(each.rows for each in self.sources if each.id in own)}

    def findable(self, sha256: str) -> bool:
        """Does a search bring back the messages of this segment? True for an indexed segment without any text."""
        found = self._segments_of([sha256])
        if not found:
            return False
        source, number, count, _ = found[0]
        if not count:
            return True
        ids = [
            row[0]
            for row in self._rows(
                "SELECT id FROM moon.span JOIN moon.message ON message.source = span.source "
                "AND message.id BETWEEN first AND last WHERE span.source = %s AND span.segment = %s ORDER BY id",
                source,
                number,
            )
        ]
        sample = self.rows(ids[:: max(1, len(ids) // FINDABLE_ROWS)])
        return len(ids) == count and bool(sample) and all(self._brings_back(row) for row in sample)

    def _brings_back(self, row: StoredRow) -> bool:
        probe = sorted(set(index_terms(row.text, row.language)), key=len)[-FINDABLE_TERMS:]
        query = " & ".join(f"'{lexeme(term)}'" for term in probe)
        found = self._rows(
            "SELECT true FROM moon.find(%s::integer[], %s::tsquery, '{}', %s) AS id WHERE id = %s",
            [row.id >> SOURCE_SHIFT],
            query,
            READ_FOR_PHRASES,
            row.id,
        )
        return bool(found)


def _sources(numbers: Iterable[int]) -> list[int]:
    return [*{each >> SOURCE_SHIFT for each in numbers}]


def _damaged(what: str) -> IndexCorrupt:
    return IndexCorrupt(f"the shared index is damaged: {what}", code="shared_failed")


def clean(text: str) -> str:
    """A text that PostgreSQL can keep: it has no place for a NUL, nor for half of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def open_shared(settings: Address, seconds: float) -> SharedIndex:
    """Open the shared index to ask it. Raises the errors of `database`."""
    connection = connect(address(settings), seconds, "moon-recall")
    try:
        check_version(connection)
    except BaseException:
        connection.close()
        raise
    return SharedIndex(connection, seconds)
