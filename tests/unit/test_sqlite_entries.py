"""What is read of a session's entry is the same whether SQLite takes it out or the whole of it is parsed."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from tests.support.stores import NOW_MS, SqliteStoreBuilder, usage_entry

from moon.errors import StoreForeign
from moon.openclaw.sqlite_store import SqliteStore
from moon.openclaw.transcript_store import SessionEntry, read_entry

KEY = "agent:main:main"
ENTRIES = {
    "usual": json.dumps({**usage_entry("s1", 43_200, compactions=2), "skills": ["a"] * 50, "text": "ünï \u2028 🌒"}),
    "nothing": "{}",
    "zero": '{"totalTokens":0,"totalTokensFresh":true}',
    "odd types": '{"totalTokens":"7","contextTokens":true,"totalTokensFresh":1,"compactionCount":2.0,"status":5}',
    "odd budget": '{"contextBudgetStatus":"full","totalTokens":7}',
    "odd budget within": '{"contextBudgetStatus":{"promptBudgetBeforeReserve":[1]}}',
    "large numbers": '{"totalTokens":1e400,"contextTokens":123456789012345678901234567890,"updatedAt":1795336021771}',
    "times as text": '{"updatedAt":"2026-11-22T06:00:00.000Z","lastInteractionAt":1795336021}',
    "what only Python reads": '{"totalTokens":7,"contextTokens":NaN}',
    "half": '{"totalTokens":7',
    "no object": "[1,2,3]",
    "a text": '"totalTokens"',
    "deep": '{"totalTokens":7,"x":' + "[" * 3_000 + "]" * 3_000 + "}",
}


def entry_of(store: SqliteStore) -> SessionEntry:
    (entry,) = store.sessions()
    return entry


def reference(text: str) -> SessionEntry:
    """The entry as it is when all of it is parsed."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = {}
    entry = entry if isinstance(entry, dict) else {}
    return read_entry("main", KEY, "s1", {**entry, "status": "done"})


@pytest.fixture
def builder(tmp_path):
    made = SqliteStoreBuilder(tmp_path)
    made.put_entry(KEY, usage_entry("s1", updated_at=NOW_MS))
    return made


@pytest.mark.parametrize("name", list(ENTRIES))
def test_an_entry_reads_the_same_either_way(builder, name, monkeypatch):
    with closing(builder.connect()) as connection, connection:
        connection.execute("UPDATE session_nodes SET entry_json = ?", (ENTRIES[name],))
    with closing(SqliteStore("main", builder.main_file)) as store:
        assert "json_extract" in store._entry_parts()
        assert entry_of(store) == reference(ENTRIES[name])
        monkeypatch.setattr(SqliteStore, "_entry_parts", lambda store: "NULL, entry_json")
        assert entry_of(store) == reference(ENTRIES[name])


def test_an_sqlite_without_json_parses_the_whole(builder, monkeypatch):
    rows = SqliteStore._rows

    def without_json(store, sql, parameters=()):
        if "json_" in sql:
            raise StoreForeign("no such function: json_valid")
        return rows(store, sql, parameters)

    monkeypatch.setattr(SqliteStore, "_rows", without_json)
    with closing(SqliteStore("main", builder.main_file)) as store:
        assert entry_of(store).used_tokens == 1_000
