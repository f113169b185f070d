"""Phrases are found without places of words: FTS5 gives rows that may hold them, the text decides."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.fulltext.expression import Terms, with_phrase

WORDS = ("a", "b", "c", "ab")
words = st.sampled_from(WORDS)
quoted = st.builds(
    lambda each, star: f'"{" ".join(each)}"{star}', st.lists(words, min_size=1, max_size=3), st.sampled_from(["", "*"])
)
expressions = st.recursive(
    quoted,
    lambda inner: st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(["AND", "OR", "NOT"]), inner),
)
flat = st.lists(quoted, min_size=2, max_size=4).flatmap(
    lambda each: st.lists(
        st.sampled_from([" AND ", " OR ", " NOT "]), min_size=len(each) - 1, max_size=len(each) - 1
    ).map(lambda operators: "".join(a + b for a, b in zip(each, [*operators, ""], strict=True)))
)
rows = st.lists(st.lists(words, min_size=1, max_size=6), min_size=1, max_size=6)


def table(detail: str, rows: list[list[str]]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE VIRTUAL TABLE t USING fts5 (x, content = '', detail = {detail}, tokenize = 'ascii')")
    database.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", [(n, " ".join(row)) for n, row in enumerate(rows)])
    return database


def found(database: sqlite3.Connection, expression: str) -> list[int]:
    return [row[0] for row in database.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid", (expression,))]


@given(expressions | flat, rows)
def test_the_same_rows_as_fts5_finds_that_knows_places(expression: str, rows: list[list[str]]) -> None:
    wanted = found(table("full", rows), expression)
    read = with_phrase(expression)
    if read is None:
        assert found(table("none", rows), expression) == wanted
        return
    possible = found(table("none", rows), read.superset())
    assert [row for row in possible if read.holds(Terms(rows[row]))] == wanted


@pytest.mark.parametrize("expression", ['"lantern"', '("lantern" OR "shelf"*) NOT "wick"', "lantern AND shelf"])
def test_what_has_no_phrase_is_left_to_fts5(expression: str) -> None:
    assert with_phrase(expression) is None
