"""Searching an index of an earlier version, until `moon-index` has made a new one of it.

Version 4: texts as they are in a table of their own, segment, role, tool and language in each row, places of words in
`words`. Version 2: the same without languages and sizes; FTS5 cut and stemmed the words itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from zlib import crc32

from moon.fulltext.index_database import corrupt
from moon.fulltext.index_reader import TextIndex
from moon.fulltext.index_rows import Filters, Shape, StoredRow
from moon.fulltext.words import words

# Before there were sizes: a word and the space behind it have about six characters.
OLD_SIZE = "(SELECT 1 + length(text) / 6 FROM body WHERE body.id = message.id)"


class OldTextIndex(TextIndex):
    """An open index of version 2 or 4, to read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection)
        self._has_languages = self.version > 2
        self._language = "language" if self._has_languages else "''"
        self._size = "size" if self._has_languages else OLD_SIZE

    def _segment_ids(self, number: int) -> list[int]:
        return [row[0] for row in self._rows("SELECT id FROM message WHERE segment = ? ORDER BY id", (number,))]

    def _probe(self, row: StoredRow) -> set[str]:
        return super()._probe(row) if self._has_languages else set(words(row.text))

    def _of_event(self, event_id: str) -> list[StoredRow]:
        found = self._rows("SELECT id FROM message WHERE event_id = ?", (event_id,))
        return sorted(self.rows([row[0] for row in found]))

    def events_beginning(self, start: str, limit: int) -> list[str]:
        """Event ids that begin so."""
        sql = "SELECT DISTINCT event_id FROM message WHERE event_id >= ? AND event_id < ? LIMIT ?"
        return [row[0] for row in self._rows(sql, (start, start + "\U0010ffff", limit))]

    def languages(self) -> list[str]:
        """The languages that messages are in, the commonest first."""
        return super().languages() if self._has_languages else []

    def matches(self, query: str, filters: Filters, limit: int) -> list[int]:
        """Row numbers that fit an FTS5 query, newest first, at most `limit`."""
        return self._matches(query, filters, limit)

    def _kind_is(self, column: str, marks: str) -> str:
        return f"lower(message.{column}) IN ({marks})"

    def rows(self, ids: Sequence[int]) -> list[StoredRow]:
        """The rows with these numbers, in no particular order; numbers that do not exist are left out."""
        found = self._rows(
            f"SELECT message.id, event_id, line, role, tool, at, segment, text, {self._language}, digest "
            f"FROM message LEFT JOIN body USING (id) WHERE message.id IN ({','.join(map(str, ids))})"
        )
        if any(_is_changed(text, digest) for *_, text, _, digest in found):
            raise corrupt(self.path, "a message is not as it was written")
        return [StoredRow(*row[:-1]) for row in found]

    def shapes(self, ids: Iterable[int]) -> dict[int, Shape]:
        """What is known of rows without their texts; numbers that do not exist are left out."""
        numbers = ",".join(map(str, ids))
        found = self._rows(f"SELECT id, role, event_id, {self._size} FROM message WHERE id IN ({numbers})")
        return {row[0]: Shape(*row[1:]) for row in found}

    def found_sizes(self, ids: Sequence[int]) -> list[tuple[int, str, int, int]]:
        """(row number, role, size, digest of its text) of rows that a search found. Raises `IndexCorrupt`."""
        numbers = ",".join(map(str, ids))
        found = self._rows(f"SELECT id, role, {self._size}, digest FROM message WHERE id IN ({numbers})")
        if len(found) < len(ids):
            raise corrupt(self.path, f"{len(ids) - len(found)} messages that a search found are gone")
        return found

    def _changed_texts(self) -> str:
        found = self._rows("SELECT text, digest FROM message LEFT JOIN body USING (id)")
        changed = sum(1 for text, digest in found if _is_changed(text, digest))
        return f"{changed} messages are not as they were written" if changed else ""


def _is_changed(text: str | None, digest: int) -> bool:
    return text is None or crc32(text.encode()) != digest
