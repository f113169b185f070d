"""Entering the messages of one segment: numbers for rows, their words, their texts.

Row by row this is most of what indexing costs, so it keeps lists and hands them to SQLite by the hundred.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moon.clock import parse_ms
from moon.fulltext.event_ids import stored
from moon.fulltext.index_database import AGENT_SHIFT, EPISODE_PAUSE_MS, EPISODE_ROWS, EPISODE_SHIFT
from moon.fulltext.index_rows import MessageRow, SegmentSource
from moon.fulltext.languages import row_entry
from moon.fulltext.stored_text import TextWriter, digest_of

# A long message is cut into parts, so that a word deep inside it counts as much as one in a short message.
PART_CHARS = 1600
# Of a message longer than this, the beginning and the end are indexed.
HEAD_CHARS = 240_000
TAIL_CHARS = 80_000
BATCH_ROWS = 500


class Numbering:
    """Gives the rows of one segment their numbers: what every engine does alike. Subclasses look up and store."""

    # How an id of an event and a text are kept.
    event_of: Callable[[str], Any] = staticmethod(stored)
    pack: Callable[[bytes], Any]

    def __init__(self, episode: int, used: int, last_at: int, language: str) -> None:
        """(number, places used, time and language of the last row) of the episode that this segment may continue."""
        self.episode, self.used, self.last_at, self.language = episode, used, last_at, language
        self.in_episode = self.earliest = self.latest = 0
        self.added = self.text_bytes = 0
        self.spans: list[list[int]] = []
        self.begins_span = True
        self.has_begun_episode = False
        self.kinds: dict[tuple[str, str, str], int] = {}
        self.spoken: Counter[str] = Counter()
        self.words: list[tuple[int, str]] = []
        self.messages: list[tuple[int, Any, int, int, int, int, int, Any]] = []

    def take(self, row: MessageRow) -> None:
        """Number the parts of a message and keep them until they are stored."""
        at = parse_ms(row.timestamp) or 0
        event, first = self.event_of(row.event_id), len(self.messages)
        size = 0
        for part in parts(row.text):
            entry = row_entry(part, self.language)
            self.language = entry.language
            size += entry.size
            number = self._next_number(at)
            self.words.append((number, entry.terms))
            text = part.encode()
            self.text_bytes += len(text)
            named = (row.role, row.tool or "", entry.language)
            kind = self.kinds.get(named) or self.new_kind(named)
            self.messages.append((number, event, row.line, kind, at, digest_of(text), size, self.pack(text)))
            self.spoken[entry.language] += 1
        if len(self.messages) > first + 1:
            # Every part knows how long the whole message is: a long one holds many words by chance.
            self.messages[first:] = [(*each[:6], size, each[7]) for each in self.messages[first:]]

    def new_kind(self, named: tuple[str, str, str]) -> int:
        """A number for a role, a tool and a language that come together for the first time."""
        raise NotImplementedError

    def end_episode(self) -> None:
        """Note what the episode has gained (`in_episode`, `earliest`, `latest`), and begin to count anew."""
        raise NotImplementedError

    def new_episode(self, at: int) -> int:
        """The number of a new episode that begins at this time."""
        raise NotImplementedError

    def _next_number(self, at: int) -> int:
        if self.used >= EPISODE_ROWS or (at and self.last_at and at - self.last_at > EPISODE_PAUSE_MS):
            self._begin_episode(at)
        number = (self.episode << EPISODE_SHIFT) | self.used
        if self.begins_span:
            self.spans.append([number, number])
            self.begins_span = False
        self.spans[-1][1] = number
        self.used += 1
        self.in_episode += 1
        self.added += 1
        if at:
            # Times may be missing or run backwards in a transcript; an episode spans all that are there.
            self.last_at = at
            self.earliest = min(self.earliest or at, at)
            self.latest = max(self.latest, at)
        return number

    def _begin_episode(self, at: int) -> None:
        self.end_episode()
        self.episode = self.new_episode(at)
        self.used = 0
        # Between the episode that was gone on with and this one lie rows of others, between this and the next none.
        self.begins_span = self.begins_span or not self.has_begun_episode
        self.has_begun_episode = True


class Filling(Numbering):
    """Numbers and stores the rows of one segment; within a transaction."""

    def __init__(self, connection: sqlite3.Connection, source: SegmentSource, packer: TextWriter) -> None:
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
        super().__init__(*self._last_episode())
        self.pack = packer.body
        self.kinds = {row[1:]: row[0] for row in self.run("SELECT id, role, tool, language FROM kind")}

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
            "SELECT message.id, language FROM message JOIN kind ON kind.id = kind "
            "WHERE message.id BETWEEN ? AND ? ORDER BY message.id DESC LIMIT 1",
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
        """Enter the rows; how many that made."""
        for row in rows:
            self.take(row)
            if len(self.words) >= BATCH_ROWS:
                self._write()
        self._write()
        self.end_episode()
        if self.added:
            self.run("UPDATE agent SET rows = rows + ? WHERE id = ?", (self.added, self.agent))
            self.run("UPDATE segment SET rows = ? WHERE id = ?", (self.added, self.segment))
            self.run("UPDATE state SET changed = 1, text_bytes = text_bytes + ?", (self.text_bytes,))
        self.run_many("INSERT INTO span VALUES (?, ?, ?, 0)", [(*span, self.segment) for span in self.spans])
        self.run_many(
            "INSERT INTO spoken VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            [(self.agent, language, rows) for language, rows in self.spoken.items()],
        )
        return self.added

    def new_kind(self, named: tuple[str, str, str]) -> int:
        """Enter it."""
        self.run("INSERT INTO kind (role, tool, language) VALUES (?, ?, ?)", named)
        number = self.kinds[named] = self._number("SELECT last_insert_rowid()")
        return number

    def _write(self) -> None:
        self.run_many("INSERT INTO words (rowid, text) VALUES (?, ?)", self.words)
        self.run_many("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.messages)
        self.words.clear()
        self.messages.clear()

    def end_episode(self) -> None:
        """Add what the episode has gained."""
        self.run("UPDATE episode SET rows = rows + ? WHERE id = ?", (self.in_episode, self.episode))
        if self.latest:
            self.run(
                "UPDATE episode SET last_at = max(last_at, ?), first_at = min(coalesce(nullif(first_at, 0), ?), ?) "
                "WHERE id = ?",
                (self.latest, self.earliest, self.earliest, self.episode),
            )
        self.in_episode = self.earliest = self.latest = 0

    def new_episode(self, at: int) -> int:
        """Enter it."""
        number = self._number("SELECT next_episode FROM state")
        self.run("UPDATE state SET next_episode = next_episode + 1")
        episode = (self.agent << (AGENT_SHIFT - EPISODE_SHIFT)) | number
        self.run("INSERT INTO episode VALUES (?, ?, 0, ?, ?)", (episode, self.session, at, at))
        return episode


def parts(text: str) -> Iterator[str]:
    """A text in parts of about `PART_CHARS`, cut at a line end or a space where there is one."""
    if len(text) <= PART_CHARS:  # as most are
        if text := text.strip():
            yield text
        return
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
