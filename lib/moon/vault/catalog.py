"""The catalog: which event lies in which segment and line. Derived from the ledger and the segments.

It follows the ledger: on opening, what the ledger has gained since is read in; when it does not fit the ledger (another
home, a restored backup, damage), it is made anew. Deleting it costs only that time.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moon.errors import ArchiveDamaged, database_failed
from moon.files import make_private, unusable
from moon.openclaw.events import event_id
from moon.paths import Home
from moon.vault import segments
from moon.vault.ledger import GENESIS, Ledger, Line, decode, line_hash

VERSION = 1
SCHEMA = """
CREATE TABLE meta (version INTEGER, ledger_bytes INTEGER, ledger_tip TEXT);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, agent TEXT, session_id TEXT, session_key TEXT, UNIQUE (agent, session_id)
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, session INTEGER, ordinal INTEGER, sha256 TEXT, path TEXT, events INTEGER, bytes INTEGER,
    torn INTEGER, archived_at TEXT
);
CREATE INDEX segments_of_session ON segments (session, ordinal);
CREATE INDEX segments_by_sha ON segments (sha256);
CREATE TABLE events (
    session INTEGER, event_id TEXT, digest BLOB, segment INTEGER, line INTEGER, PRIMARY KEY (session, event_id, digest)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Segment:
    """One archived segment, as the ledger records it. `path` is absolute."""

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


class Identifier:
    """Gives each event of one pass its identity: its `id` and the hash of its bytes.

    Lines without an id (malformed ones, foreign ones) are told apart by how often these bytes came before.
    """

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def identify(self, data: bytes) -> tuple[str, bytes]:
        """(event id or `#<nth>`, 32-byte digest)"""
        digest = hashlib.sha256(data).digest()
        name = event_id(data)
        if not name:
            self._seen[digest] = self._seen.get(digest, 0) + 1
            name = f"#{self._seen[digest]}"
        return name, digest


class Catalog:
    """Open it with `open_catalog`; a writer holds the cycle lock."""

    def __init__(self, home: Home, connection: sqlite3.Connection) -> None:
        self.home = home
        self.connection = connection
        self.ledger = Ledger(home.ledger)

    def follow(self) -> None:
        """Read in what the ledger has gained. Raises `ArchiveDamaged` when a segment cannot be read."""
        start, tip = self._position()
        if start > self.ledger.size() or (start and not self._still_there(start, tip)):
            self._reset()
            start, tip = 0, GENESIS
        for number, (offset, raw) in enumerate(self.ledger.raw_lines(start), 1):
            with self.connection:
                record = decode(raw, number, self.ledger.path)
                if record.get("kind") == "archive":
                    self._read_in(record)
                self._set_position(offset, line_hash(raw))

    def _position(self) -> tuple[int, str]:
        row = self.connection.execute("SELECT ledger_bytes, ledger_tip FROM meta").fetchone()
        return int(row[0]), str(row[1])

    def _set_position(self, offset: int, tip: str) -> None:
        """Note how much of the ledger is in here."""
        self.connection.execute("UPDATE meta SET ledger_bytes = ?, ledger_tip = ?", (offset, tip))

    def note_position(self) -> None:
        """Note that the catalog holds all that the ledger does, after its writer has entered what it appended."""
        self._set_position(self.ledger.size(), self.ledger.tip())

    def _still_there(self, offset: int, tip: str) -> bool:
        """Is the last line read in still the line that ends at that offset?"""
        if offset == self.ledger.size():
            return self.ledger.tip() == tip
        last = ""
        for end, raw in self.ledger.raw_lines():
            if end >= offset:
                last = line_hash(raw) if end == offset else ""
                break
        return last == tip

    def _reset(self) -> None:
        with self.connection:
            for table in ("sessions", "segments", "events"):
                self.connection.execute(f"DELETE FROM {table}")
            self._set_position(0, GENESIS)

    def _read_in(self, record: Line) -> None:
        """Enter a segment that the ledger has and the catalog has not."""
        session = self.session(record["agent"], record["session_key"], record["session_id"])
        segment = self.next_segment()
        self.add_segment(segment, session, record)
        identifier = self.identifier(session)
        path = self.home.root / record["archive_path"]
        try:
            for line, data in enumerate(segments.lines(path), 1):
                self.add_event(session, *identifier.identify(data), segment, line)
        except ArchiveDamaged:
            # The ledger still knows this segment; `moon-archive --verify` reports it, and its events count as lost.
            return

    def identifier(self, session: int) -> Identifier:
        """An `Identifier` that goes on counting nameless lines where the session's archives left off."""
        made = Identifier()
        rows = self.connection.execute(
            "SELECT digest, count(*) FROM events WHERE session = ? AND event_id LIKE '#%' GROUP BY digest", (session,)
        )
        made._seen = {bytes(digest): int(count) for digest, count in rows}
        return made

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

    def next_segment(self) -> int:
        """The number that the next segment will have."""
        row = self.connection.execute("SELECT max(id) FROM segments").fetchone()
        return int(row[0] or 0) + 1

    def add_segment(self, number: int, session: int, record: Line) -> None:
        """Enter a segment under its number."""
        self.connection.execute(
            "INSERT INTO segments (id, session, ordinal, sha256, path, events, bytes, torn, archived_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                session,
                record["ordinal"],
                record["sha256"],
                record["archive_path"],
                record["events"],
                record["bytes"],
                int(bool(record.get("torn"))),
                record["archived_at"],
            ),
        )

    def add_event(self, session: int, name: str, digest: bytes, segment: int, line: int) -> bool:
        """Enter an event; False when it is known."""
        cursor = self.connection.execute(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", (session, name, digest, segment, line)
        )
        return cursor.rowcount == 1

    def digests(self, session: int, name: str) -> set[bytes]:
        """The hashes of every content this event is archived with; empty when it is unknown."""
        sql = "SELECT digest FROM events WHERE session = ? AND event_id = ?"
        return {digest for (digest,) in self.connection.execute(sql, (session, name))}

    def next_ordinal(self, session: int) -> int:
        """The number of the session's next segment, from 1."""
        row = self.connection.execute("SELECT max(ordinal) FROM segments WHERE session = ?", (session,)).fetchone()
        return int(row[0] or 0) + 1

    def segments(self, agent: str = "", session_id: str = "", sha256: str = "") -> Iterator[Segment]:
        """The segments, oldest first; of one agent, one session, or one hash where that is given."""
        rows = self.connection.execute(
            "SELECT agent, session_key, session_id, ordinal, sha256, path, events, bytes, torn, archived_at "
            "FROM segments JOIN sessions ON sessions.id = segments.session "
            "WHERE (? IN ('', agent)) AND (? IN ('', session_id)) AND (? IN ('', sha256)) ORDER BY segments.id",
            (agent, session_id, sha256),
        )
        for row in rows:
            agent_id, key, found_id, ordinal, sha, path, events, size, torn, when = row
            place = self.home.root / path
            yield Segment(agent_id, key, found_id, ordinal, sha, place, events, size, bool(torn), when)

    def sessions(self) -> list[tuple[str, str, str]]:
        """(agent, session key, session id) of every session that has archives."""
        rows = self.connection.execute("SELECT agent, session_key, session_id FROM sessions ORDER BY id").fetchall()
        return [(str(agent), str(key), str(session_id)) for agent, key, session_id in rows]

    def revisions(self, session: int) -> Iterator[tuple[str, int, int]]:
        """(event id, segment ordinal, line) of each event that is archived with more than one content, oldest first."""
        rows = self.connection.execute(
            "SELECT event_id, segments.ordinal, line FROM events JOIN segments ON segments.id = segment "
            "WHERE events.session = ? AND event_id IN (SELECT event_id FROM events WHERE session = ? "
            "AND event_id NOT LIKE '#%' GROUP BY event_id HAVING count(*) > 1) ORDER BY segments.ordinal, line",
            (session, session),
        )
        return ((str(name), int(ordinal), int(line)) for name, ordinal, line in rows)


@contextlib.contextmanager
def open_catalog(home: Home) -> Iterator[Catalog]:
    """The catalog, up to date with the ledger. Raises `HomeUnusable`, `ArchiveDamaged`."""
    make_private(home.index)
    with contextlib.ExitStack() as stack:
        try:
            yield _followed(home, stack)
        except sqlite3.OperationalError as error:
            raise database_failed(error, str(home.catalog)) from error


def _followed(home: Home, stack: contextlib.ExitStack) -> Catalog:
    """The catalog as it is, or made anew where it is damaged; closed with the stack."""
    try:
        return _open(home, stack)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
    stack.close()
    discard(home)
    return _open(home, stack)


def _open(home: Home, stack: contextlib.ExitStack) -> Catalog:
    catalog = Catalog(home, stack.enter_context(contextlib.closing(_connect(home.catalog))))
    catalog.follow()
    return catalog


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError) or "no such" in str(error)


def discard(home: Home) -> None:
    """Remove the catalog; the next opening makes it anew."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{home.catalog}{suffix}").unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to a catalog of this version. Raises `sqlite3.DatabaseError` for what is none."""
    try:
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    connection = sqlite3.connect(path, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -16384")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
            with connection:
                connection.executescript(SCHEMA)
                connection.execute("INSERT INTO meta VALUES (?, 0, ?)", (VERSION, GENESIS))
        if connection.execute("SELECT version FROM meta").fetchone() != (VERSION,):
            raise sqlite3.DatabaseError(f"{path} is no catalog of version {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
