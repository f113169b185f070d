"""The file `index/recall.sqlite`: its tables, opening it, and replacing it as a whole.

Row numbers carry meaning, so that ranking can reason about neighbours and episodes without reading rows:

    agent number << 40  |  episode number << 6  |  place within the episode

An *episode* is a stretch of one session: at most `EPISODE_ROWS` rows without a longer pause. Two rows whose numbers
differ by one follow each other in the conversation. The last place of an episode stays empty, so rows of different
episodes are never neighbours.

What a segment brought stands in one or two *spans* of row numbers: what went on with an episode, and the episodes after
it. So a row need not say where it comes from, and a segment that moves into a pack changes a line or two.

`words` keeps only which rows hold a term (`expression` says how phrases are found all the same), and its text nowhere:
`message.body` holds it, compressed (`stored_text`). `message.kind` is the number of a role, a tool and a language.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from moon.files import make_private, unusable
from moon.fulltext.index_rows import IndexBusy, IndexCorrupt, IndexMissing, IndexVersion
from moon.fulltext.index_seal import damage, seal_path
from moon.fulltext.languages import signature
from moon.fulltext.page_sums import sums_path

VERSION = 5
# An index of an earlier version can still be searched (`index_old`); `moon-index` makes it anew.
READABLE = (2, 4, VERSION)
APPLICATION = 0x4D4F4F4E  # "MOON"
# What lies beside an index and belongs to it.
BESIDE = ("-wal", "-shm", "-journal", ".seal", ".sums")
AGENT_SHIFT = 40
EPISODE_SHIFT = 6
EPISODE_ROWS = (1 << EPISODE_SHIFT) - 1
# FTS5 merges what it wrote in pieces when it has so many of a size; `index_tidying` merges the rest.
MERGE_FROM = 8
EPISODE_PAUSE_MS = 6 * 3600 * 1000

SCHEMA = """
CREATE TABLE agent (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL DEFAULT 0);
CREATE TABLE session (
    id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, session_id TEXT NOT NULL, session_key TEXT NOT NULL,
    UNIQUE (agent, session_id)
);
CREATE INDEX session_by_key ON session (session_key);
CREATE TABLE segment (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, session INTEGER NOT NULL, archive_path TEXT NOT NULL,
    rows INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE episode (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, rows INTEGER NOT NULL, first_at INTEGER, last_at INTEGER
);
CREATE INDEX episode_by_session ON episode (session, id);
CREATE INDEX episode_by_time ON episode (first_at, last_at);
CREATE TABLE span (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, segment INTEGER NOT NULL, lines_before INTEGER NOT NULL
);
CREATE INDEX span_by_segment ON span (segment);
CREATE TABLE kind (
    id INTEGER PRIMARY KEY, role TEXT NOT NULL, tool TEXT NOT NULL, language TEXT NOT NULL,
    UNIQUE (role, tool, language)
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY, event NOT NULL, line INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
    digest INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX message_by_event ON message (event);
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', columnsize = 0, detail = none, tokenize = 'ascii'
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
CREATE TABLE common_word (word TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE spoken (
    agent INTEGER NOT NULL, language TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (agent, language)
) WITHOUT ROWID;
CREATE TABLE state (
    next_episode INTEGER NOT NULL, counted_rows INTEGER NOT NULL, counted_until TEXT NOT NULL,
    text_bytes INTEGER NOT NULL, changed INTEGER NOT NULL, signature TEXT NOT NULL
);
"""


def connect(path: Path, *, writable: bool, timeout: float) -> sqlite3.Connection:
    """Open an index that exists (or, to write, may be new and empty). Raises the errors of `rows`."""
    try:
        connection = _connected(path, writable, timeout)
    except sqlite3.OperationalError as error:
        raise _unreadable(path, error) from error
    try:
        with translated(path):
            _check(connection, path, may_create=writable)
            found = damage(path, connection)
        if found:
            raise corrupt(path, found)
    except BaseException:
        connection.close()
        raise
    return connection


def in_memory() -> sqlite3.Connection:
    """A new index that lives as long as its connection."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection)
    return connection


def _connected(path: Path, writable: bool, timeout: float) -> sqlite3.Connection:
    if writable:
        _touch_private(path)
    elif not _is_there(path):
        raise IndexMissing("no index yet", path=str(path), hint="run `moon-archive --all`, then `moon-index --all`")
    mode = "rw" if writable else "ro"
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # `check_same_thread=False`: the MCP server answers from a worker thread, one query at a time.
    return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # its folder is closed
        raise IndexMissing(
            f"the index cannot be used: {error.strerror}", path=str(path), code="no_permission"
        ) from error


def _touch_private(path: Path) -> None:
    make_private(path.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise unusable(path, error) from error


def _check(connection: sqlite3.Connection, path: Path, *, may_create: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION and (version == VERSION if may_create else version in READABLE):
        _tune(connection, writable=may_create)
        if may_create:
            _check_signature(connection, path)
        return
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if empty and may_create:
        _create(connection)
        return
    if empty:
        raise IndexMissing("the index is empty", path=str(path), hint="run `moon-index --all`")
    if application != APPLICATION:
        raise IndexCorrupt(
            "this file is not Moon's index", path=str(path), hint="move it away and run `moon-index --rebuild`"
        )
    raise IndexVersion(
        f"the index has version {version}, this Moon has {VERSION}",
        path=str(path),
        hint="run `moon-index --rebuild`; the archives are not touched",
    )


def _check_signature(connection: sqlite3.Connection, path: Path) -> None:
    """Terms can be taken out again only by the rules that made them: no writing under other rules."""
    made_by = connection.execute("SELECT signature FROM state").fetchone()[0]
    if made_by != signature():
        raise IndexVersion(
            f"the words of the index were made by other rules ({made_by}; now {signature()})",
            path=str(path),
            hint="run `moon-index --rebuild`; the archives are not touched",
        )


def _tune(connection: sqlite3.Connection, *, writable: bool) -> None:
    # A writer that maps the file ends up with all of it in its memory.
    connection.execute(f"PRAGMA mmap_size = {0 if writable else 1 << 30}")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA synchronous = NORMAL")
    if writable:
        # The writer itself moves the log into the file, after it has written down the sums of the pages in it.
        connection.execute("PRAGMA wal_autocheckpoint = 0")


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    _tune(connection, writable=True)
    connection.executescript(
        f"BEGIN IMMEDIATE; {SCHEMA} INSERT INTO state VALUES (1, 0, '', 0, 0, '{signature()}'); "
        f"INSERT INTO words (words, rank) VALUES ('automerge', {MERGE_FROM}); "
        f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into words and a remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _unreadable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise corrupt(path, error) from error


def _unreadable(path: Path, error: sqlite3.Error) -> Exception:
    words = str(error)
    if "locked" in words or "busy" in words:
        return IndexBusy("the index is being written to", path=str(path), hint="try again in a moment")
    codes = {"unable to open": "no_permission", "readonly": "no_permission", "is full": "disk_full", "I/O": "disk_full"}
    for said, code in codes.items():
        if said in words:
            return IndexMissing(f"the index cannot be used: {words}", path=str(path), code=code)
    return corrupt(path, error)


def corrupt(path: Path, problem: object) -> IndexCorrupt:
    return IndexCorrupt(
        f"the index is damaged: {problem}",
        path=str(path),
        hint="run `moon-index --rebuild`; it is derived from the archives, which are not touched",
    )


def remove(path: Path) -> None:
    """Delete an index file with what SQLite keeps beside it."""
    for suffix in ("", *BESIDE):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def swap_in(fresh: Path, path: Path) -> None:
    """Let a finished, closed index take another's place; who has the old one open goes on reading it."""
    for suffix in BESIDE:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    fresh.replace(path)
    for own in (sums_path, seal_path):
        if own(fresh).exists():
            own(fresh).replace(own(path))
    remove(fresh)
