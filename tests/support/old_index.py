"""An index as the version before wrote it, made out of one of now."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from moon.fulltext.index_database import APPLICATION


def as_version_2(path: Path) -> None:
    """Rewrite an index with the words table, the columns and the number of version 2."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
        database.executescript(
            """
            DROP TABLE vocabulary; DROP TABLE words; DROP TABLE spoken;
            ALTER TABLE message DROP COLUMN language;
            ALTER TABLE state DROP COLUMN signature;
            CREATE VIRTUAL TABLE words USING fts5 (
                text, content = '', columnsize = 0, tokenize = 'porter unicode61 remove_diacritics 2'
            );
            CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
            INSERT INTO words (rowid, text) SELECT id, text FROM body;
            PRAGMA user_version = 2;
            PRAGMA wal_checkpoint(TRUNCATE);
            """
        )
    path.with_name(f"{path.name}.seal").unlink(missing_ok=True)
