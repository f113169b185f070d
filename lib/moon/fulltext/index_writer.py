"""Writing the text index: one archive segment is one transaction, and a known segment changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from moon.fulltext.engine import Moved
from moon.fulltext.index_database import AGENT_SHIFT, EPISODE_SHIFT, connect, remove, swap_in, translated
from moon.fulltext.index_filling import BATCH_ROWS, Filling
from moon.fulltext.index_packs import take_over
from moon.fulltext.index_reader import TextIndex
from moon.fulltext.index_rows import IndexBusy, IndexCorrupt, IndexVersion, MessageRow, SegmentSource, StoredRow
from moon.fulltext.index_seal import break_seal, is_sealed, put_seal, read_seal
from moon.fulltext.index_tidying import tidy, tidy_all
from moon.fulltext.languages import entry_of
from moon.fulltext.page_sums import LoggedPages, log_size, sum_all, sums_path
from moon.fulltext.stored_text import ALONE, TextWriter, train, train_anew

# The log beside the index is moved into it when it has grown so large.
LARGEST_LOG = 32 << 20


class TextIndexWriter(TextIndex):
    """An index open for writing; one process at a time, as the cycle lock sees to."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self._packer: TextWriter | None = None
        self._log = LoggedPages(path)
        # Do the sums of pages fit what is in the file and its log? Only a file that was sealed when we began says so.
        self._has_sums = False
        self._added = 0

    def __enter__(self) -> TextIndexWriter:
        return self

    def add_segment(self, source: SegmentSource, rows: Iterable[MessageRow]) -> int:
        """Enter a segment's messages; returns how many rows that made, 0 for a known segment.

        Rows come in archive order, the segments of one session in the order of the ledger.
        """
        return self.add_segments([(source, rows)])[0]

    def add_segments(self, segments: Iterable[tuple[SegmentSource, Iterable[MessageRow]]]) -> list[int]:
        """Enter several segments, all of them or none; how many rows each made. FTS5 writes its words at the end of a
        transaction, so that many small ones cost twice as much.
        """
        added = []
        with self.transaction():
            for source, rows in segments:
                added.append(0 if self.has_segment(source.sha256) else self._fill(source, rows))
        self._added += sum(added)
        return added

    def _fill(self, source: SegmentSource, rows: Iterable[MessageRow]) -> int:
        self._packer = self._packer or TextWriter(self.connection)
        added = Filling(self.connection, source, self._packer).fill(rows)
        if self._packer.kind == ALONE and not self.is_in_memory and train(self.connection):
            self._packer = None
        return added

    def forget_segment(self, sha256: str) -> int:
        """Take a segment out again; returns how many rows went."""
        with self.transaction():
            found = self._rows("SELECT id FROM segment WHERE sha256 = ?", (sha256,))
            if not found:
                return 0
            ids = self._segment_ids(found[0][0])
            for start in range(0, len(ids), BATCH_ROWS):
                for row in self.rows(ids[start : start + BATCH_ROWS]):
                    self._forget_row(row)
            self.connection.execute("DELETE FROM span WHERE segment = ?", found[0])
            self.connection.execute("DELETE FROM segment WHERE id = ?", found[0])
            self.connection.execute("UPDATE state SET changed = 1")
            return len(ids)

    def _forget_row(self, row: StoredRow) -> None:
        run = self.connection.execute
        entered = entry_of(row.text, row.language).terms
        run("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", (row.id, entered))
        run("DELETE FROM message WHERE id = ?", (row.id,))
        agent = row.id >> AGENT_SHIFT
        run("UPDATE agent SET rows = rows - 1 WHERE id = ?", (agent,))
        run("UPDATE spoken SET rows = rows - 1 WHERE agent = ? AND language = ?", (agent, row.language))
        run("UPDATE episode SET rows = rows - 1 WHERE id = ?", (row.id >> EPISODE_SHIFT,))

    def take_over(self, pack: SegmentSource, segments: Sequence[Moved]) -> bool:
        """Point the rows of these segments to the pack that holds them now; see `index_packs`."""
        return take_over(self, pack, segments)

    def finish(self) -> None:
        """End a run of changes: put words and their counts in order, as far as what is new is worth, and the file."""
        with translated(self.path):
            if self.connection.execute("SELECT changed FROM state").fetchone()[0]:
                total = self.counts()["messages"]
                is_mostly_new = 2 * self._added >= total
                with self.transaction():
                    if is_mostly_new:
                        tidy_all(self.connection, total)
                    else:
                        tidy(self.connection, total, self._added)
                    self.connection.execute("UPDATE state SET changed = 0")
                if is_mostly_new:
                    # Pages that are free now are a sixth of the file. Without room for a second one they stay.
                    with contextlib.suppress(sqlite3.OperationalError):
                        self.connection.execute("VACUUM")
                self._added = 0
            elif self.is_in_memory or is_sealed(self.path):
                return
            if self._checkpoint("TRUNCATE") and not self.is_in_memory:
                if not self._has_sums and read_seal(self.path) is None:
                    sum_all(self.path)
                put_seal(self.path)

    def purge(self) -> None:
        """Let nothing of what was taken out be left in the file: no word, no piece of text, no free page.

        Reads and writes all of the index. Raises `IndexBusy` while somebody reads so that the log cannot be emptied,
        `IndexUnusable` for a full disk; what was taken out is not found either way.
        """
        with self.transaction():
            run = self.connection.execute
            run("DELETE FROM episode WHERE rows <= 0")
            run("DELETE FROM session WHERE id NOT IN (SELECT session FROM segment)")
            run("DELETE FROM spoken WHERE rows <= 0")
            run("DELETE FROM kind WHERE id NOT IN (SELECT kind FROM message)")
            train_anew(self.connection)
            tidy_all(self.connection, self.counts()["messages"])
            run("UPDATE state SET changed = 0")
        self._packer = None
        with translated(self.path):
            self.connection.execute("VACUUM")
            if not self._checkpoint("TRUNCATE"):
                raise IndexBusy("the index is being read", path=str(self.path), hint="try again in a moment")
            if not self._has_sums and read_seal(self.path) is None:
                sum_all(self.path)
            put_seal(self.path)
        self._added = 0

    def _checkpoint(self, how: str) -> bool:
        """Move the log into the file; returns whether all of it is there now."""
        if self._has_sums:
            self._log.note()
        return not self.connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0]

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it."""
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if not self.is_in_memory and read_seal(self.path):
                    self._has_sums = sums_path(self.path).exists()
                    break_seal(self.path)
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                self._packer = None  # what it relies on may be gone
                raise
            self.connection.execute("COMMIT")
            if not self.is_in_memory and log_size(self.path) > LARGEST_LOG:
                self._checkpoint("PASSIVE")


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
