"""The catalog: which event lies in which segment and line, and which file holds it. Derived from ledger and segments.

It follows the ledger: on opening, what the ledger has gained since is read in; when it does not fit the ledger (another
home, a restored backup, damage), it is made anew. Deleting it costs only that time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moon.errors import catalog_damaged, database_failed
from moon.files import make_private, unusable
from moon.openclaw.events import event_id
from moon.paths import Home, safe_name
from moon.vault.catalog_database import connect, discard, is_damage
from moon.vault.following import follow
from moon.vault.forgotten import Forgotten
from moon.vault.ledger import Appended, Ledger
from moon.vault.standing import Line, measures

if TYPE_CHECKING:
    from moon.documents import Member

__all__ = ["Catalog", "Identifier", "Part", "Segment", "discard", "open_catalog"]
# The segment of an event that cannot be a line of any: its bytes lie in the quarantine folder.
SET_ASIDE = 0
# Names that begin with `#`; LIKE would look at every event of the session.
NAMELESS = "event_id >= '#' AND event_id < '$'"
FILE_COLUMNS = "agent, session_key, session_id, ordinal, sha256, path, events, bytes, torn, archived_at, parts"
ENDINGS = (".jsonl", ".jsonl.zst")
PART_COLUMNS = (
    "segments.id, ordinal, sha256, path, events, bytes, torn, archived_at, first_event_id, last_event_id, first_line"
)


@dataclass(frozen=True)
class Segment:
    """One file of the archive: a segment as it was archived, or a pack of several. `path` is absolute.

    `parts`: of a pack, the SHA-256 of each segment in it; what is known of them under that hash holds for the pack.
    """

    agent: str
    session_key: str
    session_id: str
    ordinal: int
    sha256: str
    path: Path
    events: int
    bytes: int
    torn: bool
    archived_at: str
    parts: tuple[str, ...] = ()


class Part(NamedTuple):
    """What was archived at once, and how many lines stand before it in the file that holds it."""

    number: int
    ordinal: int
    sha256: str
    path: str
    events: int
    bytes: int
    torn: bool
    archived_at: str
    first_event_id: str
    last_event_id: str
    first_line: int

    def as_member(self) -> Member:
        """The segment as a pack's ledger line lists it."""
        return {
            "archive_path": self.path,
            "sha256": self.sha256,
            "events": self.events,
            "bytes": self.bytes,
            "ordinal": self.ordinal,
            "first_event_id": self.first_event_id,
            "last_event_id": self.last_event_id,
            "archived_at": self.archived_at,
            "torn": self.torn,
        }


class Identifier:
    """Gives each event of one pass its identity: its `id` and the hash of its bytes.

    Lines without an id (malformed ones, foreign ones) are told apart by how often these bytes came before.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def identify(self, data: bytes) -> tuple[str, bytes]:
        """(event id or `#<nth>`, 32-byte digest)"""
        return self.name(event_id(data), hashlib.sha256(data).digest())

    def name(self, event_id: str, digest: bytes) -> tuple[str, bytes]:
        """The same for an event whose id and hash are known; the id is empty for a nameless line."""
        if event_id:
            return event_id, digest
        self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"#{self._seen[digest]}", digest


class Catalog:
    """Open it with `open_catalog`; a writer holds the cycle lock."""

    def __init__(self, home: Home, connection: sqlite3.Connection) -> None:
        self.home = home
        self.connection = connection
        self.ledger = Ledger(home.ledger)
        self._unnamed: dict[str, list[Path]] = {}

    # how much of the ledger is in here

    def position(self) -> tuple[int, str]:
        """(bytes of the ledger that are in here, hash of the line that ends there)"""
        row = self.connection.execute("SELECT ledger_bytes, ledger_tip FROM meta").fetchone()
        return int(row[0]), str(row[1])

    def set_position(self, offset: int, tip: str) -> None:
        """Note how much of the ledger is in here."""
        self.connection.execute("UPDATE meta SET ledger_bytes = ?, ledger_tip = ?", (offset, tip))

    def note_position(self, added: Appended) -> None:
        """Note that a line is in here, after its writer has entered it.

        Where other lines before it are not in here yet, the next opening reads them in first.
        """
        if self.position()[0] == added.start:
            self.set_position(added.end, added.tip)

    def packed_until(self) -> str:
        """The local date, `YYYY-MM-DD`, before which small files were joined; empty when that was never done."""
        return str(self.connection.execute("SELECT packed_until FROM meta").fetchone()[0])

    def note_packed_until(self, date: str) -> None:
        """Note that all days before this date are joined."""
        with self.connection:
            self.connection.execute("UPDATE meta SET packed_until = ?", (date,))

    # sessions

    def session(self, agent: str, session_key: str, session_id: str) -> int:
        """The number of a session, made on first sight; its key is the latest known."""
        self.connection.execute(
            "INSERT INTO sessions (agent, session_id, session_key) VALUES (?, ?, ?) ON CONFLICT (agent, session_id) "
            "DO UPDATE SET session_key = excluded.session_key WHERE excluded.session_key != ''",
            (agent, session_id, session_key),
        )
        return self.find_session(agent, session_id) or 0

    def find_session(self, agent: str, session_id: str) -> int | None:
        """The number of a session that has archives, or None."""
        row = self.connection.execute(
            "SELECT id FROM sessions WHERE agent = ? AND session_id = ?", (agent, session_id)
        ).fetchone()
        return int(row[0]) if row else None

    def session_key(self, session: int) -> str:
        """The last known key of a session."""
        row = self.connection.execute("SELECT session_key FROM sessions WHERE id = ?", (session,)).fetchone()
        return str(row[0]) if row else ""

    def sessions(self) -> list[tuple[str, str, str]]:
        """(agent, session key, session id) of every session that has archives."""
        rows = self.connection.execute("SELECT agent, session_key, session_id FROM sessions ORDER BY id").fetchall()
        return [(str(agent), str(key), str(session_id)) for agent, key, session_id in rows]

    def links(self, agent: str, session_key: str) -> list[str]:
        """When the session's windows were rolled over, oldest first."""
        sql = "SELECT linked_at FROM links WHERE agent = ? AND session_key = ? ORDER BY linked_at"
        return [str(when) for (when,) in self.connection.execute(sql, (agent, session_key))]

    # files and segments

    def next_segment(self) -> int:
        """The number that the next segment will have."""
        row = self.connection.execute("SELECT max(id) FROM segments").fetchone()
        return int(row[0] or 0) + 1

    def next_ordinal(self, session: int) -> int:
        """The number of the session's next segment, from 1."""
        row = self.connection.execute("SELECT max(ordinal) FROM segments WHERE session = ?", (session,)).fetchone()
        return int(row[0] or 0) + 1

    def add_segment(self, number: int, session: int, record: Line, *, entered: bool = True, place: int = 0) -> None:
        """Enter a segment under its number, and the file of its own that holds it; `place`: where it comes in order."""
        cursor = self.connection.execute(
            "INSERT INTO files (place, session, ordinal, sha256, path, events, bytes, torn, archived_at, parts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
            (place or number, session, *measures(record)),
        )
        self.insert_segment(number, session, record, file=int(cursor.lastrowid or 0), first_line=0, entered=entered)

    def insert_segment(
        self, number: int, session: int, record: Line | Member, *, file: int, first_line: int, entered: bool
    ) -> None:
        """Enter a segment that lies in a file."""
        ids = (str(record.get("first_event_id", "")), str(record.get("last_event_id", "")))
        self.connection.execute(
            "INSERT INTO segments (id, session, ordinal, sha256, path, events, bytes, torn, archived_at, "
            "first_event_id, last_event_id, file, first_line, entered) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, session, *measures(record), *ids, file, first_line, int(entered)),
        )

    def segments(self, agent: str = "", session_id: str = "", sha256: str = "") -> Iterator[Segment]:
        """The files, in the order of the conversations; of one agent, one session, or one hash where that is given."""
        wanted = {"agent": agent, "session_id": session_id, "sha256": sha256}
        chosen = {name: value for name, value in wanted.items() if value}
        where = " AND ".join(f"{name} = ?" for name in chosen) or "1"
        rows = self.connection.execute(
            f"SELECT {FILE_COLUMNS} FROM files JOIN sessions ON sessions.id = files.session "
            f"WHERE {where} ORDER BY files.place",
            tuple(chosen.values()),
        )
        return (self._segment(row) for row in rows)

    def hashes(self) -> set[str]:
        """The SHA-256 of every file of the archive."""
        return {str(row[0]) for row in self.connection.execute("SELECT sha256 FROM files")}

    def file_count(self) -> int:
        """How many files the archive has."""
        return int(self.connection.execute("SELECT count(*) FROM files").fetchone()[0])

    def _segment(self, row: tuple[str, ...]) -> Segment:
        agent, key, session_id, ordinal, sha, path, events, size, torn, when, parts = row
        place = self.home.root / path
        numbers = (int(events), int(size), bool(torn))
        return Segment(agent, key, session_id, int(ordinal), sha, place, *numbers, when, tuple(parts.split()))

    def parts(self, path: Path) -> list[Part]:
        """The segments that a file holds, in order."""
        rows = self.connection.execute(
            f"SELECT {PART_COLUMNS} FROM segments WHERE file = (SELECT id FROM files WHERE path = ?) "
            "ORDER BY first_line",
            (self.home.relative(path),),
        )
        return [Part(*row)._replace(torn=bool(row[6])) for row in rows]

    def parts_between(self, session: int, first: int, last: int) -> list[Part]:
        """The segments of a session with these ordinals, wherever they lie."""
        rows = self.connection.execute(
            f"SELECT {PART_COLUMNS} FROM segments WHERE session = ? AND ordinal BETWEEN ? AND ? ORDER BY ordinal, id",
            (session, first, last),
        )
        return [Part(*row)._replace(torn=bool(row[6])) for row in rows]

    def has_path(self, path: str) -> bool:
        """Does the ledger name this path, relative to MOON_HOME, whatever became of the file by now?"""
        sql = " UNION ".join(f"SELECT 1 FROM {table} WHERE path = ?" for table in ("segments", "files", "former_packs"))
        return bool(self.connection.execute(sql, (path,) * 3).fetchone())

    def unnamed(self, agent: str) -> list[Path]:
        """The files of an agent that no ledger line names: looked for once, when the catalog is first asked."""
        if agent not in self._unnamed:
            self._unnamed[agent] = [
                path for path in self._strangers(agent) if not self.has_path(self.home.relative(path))
            ]
        return self._unnamed[agent]

    def _strangers(self, agent: str) -> list[Path]:
        """Files that hold nothing by the catalog: unnamed ones, and what a pack has left over."""
        folder = self.home.raw / safe_name(agent)
        try:
            with os.scandir(folder) as found:
                names = [each.name for each in found if each.name.endswith(ENDINGS) and each.name[0] != "."]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unusable(folder, error) from error
        standing = {str(path) for (path,) in self.connection.execute("SELECT path FROM files")} if names else set()
        return [folder / name for name in sorted(names) if self.home.relative(folder / name) not in standing]

    def left_over(self, agent: str) -> list[tuple[Path, Path]]:
        """(file, the file that holds its segment now) of an agent: a crash kept the first from being removed."""
        sql = (
            "SELECT files.path FROM segments JOIN files ON files.id = segments.file "
            "WHERE segments.path = ? OR segments.id = (SELECT segment FROM former_packs WHERE path = ?)"
        )
        found = []
        for path in self._strangers(agent):
            own = self.home.relative(path)
            row = self.connection.execute(sql, (own, own)).fetchone()
            if row:
                found.append((path, self.home.root / str(row[0])))
        return found

    # events

    def identifier(self, session: int) -> Identifier:
        """An `Identifier` that goes on counting nameless lines where the session's archives left off."""
        made = Identifier()
        rows = self.connection.execute(
            f"SELECT digest, count(*) FROM events WHERE session = ? AND {NAMELESS} GROUP BY digest", (session,)
        )
        made._seen = {bytes(digest): int(count) for digest, count in rows}
        return made

    def unentered(self) -> list[str]:
        """The paths of files with a segment whose events are not known: it could not be read when it was looked at."""
        sql = "SELECT DISTINCT files.path FROM segments JOIN files ON files.id = segments.file WHERE NOT entered"
        return [str(path) for (path,) in self.connection.execute(sql)]

    def add_event(self, session: int, name: str, digest: bytes, segment: int, line: int) -> bool:
        """Enter an event; False when it is known."""
        cursor = self.connection.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", (session, name, digest, segment, line)
        )
        return cursor.rowcount == 1

    def enter_events(
        self, session: int, segment: int, first_line: int, names: Sequence[str], digests: Sequence[bytes]
    ) -> None:
        """Enter events that stand one behind the other; those that are known stay where they are."""
        numbered = zip(repeat(session), names, digests, repeat(segment), count(first_line))
        marks = ",".join(["(?, ?, ?, ?, ?)"] * len(names))
        # One statement is cheaper than many.
        self.connection.execute(f"INSERT OR IGNORE INTO events VALUES {marks}", [*chain.from_iterable(numbered)])

    def add_events(self, session: int, segment: int, events: Iterable[tuple[str, bytes]]) -> None:
        """Enter all of a segment's events, in order."""
        rows = ((session, name, digest, segment, line) for line, (name, digest) in enumerate(events, 1))
        self.connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)
        self.connection.execute("UPDATE segments SET entered = 1 WHERE id = ?", (segment,))

    def is_entered(self, segment: int) -> bool:
        """Are this segment's events known?"""
        row = self.connection.execute("SELECT entered FROM segments WHERE id = ?", (segment,)).fetchone()
        return bool(row and row[0])

    def add_set_aside(self, record: Line) -> None:
        """Enter bytes that lie in the quarantine folder; those without an id once more each time."""
        session = self.session(record["agent"], record["session_key"], record["session_id"])
        digest = bytes.fromhex(record["sha256"])
        sql = f"SELECT count(*) FROM events WHERE session = ? AND {NAMELESS} AND digest = ?"
        count = self.connection.execute(sql, (session, digest)).fetchone()[0]
        self.add_event(session, record["event_id"] or f"#{count + 1}", digest, SET_ASIDE, 0)

    def set_aside(self, session: int) -> list[bytes]:
        """The hashes of all that was set aside of a session."""
        sql = "SELECT DISTINCT digest FROM events WHERE session = ? AND segment = ?"
        return [bytes(digest) for (digest,) in self.connection.execute(sql, (session, SET_ASIDE))]

    def digests(self, session: int, name: str) -> set[bytes]:
        """The hashes of every content this event is archived with; empty when it is unknown."""
        sql = "SELECT digest FROM events WHERE session = ? AND event_id = ?"
        return {digest for (digest,) in self.connection.execute(sql, (session, name))}

    def forgotten(self, session: int) -> Forgotten:
        """What was forgotten of this session on purpose."""
        sql = "SELECT name, until FROM forgotten WHERE session = ?"
        rows = self.connection.execute(sql, (session,)).fetchall()
        until = max((int(until) for _, until in rows), default=0)
        return Forgotten(until, frozenset(str(name) for name, _ in rows if name))

    def holds_any(self, session: int) -> bool:
        """Is any event of this session archived?"""
        sql = "SELECT 1 FROM events WHERE session = ? LIMIT 1"
        return self.connection.execute(sql, (session,)).fetchone() is not None

    def archived(self, session: int, names: Sequence[str]) -> set[tuple[str, bytes]]:
        """(name, hash) of all that is archived under any of these names."""
        marks = ",".join("?" * len(names))
        sql = f"SELECT event_id, digest FROM events WHERE session = ? AND event_id IN ({marks})"
        return set(self.connection.execute(sql, (session, *names)))

    def is_in_other(self, session: int, name: str, segment: int) -> bool:
        """Does any segment but this one hold an event of that name?"""
        sql = "SELECT 1 FROM events WHERE session = ? AND event_id = ? AND segment != ? LIMIT 1"
        return self.connection.execute(sql, (session, name, segment)).fetchone() is not None

    def lines_of(self, session: int, segment: int) -> dict[int, bytes]:
        """Line → hash of each event that is entered as lying in this segment."""
        sql = "SELECT line, digest FROM events WHERE session = ? AND segment = ?"
        return {int(line): bytes(digest) for line, digest in self.connection.execute(sql, (session, segment))}

    def revisions(self, session: int) -> Iterator[tuple[str, int, int]]:
        """(event id, segment, line) of each event that is archived with more than one content, oldest first."""
        rows = self.connection.execute(
            "SELECT event_id, segment, line FROM events JOIN segments ON segments.id = segment "
            "WHERE events.session = ? AND event_id IN (SELECT event_id FROM events WHERE session = ? "
            "AND event_id NOT LIKE '#%' GROUP BY event_id HAVING count(*) > 1) "
            "ORDER BY segments.ordinal, segment, line",
            (session, session),
        )
        return ((str(name), int(segment), int(line)) for name, segment, line in rows)

    def repeated(self, session: int) -> dict[int, set[int]]:
        """Segment → its own lines, where some are entered elsewhere already: damage had made it be archived twice.

        In one pass over the session's events, however many segments there are.
        """
        short = [
            int(number)
            for (number,) in self.connection.execute(
                "SELECT segments.id FROM segments LEFT JOIN (SELECT segment, count(*) AS known FROM events "
                "WHERE session = ? GROUP BY segment) AS entered_lines ON entered_lines.segment = segments.id "
                "WHERE segments.session = ? AND entered AND coalesce(known, 0) < segments.events",
                (session, session),
            )
        ]
        found: dict[int, set[int]] = {number: set() for number in short}
        rows = self.connection.execute("SELECT segment, line FROM events WHERE session = ?", (session,))
        for segment, line in rows if found else ():
            if segment in found:
                found[segment].add(line)
        return found


@contextlib.contextmanager
def open_catalog(home: Home) -> Iterator[Catalog]:
    """The catalog, up to date with the ledger. Raises `HomeUnusable`, and `DatabaseFailed` for damage met in use.

    Such damage lies deeper than an opening sees. The catalog is then removed: the next opening makes it anew.
    """
    make_private(home.index)
    with contextlib.ExitStack() as stack:
        try:
            yield _followed(home, stack)
        except sqlite3.OperationalError as error:
            raise database_failed(error, str(home.catalog)) from error
        except sqlite3.DatabaseError as error:
            stack.close()
            discard(home)
            raise catalog_damaged(error, str(home.catalog)) from error


def _followed(home: Home, stack: contextlib.ExitStack) -> Catalog:
    """The catalog as it is, or made anew where it is damaged; closed with the stack."""
    try:
        return _open(home, stack)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    stack.close()
    discard(home)
    return _open(home, stack)


def _open(home: Home, stack: contextlib.ExitStack) -> Catalog:
    catalog = Catalog(home, stack.enter_context(contextlib.closing(connect(home.catalog))))
    follow(catalog)
    return catalog
