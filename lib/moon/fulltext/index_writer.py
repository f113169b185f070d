"""Writing the text index: one archive segment is one transaction, and a known segment changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from moon.clock import parse_ms
from moon.fulltext.index_database import (
    AGENT_SHIFT,
    EPISODE_PAUSE_MS,
    EPISODE_ROWS,
    EPISODE_SHIFT,
    connect,
    remove,
    swap_in,
    translated,
)
from moon.fulltext.index_reader import TextIndex
from moon.fulltext.index_rows import IndexCorrupt, IndexVersion, MessageRow, SegmentSource
from moon.fulltext.index_seal import break_seal, is_sealed, put_seal
from moon.fulltext.languages import index_terms, row_of

# A long message is cut into parts, so that a word deep inside it counts as much as one in a short message.
PART_CHARS = 1600
# Of a message longer than this, the beginning and the end are indexed.
HEAD_CHARS = 240_000
TAIL_CHARS = 80_000
# Words in fewer rows than this are counted when they are searched, which is cheap.
COMMON_ROWS = 32
RECOUNT_GROWTH = 1.1
BATCH_ROWS = 500


class TextIndexWriter(TextIndex):
    """An index open for writing; one process at a time, as the cycle lock sees to."""

    def __enter__(self) -> TextIndexWriter:
        return self

    def add_segment(self, source: SegmentSource, rows: Iterable[MessageRow]) -> int:
        """Enter a segment's messages; returns how many rows that made, 0 for a known segment.

        Rows come in archive order, the segments of one session in the order of the ledger.
        """
        with self.transaction():
            if self.has_segment(source.sha256):
                return 0
            return _Filling(self.connection, source).fill(rows)

    def forget_segment(self, sha256: str) -> int:
        """Take a segment out again; returns how many rows went."""
        with self.transaction():
            found = self._rows("SELECT id FROM segment WHERE sha256 = ?", (sha256,))
            if not found:
                return 0
            segment = found[0][0]
            gone = self._rows(
                "SELECT id, text, language FROM message JOIN body USING (id) WHERE segment = ?", (segment,)
            )
            for row_id, text, language in gone:
                self._forget_row(row_id, text, language)
            self.connection.execute("DELETE FROM segment WHERE id = ?", (segment,))
            self.connection.execute("UPDATE state SET changed = 1")
            return len(gone)

    def _forget_row(self, row_id: int, text: str, language: str) -> None:
        run = self.connection.execute
        run(
            "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
            (row_id, " ".join(index_terms(text, language))),
        )
        run("DELETE FROM body WHERE id = ?", (row_id,))
        run("DELETE FROM message WHERE id = ?", (row_id,))
        agent = row_id >> AGENT_SHIFT
        run("UPDATE agent SET rows = rows - 1 WHERE id = ?", (agent,))
        run("UPDATE spoken SET rows = rows - 1 WHERE agent = ? AND language = ?", (agent, language))
        run("UPDATE episode SET rows = rows - 1 WHERE id = ?", (row_id >> EPISODE_SHIFT,))

    def finish(self) -> None:
        """End a run of changes: count the common words anew when the index has grown, and put the file in order."""
        with translated(self.path):
            changed, counted = self.connection.execute("SELECT changed, counted_rows FROM state").fetchone()
            if not changed:
                if not self.is_in_memory and not is_sealed(self.path):
                    put_seal(self.path, self.connection)
                return
            total = self.counts()["messages"]
            if total > counted * RECOUNT_GROWTH or total < counted:
                self._recount(total)
            self.connection.execute("UPDATE state SET changed = 0")
            busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy and not self.is_in_memory:
                put_seal(self.path, self.connection)

    def _recount(self, total: int) -> None:
        with self.transaction():
            self.connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            self.connection.execute("DELETE FROM common_word")
            self.connection.execute(
                "INSERT INTO common_word SELECT term, doc FROM vocabulary WHERE doc >= ?", (COMMON_ROWS,)
            )
            self.connection.execute("UPDATE state SET counted_rows = ?", (total,))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if not self.is_in_memory:
                    break_seal(self.path)
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")


class _Filling:
    """Numbers and stores the rows of one segment."""

    def __init__(self, connection: sqlite3.Connection, source: SegmentSource) -> None:
        self.run = connection.execute
        self.run_many = connection.executemany
        self.run("INSERT OR IGNORE INTO agent (name) VALUES (?)", (source.agent,))
        self.agent = self._number("SELECT id FROM agent WHERE name = ?", source.agent)
        self.run(
            "INSERT INTO session (agent, session_id, session_key) VALUES (?, ?, ?) ON CONFLICT (agent, session_id) "
            "DO UPDATE SET session_key = excluded.session_key WHERE excluded.session_key != ''",
            (self.agent, source.session_id, source.session_key),
        )
        self.session = self._number(
            "SELECT id FROM session WHERE agent = ? AND session_id = ?", self.agent, source.session_id
        )
        self.run(
            "INSERT INTO segment (sha256, session, archive_path) VALUES (?, ?, ?)",
            (source.sha256, self.session, source.archive_path),
        )
        self.segment = self._number("SELECT last_insert_rowid()")
        self.episode, self.used, self.last_at, self.language = self._last_episode()
        self.in_episode = self.earliest = self.latest = 0
        self.added = 0
        self.spoken: Counter[str] = Counter()
        self.words: list[tuple[int, str]] = []
        self.bodies: list[tuple[int, str]] = []
        self.messages: list[tuple[int, str, int, int, str, str, int, int, str, int]] = []

    def _number(self, sql: str, *values: object) -> int:
        return int(self.run(sql, values).fetchone()[0])

    def _last_episode(self) -> tuple[int, int, int, str]:
        """(number, places used, time and language of the last row) of the episode that this segment may continue."""
        found = self.run(
            "SELECT id, last_at FROM episode WHERE session = ? ORDER BY id DESC LIMIT 1", (self.session,)
        ).fetchone()
        if found is None:
            return 0, EPISODE_ROWS, 0, self._usual_language()
        first = found[0] << EPISODE_SHIFT
        last = self.run(
            "SELECT id, language FROM message WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
            (first, first + EPISODE_ROWS),
        ).fetchone()
        highest, language = last or (first, self._usual_language())
        return found[0], (highest & EPISODE_ROWS) + 1, found[1] or 0, language

    def _usual_language(self) -> str:
        """The one that this agent's messages are mostly in."""
        found = self.run(
            "SELECT language FROM spoken WHERE agent = ? ORDER BY rows DESC, language LIMIT 1", (self.agent,)
        ).fetchone()
        return str(found[0]) if found else ""

    def fill(self, rows: Iterable[MessageRow]) -> int:
        for row in rows:
            at = parse_ms(row.timestamp) or 0
            first = len(self.messages)
            for part in parts(row.text):
                self._take(row, at, part)
            # Every part knows how long the whole message is: a long one holds many words by chance.
            size = sum(entered.count(" ") + 1 for _, entered in self.words[first:])
            self.messages[first:] = [(*each[:-1], size) for each in self.messages[first:]]
            if len(self.words) >= BATCH_ROWS:
                self._write()
        self._write()
        self._end_episode()
        if self.added:
            self.run("UPDATE agent SET rows = rows + ? WHERE id = ?", (self.added, self.agent))
            self.run("UPDATE segment SET rows = ? WHERE id = ?", (self.added, self.segment))
            self.run("UPDATE state SET changed = 1")
        self.run_many(
            "INSERT INTO spoken VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            [(self.agent, language, rows) for language, rows in self.spoken.items()],
        )
        return self.added

    def _take(self, row: MessageRow, at: int, part: str) -> None:
        """Number a row and keep it for the next `_write`."""
        paused = at and self.last_at and at - self.last_at > EPISODE_PAUSE_MS
        if self.used >= EPISODE_ROWS or paused:
            self._begin_episode(at)
        self.language, entered = row_of(part, self.language)
        row_id = (self.episode << EPISODE_SHIFT) | self.used
        self.words.append((row_id, entered))
        self.bodies.append((row_id, part))
        digest = crc32(part.encode())
        self.messages.append(
            (row_id, row.event_id, self.segment, row.line, row.role, row.tool or "", at, digest, self.language, 0)
        )
        self.spoken[self.language] += 1
        self.used += 1
        self.in_episode += 1
        self.added += 1
        self.last_at = at or self.last_at
        # Times may be missing or run backwards in a transcript; an episode spans all that are there.
        self.earliest = min(self.earliest or at, at or self.earliest)
        self.latest = max(self.latest, at)

    def _write(self) -> None:
        self.run_many("INSERT INTO words (rowid, text) VALUES (?, ?)", self.words)
        self.run_many("INSERT INTO body VALUES (?, ?)", self.bodies)
        self.run_many("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self.messages)
        for written in (self.words, self.bodies, self.messages):
            written.clear()

    def _end_episode(self) -> None:
        self.run("UPDATE episode SET rows = rows + ? WHERE id = ?", (self.in_episode, self.episode))
        if self.latest:
            self.run(
                "UPDATE episode SET last_at = max(last_at, ?), first_at = min(coalesce(nullif(first_at, 0), ?), ?) "
                "WHERE id = ?",
                (self.latest, self.earliest, self.earliest, self.episode),
            )
        self.in_episode = self.earliest = self.latest = 0

    def _begin_episode(self, at: int) -> None:
        self._end_episode()
        number = self._number("SELECT next_episode FROM state")
        self.run("UPDATE state SET next_episode = next_episode + 1")
        self.episode = (self.agent << (AGENT_SHIFT - EPISODE_SHIFT)) | number
        self.used = 0
        self.run("INSERT INTO episode VALUES (?, ?, 0, ?, ?)", (self.episode, self.session, at, at))


def parts(text: str) -> Iterator[str]:
    """A text in parts of about `PART_CHARS`, cut at a line end or a space where there is one."""
    if len(text) > HEAD_CHARS + TAIL_CHARS:
        yield from parts(text[:HEAD_CHARS])
        yield from parts(text[-TAIL_CHARS:])
        return
    start = 0
    while start < len(text):
        end = start + PART_CHARS
        if end < len(text):
            middle = start + PART_CHARS // 2
            cut = max(text.rfind("\n", middle, end), text.rfind(" ", middle, end))
            end = cut + 1 if cut > 0 else end
        piece = text[start:end].strip()
        if piece:
            yield piece
        start = end


def open_writer(path: Path, *, timeout: float = 10.0) -> TextIndexWriter:
    """Open an index to write; made if missing. Raises `IndexVersion`, `IndexCorrupt`, `IndexBusy`."""
    return TextIndexWriter(path, connect(path, writable=True, timeout=timeout))


def next_path(path: Path) -> Path:
    """Where an index is made that will take the place of `path`."""
    return path.with_name(f"{path.name}.next")


def open_next(path: Path) -> TextIndexWriter:
    """The index that will take the place of `path`, as far as earlier runs have made it by the rules of now."""
    fresh = next_path(path)
    try:
        return open_writer(fresh)
    except (IndexVersion, IndexCorrupt):
        remove(fresh)
        return open_writer(fresh)


def take_place(path: Path) -> None:
    """Let the finished, closed next index take the place of `path`."""
    swap_in(next_path(path), path)


@contextlib.contextmanager
def rebuilding(path: Path) -> Iterator[TextIndexWriter]:
    """A fresh index beside `path` that takes its place when the block ends well; else nothing changes."""
    fresh = path.with_name(f"{path.name}.new")
    remove(fresh)
    try:
        with open_writer(fresh) as index:
            yield index
            index.finish()
        swap_in(fresh, path)
        remove(next_path(path))
    finally:
        remove(fresh)
