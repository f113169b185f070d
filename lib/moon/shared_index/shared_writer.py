"""Writing to the shared index, as one machine. What is asked of it in one call is entered as a whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from moon.fulltext.engine import Moved
from moon.fulltext.index_database import AGENT_SHIFT
from moon.fulltext.index_rows import MessageRow, SegmentSource
from moon.fulltext.languages import signature
from moon.shared_index.database import Address, address, check_version, connect, translated, within
from moon.shared_index.shared_filling import Batch, SharedFilling, SourceState
from moon.shared_index.shared_reader import SharedIndex, clean

if TYPE_CHECKING:
    import psycopg

# What a machine sends at once is some megabytes; an answer that takes longer than this does not come.
TRANSACTION_SECONDS = 120.0
GONE_WORDS = (
    "WITH gone AS (DELETE FROM moon.posting USING moon.span WHERE posting.source = span.source AND posting.id BETWEEN "
    "span.first AND span.last AND span.source = %s AND span.segment = %s RETURNING words), "
    "counted AS (SELECT lexeme, count(*) AS rows FROM gone, unnest(tsvector_to_array(words)) AS lexeme "
    "WHERE lexeme != %s GROUP BY lexeme) UPDATE moon.word SET rows = word.rows - counted.rows FROM counted "
    "WHERE word.word = counted.lexeme AND word.source = %s RETURNING word.word, word.rows"
)
GONE_MESSAGES = (
    "WITH gone AS (DELETE FROM moon.message USING moon.span WHERE message.source = span.source AND message.id BETWEEN "
    "span.first AND span.last AND span.source = %s AND span.segment = %s RETURNING language), "
    "counted AS (SELECT language, count(*) AS rows FROM gone GROUP BY language), "
    "told AS (UPDATE moon.spoken SET rows = spoken.rows - counted.rows FROM counted "
    "WHERE spoken.source = %s AND spoken.language = counted.language) "
    "SELECT coalesce(sum(rows), 0)::bigint FROM counted"
)


class SharedIndexWriter(SharedIndex):
    """The shared index open to be written to as one machine. `round` makes all that earlier rounds entered old."""

    host: str

    def __init__(self, connection: psycopg.Connection[Any], host: str, rounds: int = 0) -> None:
        super().__init__(connection, TRANSACTION_SECONDS, host)
        self.rules = f"{signature()} round {rounds}"

    def __enter__(self) -> SharedIndexWriter:
        return self

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it."""
        self._known = None
        with within(self.connection, self.seconds), translated():
            self.connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                with contextlib.suppress(Exception):
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")
        self._known = None

    def add_segment(self, source: SegmentSource, rows: Iterable[MessageRow]) -> int:
        """Enter one segment; how many rows it made."""
        return self.add_segments([(source, rows)])[0]

    def add_segments(self, segments: Iterable[tuple[SegmentSource, Iterable[MessageRow]]]) -> list[int]:
        """Enter several segments, all of them or none; how many rows each made, 0 for one that was known. One that was
        entered by other rules is entered anew.
        """
        given = [*segments]
        added = []
        with self.transaction():
            states = {each.agent: SourceState(self.connection, self.host, clean(each.agent)) for each, _ in given}
            known = self._current(self._own(), [each.sha256 for each, _ in given])
            batch = Batch(self.connection, self.rules)
            for source, rows in given:
                if known.get(source.sha256) == self.rules:
                    added.append(0)
                    continue
                if source.sha256 in known:
                    self._forget(source.sha256)
                known[source.sha256] = self.rules
                added.append(SharedFilling(batch, states[source.agent], source).fill(rows))
            batch.write_rest(states.values())
        return added

    def _current(self, sources: Iterable[int], shas: Sequence[str]) -> dict[str, str]:
        """SHA-256 → rules, of those segments that are there."""
        sql = "SELECT sha256, rules FROM moon.segment WHERE source = ANY (%s) AND sha256 = ANY (%s)"
        return dict(self.connection.execute(sql, ([*sources], [*shas])).fetchall())

    def sent(self) -> dict[str, bool]:
        """SHA-256 → whether it was entered by the rules of now, of every segment of this machine."""
        found = self._rows(
            "SELECT sha256, rules = %s FROM moon.segment WHERE source = ANY (%s)", self.rules, self._own()
        )
        return dict(found)

    def forget_segment(self, sha256: str) -> int:
        """Take a segment out again; returns how many rows went."""
        with self.transaction():
            return self._forget(sha256)

    def _forget(self, sha256: str) -> int:
        run, gone = self.connection.execute, 0
        found = run(
            "SELECT source, id, session FROM moon.segment WHERE source = ANY (%s) AND sha256 = %s",
            (self._own(), sha256),
        ).fetchall()
        for source, segment, session in found:
            run("SELECT FROM moon.source WHERE id = %s FOR UPDATE", (source,))
            words = run(GONE_WORDS, (source, segment, f"@{source}", source)).fetchall()
            unused = [word for word, rows in words if rows <= 0]
            run("DELETE FROM moon.word WHERE source = %s AND word = ANY (%s) AND rows <= 0", (source, unused))
            counted = run(GONE_MESSAGES, (source, segment, source)).fetchone()
            rows = int(counted[0]) if counted else 0
            run("DELETE FROM moon.spoken WHERE source = %s AND rows <= 0", (source,))
            run("DELETE FROM moon.span WHERE source = %s AND segment = %s", (source, segment))
            run("DELETE FROM moon.segment WHERE source = %s AND id = %s", (source, segment))
            run("UPDATE moon.source SET rows = rows - %s WHERE id = %s", (rows, source))
            self._forget_empty(source, session)
            gone += rows
        return gone

    def _forget_empty(self, source: int, session: int) -> None:
        """Episodes without messages, and the session when nothing is left of it."""
        run = self.connection.execute
        run(
            "DELETE FROM moon.episode WHERE source = %s AND session = %s AND NOT EXISTS (SELECT FROM moon.message "
            "WHERE message.source = episode.source AND message.id BETWEEN episode.id << 6 AND (episode.id << 6) + 63)",
            (source, session),
        )
        run(
            "DELETE FROM moon.session WHERE source = %s AND id = %s AND NOT EXISTS (SELECT FROM moon.segment "
            "WHERE segment.source = session.source AND segment.session = session.id)",
            (source, session),
        )

    def take_over(self, pack: SegmentSource, segments: Sequence[Moved]) -> bool:
        """Point the rows of these segments to the pack that holds them now; returns whether the pack is indexed now.
        If not, it has to be entered like any archive, and nothing of its segments is left.
        """
        first_lines: dict[str, int] = {}
        for each in segments:
            first_lines.setdefault(each.sha256, each.first_line)
        with self.transaction():
            run = self.connection.execute
            agent = (self.host, clean(pack.agent))
            source = run("SELECT id FROM moon.source WHERE host = %s AND agent = %s FOR UPDATE", agent).fetchone()
            if source is None:
                return False
            if self._current([source[0]], [pack.sha256]):
                return True
            own = run(
                "SELECT segment.sha256, segment.id, segment.session, rows, rules FROM moon.segment JOIN moon.session "
                "ON session.source = segment.source AND session.id = segment.session "
                "WHERE segment.source = %s AND session_id = %s AND segment.sha256 = ANY (%s)",
                (source[0], clean(pack.session_id), [*first_lines]),
            ).fetchall()
            is_whole = {row[0] for row in own} == first_lines.keys() and len(first_lines) == len(segments)
            if not is_whole or any(row[4] != self.rules for row in own):
                for row in own:
                    self._forget(row[0])
                return False
            self._point(
                source[0], pack, [(row[1], first_lines[row[0]]) for row in own], own[0][2], sum(r[3] for r in own)
            )
        return True

    def _point(self, source: int, pack: SegmentSource, old: Sequence[tuple[int, int]], session: int, rows: int) -> None:
        run = self.connection.execute
        taken = run(
            "UPDATE moon.source SET next_number = next_number + 1 WHERE id = %s RETURNING next_number - 1", (source,)
        ).fetchone()
        assert taken is not None
        number = (source << AGENT_SHIFT) | int(taken[0])
        run("DELETE FROM moon.segment WHERE source = %s AND id = ANY (%s)", (source, [each for each, _ in old]))
        run(
            "INSERT INTO moon.segment (source, id, sha256, session, archive_path, rows, rules) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (source, number, pack.sha256, session, clean(pack.archive_path), rows, self.rules),
        )
        for segment, first_line in old:
            run(
                "UPDATE moon.span SET segment = %s, lines_before = lines_before + %s "
                "WHERE source = %s AND segment = %s",
                (number, first_line, source, segment),
            )

    def finish(self) -> None:
        """Nothing is left to do: counts are exact after each call, and PostgreSQL tidies by itself."""

    def note_sent(self, waiting: int) -> None:
        """Say that this machine has sent something now, and what it still has to send."""
        with self.transaction():
            self.connection.execute(
                "INSERT INTO moon.machine VALUES (%s, now(), %s, %s) ON CONFLICT (host) DO UPDATE SET "
                "seen_at = excluded.seen_at, waiting = excluded.waiting, rules = excluded.rules",
                (self.host, waiting, signature()),
            )


def open_shared_writer(settings: Address, host: str, rounds: int = 0) -> SharedIndexWriter:
    """Open the shared index to write to it as this machine. Raises the errors of `database`."""
    connection = connect(address(settings), TRANSACTION_SECONDS, "moon-index")
    try:
        check_version(connection)
    except BaseException:
        connection.close()
        raise
    return SharedIndexWriter(connection, host, rounds)
