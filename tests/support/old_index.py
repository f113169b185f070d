"""An index as an earlier version wrote it, made out of one of now. The tables are those of then, word for word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from zlib import crc32

from moon.fulltext import open_reader
from moon.fulltext.index_database import APPLICATION, remove
from moon.fulltext.languages import signature, terms

TABLES = """
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
CREATE TABLE message (
    id INTEGER PRIMARY KEY, event_id TEXT NOT NULL, segment INTEGER NOT NULL, line INTEGER NOT NULL,
    role TEXT NOT NULL, tool TEXT NOT NULL, at INTEGER NOT NULL, digest INTEGER NOT NULL, language TEXT NOT NULL,
    size INTEGER NOT NULL
);
CREATE INDEX message_by_event ON message (event_id);
CREATE INDEX message_by_segment ON message (segment);
CREATE TABLE body (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', columnsize = 0, tokenize = 'ascii');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
CREATE TABLE common_word (word TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE spoken (
    agent INTEGER NOT NULL, language TEXT NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (agent, language)
) WITHOUT ROWID;
CREATE TABLE state (
    next_episode INTEGER NOT NULL, counted_rows INTEGER NOT NULL, changed INTEGER NOT NULL, signature TEXT NOT NULL
);
"""
VERSION_2 = """
DROP TABLE vocabulary; DROP TABLE words; DROP TABLE spoken;
ALTER TABLE message DROP COLUMN language;
ALTER TABLE message DROP COLUMN size;
ALTER TABLE state DROP COLUMN signature;
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', columnsize = 0, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
INSERT INTO words (rowid, text) SELECT id, text FROM body;
"""


def as_version(path: Path, version: int) -> None:
    """Rewrite an index as version 2 or 4 had it."""
    with open_reader(path) as index:
        rows = index.rows(index.message_ids())
        sizes = {row: shape.size for row, shape in index.shapes([row.id for row in rows]).items()}
        kept = {
            table: index.connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("agent", "session", "segment", "episode", "common_word", "spoken")
        }
        state = index.connection.execute("SELECT next_episode, counted_rows, 0 FROM state").fetchone()
    remove(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(f"PRAGMA journal_mode = WAL; {TABLES}")
        for table, lines in kept.items():
            for line in lines:
                database.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(line))})", line)
        database.execute("INSERT INTO state VALUES (?, ?, ?, ?)", (*state, signature()))
        for row in rows:
            digest = crc32(row.text.encode())
            values = (row.id, row.event_id, row.segment, row.line, row.role, row.tool, row.at, digest, row.language)
            database.execute("INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?)", (*values, sizes[row.id]))
            database.execute("INSERT INTO body VALUES (?, ?)", (row.id, row.text))
            entered = " ".join(terms(row.text, row.language))
            database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row.id, entered))
        database.executescript(VERSION_2 if version == 2 else "")
        database.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version}")
    path.chmod(0o600)
