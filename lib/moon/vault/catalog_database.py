"""The file `index/catalog.sqlite`: its tables, opening it, and removing it. Derived from ledger and archives."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from moon.files import unusable
from moon.paths import Home
from moon.vault.ledger import GENESIS

VERSION = 4
# `files` are what stands on the disk, `segments` what was archived at once; a pack is a file of several segments.
# `files.place` is the number of a file's first segment, so that order by it is the order of the conversations.
# `former_packs` are packs that a later one took the place of, each with one of its segments.
# `forgotten.name` is an event's id, `#` and the hash of one without an id, or empty for the row that holds `until`, a
# time in milliseconds.
# `segments.file` is 0 for a segment that is lost; `entered` says whether its events are in `events`.
SCHEMA = """
CREATE TABLE meta (version INTEGER, ledger_bytes INTEGER, ledger_tip TEXT, packed_until TEXT);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, agent TEXT, session_id TEXT, session_key TEXT, UNIQUE (agent, session_id)
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, place INTEGER, session INTEGER, ordinal INTEGER, sha256 TEXT, path TEXT UNIQUE,
    events INTEGER, bytes INTEGER, torn INTEGER, archived_at TEXT, parts TEXT
);
CREATE INDEX files_of_session ON files (session, place);
CREATE INDEX files_in_order ON files (place);
CREATE INDEX files_by_sha ON files (sha256);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY, session INTEGER, ordinal INTEGER, sha256 TEXT, path TEXT UNIQUE, events INTEGER,
    bytes INTEGER, torn INTEGER, archived_at TEXT, first_event_id TEXT, last_event_id TEXT, file INTEGER,
    first_line INTEGER, entered INTEGER
);
CREATE INDEX segments_of_session ON segments (session, ordinal);
CREATE INDEX segments_of_file ON segments (file, first_line);
CREATE INDEX segments_by_sha ON segments (sha256);
CREATE TABLE former_packs (path TEXT PRIMARY KEY, segment INTEGER) WITHOUT ROWID;
CREATE TABLE links (agent TEXT, session_key TEXT, linked_at TEXT);
CREATE INDEX links_of_session ON links (agent, session_key);
CREATE TABLE events (
    session INTEGER, event_id TEXT, digest BLOB, segment INTEGER, line INTEGER, PRIMARY KEY (session, event_id, digest)
) WITHOUT ROWID;
CREATE TABLE forgotten (session INTEGER, name TEXT, until INTEGER, PRIMARY KEY (session, name)) WITHOUT ROWID;
CREATE TABLE transcripts (
    agent TEXT, session_id TEXT, place TEXT, mark TEXT, bookmark TEXT, PRIMARY KEY (agent, session_id, place)
) WITHOUT ROWID;
"""
TABLES = ("sessions", "files", "segments", "former_packs", "links", "events", "forgotten", "transcripts")


def connect(path: Path) -> sqlite3.Connection:
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
                connection.execute("INSERT INTO meta VALUES (?, 0, ?, '')", (VERSION, GENESIS))
        if connection.execute("SELECT version FROM meta").fetchone() != (VERSION,):
            raise sqlite3.DatabaseError(f"{path} is no catalog of version {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Is the file itself wrong, so that making it anew helps?"""
    return not isinstance(error, sqlite3.OperationalError) or "no such" in str(error)


def discard(home: Home) -> None:
    """Remove the catalog; the next opening makes it anew."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{home.catalog}{suffix}").unlink(missing_ok=True)
