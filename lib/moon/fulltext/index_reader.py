"""Reading the text index: which rows hold a word, and what stands in a row."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from moon.clock import format_ms
from moon.fulltext.engine import READ_FOR_PHRASES
from moon.fulltext.event_ids import Stored, beginning, shown, stored
from moon.fulltext.expression import Terms, with_phrase
from moon.fulltext.index_database import (
    AGENT_SHIFT,
    EPISODE_PAUSE_MS,
    EPISODE_ROWS,
    EPISODE_SHIFT,
    VERSION,
    connect,
    corrupt,
    translated,
)
from moon.fulltext.index_rows import EventPlace, Filters, Kind, Place, Shape, StoredRow
from moon.fulltext.index_seal import damage
from moon.fulltext.languages import index_terms, signature, terms
from moon.fulltext.stored_text import TextReader, digest_of

ROWS = (
    "SELECT message.id, event, line + lines_before, kind, at, segment, body, digest FROM message LEFT JOIN span "
    "ON span.first = (SELECT max(before.first) FROM span AS before WHERE before.first <= message.id) WHERE "
)
EPISODE_MESSAGES = "episode CROSS JOIN message ON message.id BETWEEN episode.id << 6 AND (episode.id << 6) + 63"
# The guard's probe: so many rows of a segment, each looked for by so many of its longest terms.
FINDABLE_ROWS = 5
FINDABLE_TERMS = 4
# Rows that may hold a phrase are read so many at a time.
READ_AT_ONCE = 100
# So many stems are looked at for one that was mistyped.
LOOKED_AT = 20_000


def _listed(table: str) -> str:
    """The rows of a table with the numbers of a list that is handed over as one value (`_numbers`): a list of a
    thousand numbers in the statement takes SQLite half as long again.
    """
    return f"json_each(?) CROSS JOIN {table} ON {table}.id = json_each.value"


def _numbers(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, sorted(ids)))}]"


class TextIndex:
    """An open index. Use it in a `with` block, or call `close`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        with translated(path):
            self.version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        self.is_in_memory = not connection.execute("PRAGMA database_list").fetchone()[2]
        self._texts = TextReader(connection)
        self._kinds: dict[int, Kind] = {}

    def __enter__(self) -> TextIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    # what is indexed

    def has_segment(self, sha256: str) -> bool:
        """Is this archive segment in the index?"""
        return bool(self._rows("SELECT 1 FROM segment WHERE sha256 = ?", (sha256,)))

    def segment_shas(self) -> set[str]:
        """Every indexed segment."""
        return {row[0] for row in self._rows("SELECT sha256 FROM segment")}

    def segment_rows(self, sha256: str) -> int:
        """How many rows this archive segment has."""
        found = self._rows("SELECT rows FROM segment WHERE sha256 = ?", (sha256,))
        return int(found[0][0]) if found else 0

    def counts(self) -> dict[str, int]:
        """How much is in the index."""
        segments, messages = self._rows("SELECT (SELECT count(*) FROM segment), (SELECT sum(rows) FROM agent)")[0]
        return {"segments": segments, "messages": messages or 0}

    def message_ids(self) -> list[int]:
        """The number of every row, in order."""
        return [row[0] for row in self._rows("SELECT id FROM message ORDER BY id")]

    def findable(self, sha256: str) -> bool:
        """Does a search bring back the messages of this segment? Rows from all over it are looked for by their own
        words (a row without words by the sign that stands for that); True for an indexed segment without any text.
        """
        segment = self._rows("SELECT id, rows FROM segment WHERE sha256 = ?", (sha256,))
        if not segment:
            return False
        number, rows = segment[0]
        if not rows:
            return True
        ids = self._segment_ids(number)
        step = max(1, len(ids) // FINDABLE_ROWS)
        sample = self.rows(ids[::step])
        return len(ids) == rows and bool(sample) and all(self._brings_back(row) for row in sample)

    def _segment_ids(self, number: int) -> list[int]:
        """The numbers of all rows of a segment, in order."""
        sql = "SELECT id FROM span JOIN message ON message.id BETWEEN first AND last WHERE span.segment = ? ORDER BY id"
        return [row[0] for row in self._rows(sql, (number,))]

    def _brings_back(self, row: StoredRow) -> bool:
        probe = sorted(self._probe(row), key=len)[-FINDABLE_TERMS:]
        query = " AND ".join(f'"{term}"' for term in probe)
        return bool(self._rows("SELECT 1 FROM words WHERE words MATCH ? AND rowid = ?", (query, row.id)))

    def _probe(self, row: StoredRow) -> set[str]:
        """The words under which a row must be found."""
        return set(index_terms(row.text, row.language))

    def locate_event(self, event_id: str) -> list[EventPlace]:
        """Where an event lies in the archives; several places when it has several pieces or sessions."""
        rows = self._of_event(event_id)
        places = self.places(row.segment for row in rows)
        found = [
            EventPlace(*places[row.segment][:4], row.line, row.role, format_ms(row.at) if row.at else None)
            for row in rows
        ]
        return list(dict.fromkeys(found))

    def _of_event(self, event_id: str) -> list[StoredRow]:
        """All rows of an event, in order."""
        found = self._rows("SELECT id FROM message WHERE event = ?", (stored(event_id),))
        return sorted(self.rows([row[0] for row in found]))

    def events_beginning(self, start: str, limit: int) -> list[str]:
        """Event ids that begin so."""
        sql = "SELECT DISTINCT event FROM message WHERE event BETWEEN ? AND ? LIMIT ?"
        kept = [row[0] for span in beginning(start) for row in self._rows(sql, (*span, limit + 1))]
        return [each for each in map(shown, kept) if each.startswith(start)][:limit]

    # searching

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Questions asked within see one state of the index, whatever is written meanwhile."""
        with translated(self.path):
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def damage(self) -> str:
        """What is wrong with the index, read through as a whole; "" for nothing."""
        try:
            return damage(self.path, self.connection, thorough=True) or self._changed_texts()
        except sqlite3.DatabaseError as error:
            return str(error)

    def _changed_texts(self) -> str:
        found = self._rows("SELECT body, digest FROM message")
        changed = sum(1 for body, digest in found if self._text(body, digest) is None)
        return f"{changed} messages are not as they were written" if changed else ""

    @property
    def outdated(self) -> str:
        """In what way the index is not as this Moon would make it; "" when it is."""
        if self.version != VERSION:
            return "the index was made by an earlier version of Moon"
        made_by = self._rows("SELECT signature FROM state")[0][0]
        return "" if made_by == signature() else "the words of the index were made by other rules"

    def agents(self) -> dict[str, int]:
        """Agent name → rows."""
        return dict(self._rows("SELECT name, rows FROM agent"))

    def rows_in(self, filters: Filters) -> tuple[int, int]:
        """(rows of the agent that the filters name, all rows)."""
        agents = self.agents()
        total = sum(agents.values())
        return (total if filters.agent is None else agents.get(filters.agent, 0)), total

    def languages(self) -> list[str]:
        """The languages that messages are in, the commonest first."""
        found = self._rows(
            "SELECT language FROM spoken WHERE language != '' GROUP BY language HAVING sum(rows) > 0 "
            "ORDER BY sum(rows) DESC, language"
        )
        return [row[0] for row in found]

    def frequencies(self, stems: Iterable[str]) -> dict[str, int]:
        """In about how many rows each of the common words stands; words that are not common are left out."""
        wanted = list(stems)
        marks = ",".join("?" * len(wanted))
        return dict(self._rows(f"SELECT word, rows FROM common_word WHERE word IN ({marks})", wanted))

    def matches(self, query: str, filters: Filters, limit: int) -> list[int]:
        """Row numbers that fit an FTS5 query, newest first, at most `limit`."""
        expression = with_phrase(query)
        if expression is None:
            return self._matches(query, filters, limit)
        found: list[int] = []
        possible = self._matches(expression.superset(), filters, READ_FOR_PHRASES)
        for start in range(0, len(possible), READ_AT_ONCE):
            rows = self.rows(possible[start : start + READ_AT_ONCE])
            holding = [row.id for row in rows if expression.holds(Terms(terms(row.text, row.language)))]
            found += sorted(holding, reverse=True)
            if len(found) >= limit:
                break
        return found[:limit]

    def _matches(self, query: str, filters: Filters, limit: int) -> list[int]:
        sql, values = self._scoped(filters)
        return [
            row[0]
            for row in self._rows(
                f"SELECT words.rowid FROM words {sql} words MATCH ? ORDER BY words.rowid DESC LIMIT ?",
                (*values, query, limit),
            )
        ]

    def in_time(self, since: int, until: int, filters: Filters, limit: int) -> list[int]:
        """Row numbers of messages from a span of time (milliseconds, end exclusive), at most `limit`."""
        low, high = self.row_range(filters)
        return [
            row[0]
            for row in self._rows(
                # `+` keeps SQLite from walking all messages instead of those of the episodes.
                f"SELECT message.id FROM {EPISODE_MESSAGES} WHERE first_at < ? AND last_at >= ? "
                "AND +episode.id BETWEEN ? AND ? AND at BETWEEN ? AND ? LIMIT ?",
                (until, since, low >> EPISODE_SHIFT, high >> EPISODE_SHIFT, since, until - 1, limit),
            )
        ]

    def row_range(self, filters: Filters) -> tuple[int, int]:
        """The row numbers that an agent's messages can have."""
        if filters.agent is None:
            return 0, (1 << 62)
        found = self._rows("SELECT id FROM agent WHERE name = ?", (filters.agent,))
        number = int(found[0][0]) if found else 0
        return number << AGENT_SHIFT, ((number + 1) << AGENT_SHIFT) - 1

    def _scoped(self, filters: Filters) -> tuple[str, list[Any]]:
        """Joins and conditions, up to and with the word before the last condition."""
        low, high = self.row_range(filters)
        conditions = ["words.rowid BETWEEN ? AND ?"] if filters.agent is not None else []
        values: list[Any] = [low, high] if filters.agent is not None else []
        join = "" if filters.plain else "JOIN message ON message.id = words.rowid "
        for column, wanted in (("role", filters.roles), ("tool", filters.tools)):
            if wanted:
                conditions.append(self._kind_is(column, ",".join("?" * len(wanted))))
                values += [each.lower() for each in wanted]
        if filters.since is not None:
            conditions.append("message.at >= ?")
            values.append(filters.since)
        if filters.until is not None:
            conditions.append("message.at < ?")
            values.append(filters.until)
        if filters.session is not None:
            join += "JOIN episode ON episode.id = words.rowid >> 6 JOIN session ON session.id = episode.session "
            conditions.append("(session.session_key = ? OR session.session_id = ?)")
            values += [filters.session, filters.session]
        return join + "WHERE " + "".join(f"{each} AND " for each in conditions), values

    def _kind_is(self, column: str, marks: str) -> str:
        return f"message.kind IN (SELECT id FROM kind WHERE lower({column}) IN ({marks}))"

    def time_range(self) -> tuple[int, int]:
        """The first and the last instant that any message was written, (0, 0) when none is dated."""
        first = self._rows("SELECT min(first_at) FROM episode WHERE first_at > 0")[0][0]
        # Of the episodes, of which there are many, only those that began so late that they can have ended last.
        latest = f"(SELECT max(first_at) FROM episode) - {EPISODE_ROWS * EPISODE_PAUSE_MS}"
        last = self._rows(f"SELECT max(last_at) FROM episode WHERE first_at >= {latest}")[0][0]
        return first or 0, last or 0

    def rows(self, ids: Sequence[int]) -> list[StoredRow]:
        """The rows with these numbers, in no particular order; numbers that do not exist are left out."""
        numbers = ",".join(map(str, ids))
        return [self._row(*row) for row in self._rows(f"{ROWS} message.id IN ({numbers})")]

    def _row(
        self, row: int, event: Stored, line: int, kind: int, at: int, segment: int, body: bytes, digest: int
    ) -> StoredRow:
        text = self._text(body, digest)
        if text is None or segment is None:
            raise corrupt(self.path, "a message is not as it was written")
        role, tool, language = self._kind(kind)
        return StoredRow(row, shown(event), line, role, tool, at, segment, text, language)

    def _text(self, body: bytes, digest: int) -> str | None:
        """A stored text; None when it is not as it was written."""
        try:
            text = self._texts.text(body)
        except ValueError:
            return None
        return text if digest_of(text.encode()) == digest else None

    def _kind(self, number: int) -> Kind:
        if number not in self._kinds:
            self._kinds = {row[0]: Kind(*row[1:]) for row in self._rows("SELECT id, role, tool, language FROM kind")}
        try:
            return self._kinds[number]
        except KeyError as error:
            raise corrupt(self.path, "a message is not as it was written") from error

    def shapes(self, ids: Iterable[int]) -> dict[int, Shape]:
        """What is known of rows without their texts; numbers that do not exist are left out."""
        found = self._rows(f"SELECT message.id, kind, event, size FROM {_listed('message')}", (_numbers(ids),))
        return {row: Shape(self._kind(kind).role, event, size) for row, kind, event, size in found}

    def found_sizes(self, ids: Sequence[int]) -> list[tuple[int, str, int, int]]:
        """(row number, role, size, digest of its text: copies have the same) of rows that a search found. Raises
        `IndexCorrupt` if one is gone; ask within a `snapshot`.
        """
        found = self._rows(f"SELECT message.id, kind, size, digest FROM {_listed('message')}", (_numbers(ids),))
        if len(found) < len(ids):
            raise corrupt(self.path, f"{len(ids) - len(found)} messages that a search found are gone")
        return [(row, self._kind(kind).role, size, digest) for row, kind, size, digest in found]

    def places(self, segments: Iterable[int]) -> dict[int, Place]:
        """Where segments (by their number in rows) come from."""
        numbers = ",".join(map(str, set(segments)))
        found = self._rows(
            "SELECT segment.id, agent.name, session_key, session_id, archive_path FROM segment "
            "JOIN session ON session.id = segment.session JOIN agent ON agent.id = session.agent "
            f"WHERE segment.id IN ({numbers})"
        )
        return {row[0]: Place(*row[1:]) for row in found}

    def sessions_of(self, episodes: Iterable[int]) -> dict[int, int]:
        """Episode number → session number."""
        return dict(self._rows(f"SELECT episode.id, session FROM {_listed('episode')}", (_numbers(set(episodes)),)))

    def has_any(self, filters: Filters) -> bool:
        """Is there any message within these limits?"""
        join, values = self._scoped(filters)
        return bool(self._rows(f"SELECT 1 FROM message AS words {join} 1 LIMIT 1", values))

    def session_numbers(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """(agent, session id) → session number, for those that are known."""
        sql = "SELECT session.id FROM session JOIN agent ON agent.id = session.agent WHERE name = ? AND session_id = ?"
        found = {each: self._rows(sql, each) for each in wanted}
        return {each: rows[0][0] for each, rows in found.items() if rows}

    def around(self, row_id: int, count: int, *, after: bool) -> list[StoredRow]:
        """Up to `count` rows of the same session before or after a row, in the order of the conversation."""
        compare, order = (">", "") if after else ("<", "DESC")
        sql = (
            f"SELECT message.id FROM {EPISODE_MESSAGES} "
            f"WHERE episode.session = (SELECT session FROM episode WHERE id = ? >> 6) AND episode.id {compare}= ? >> 6 "
            f"AND message.id {compare} ? ORDER BY episode.id {order}, message.id {order} LIMIT ?"
        )
        found = self._rows(sql, (row_id, row_id, row_id, count))
        return sorted(self.rows([row[0] for row in found]))

    def event_rows(self, event_id: str, session: str | None = None) -> list[StoredRow]:
        """The rows of an event, in order; those of the session where one is named, else of the first that has it."""
        found = self._of_event(event_id)
        places = self.places(row.segment for row in found)
        found = [row for row in found if session is None or session in places[row.segment][1:3]]
        return [row for row in found if row.segment == found[0].segment]

    def like(self, word: str, slips: int) -> list[tuple[str, int]]:
        """Stems that begin with the same letter and may be `word` with so many slips, with the number of rows they
        stand in.
        """
        found = self.vocabulary(word[0], chr(ord(word[0]) + 1), LOOKED_AT)
        return [(other, rows) for other, rows in found if abs(len(other) - len(word)) <= slips]

    def known(self, terms: Collection[str]) -> set[str]:
        """Those of these terms that some row has."""
        marks = ",".join("?" * len(terms))
        return {row[0] for row in self._rows(f"SELECT term FROM vocabulary WHERE term IN ({marks})", [*terms])}

    def beginning(self, start: str, limit: int) -> list[tuple[str, int]]:
        """Terms that begin so, with the number of rows they stand in."""
        return self.vocabulary(start, f"{start}\U0010ffff", limit)

    def vocabulary(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Stems between two texts with the number of rows they stand in."""
        sql = "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT ?"
        return [(row[0], row[1]) for row in self._rows(sql, (first, last, limit))]


def open_reader(path: Path) -> TextIndex:
    """Open an index to read. Raises `IndexMissing`, `IndexVersion`, `IndexCorrupt`."""
    connection = connect(path, writable=False, timeout=2.0)
    index = TextIndex(path, connection)
    if index.version == VERSION:
        return index
    from moon.fulltext.index_old import OldTextIndex

    return OldTextIndex(path, connection)
