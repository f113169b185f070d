"""Which of SQLite's complaints mean that the index itself is bad, and which that it cannot be used just now."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from moon.fulltext import IndexBusy, IndexCorrupt, IndexMissing
from moon.fulltext.index_database import translated


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("database is locked", IndexBusy),
        ("database or disk is full", IndexMissing),
        ("disk I/O error", IndexMissing),
        ("attempt to write a readonly database", IndexMissing),
        ("unable to open database file", IndexMissing),
        ("no such table: segment", IndexCorrupt),
    ],
)
def test_only_damage_counts_as_damage(words: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), translated(Path("/x")):
        raise sqlite3.OperationalError(words)


def test_a_malformed_file_is_damage() -> None:
    with pytest.raises(IndexCorrupt), translated(Path("/x")):
        raise sqlite3.DatabaseError("database disk image is malformed")
