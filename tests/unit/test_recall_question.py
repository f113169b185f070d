"""Understanding a question: everything is words, nothing is an expression, whatever the text is."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.recall.question import MAX_CHARS, MAX_TERMS, Query, parse


def texts(query: Query) -> list[str]:
    return [term.text for term in query.terms]


@pytest.fixture(scope="module")
def engine() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'ascii')")
    return database


def run_all(engine: sqlite3.Connection, query: Query) -> None:
    """Every expression that a query holds must be one that FTS5 understands."""
    for term in query.terms:
        for expression in (term.match, term.related, *query.required, *query.excluded):
            if expression:
                engine.execute("SELECT rowid FROM t WHERE t MATCH ?", (expression,)).fetchall()


def test_stop_words_go_unless_there_is_nothing_else() -> None:
    assert texts(parse("When did we move the database?")) == ["move", "database"]
    assert texts(parse("to be or not to be")) == ["to", "be", "or", "not"]


def test_irregular_forms_stand_for_each_other() -> None:
    (term,) = parse("went").terms
    assert {"go", "went", "gone"} <= term.stems
    assert '"went"' in term.match


def test_related_words_are_looked_up_apart() -> None:
    (term,) = parse("instruments").terms
    assert "violin" in term.related_stems
    assert "violin" not in term.stems


def test_a_name_within_the_question_has_no_related_words() -> None:
    said, movie = parse("Did she say that Movie is shut?").terms, parse("Did she say that the movie is shut?").terms
    assert not any(term.related for term in said if term.text == "movie")
    assert any(term.related for term in movie if term.text == "movie")


def test_phrase_exclusion_and_fields() -> None:
    query = parse(
        '"connection refused" timeout -staging -"dry run" role:user tool:exec agent:ops session:"agent:ops:a b"'
    )
    assert query.required == ('"connect refus" OR "connection refused"',)
    assert query.excluded == ('"dri run" OR "dry run"', '"stage" OR "staging"')
    assert (query.roles, query.tools, query.agent, query.session) == (("user",), ("exec",), "ops", "agent:ops:a b")
    assert texts(query) == ["connection refused", "timeout"]


def test_in_a_question_quotation_marks_do_not_exclude() -> None:
    query = parse('Who wrote "the long report"?')
    assert query.required == ()
    assert {"the long report", "long", "report"} <= set(texts(query))


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("ABC-1234", "abc 1234"),
        ("src/a/b.py", "src a b py"),
        ("see /etc/moon.d/x.conf now", "etc moon d x conf"),
        ("10.0.0.7:8443", "10 0 0 7 8443"),
        ("snake_case_name", "snake case name"),
        ("v2026.9.6", "v2026 9 6"),
        ("user@example.org", "user example org"),
    ],
)
def test_identifiers_are_found_whole(text: str, whole: str) -> None:
    query = parse(text)
    assert whole in [term.text for term in query.terms if term.sequence]


def test_a_hyphenated_word_is_two_words() -> None:
    assert texts(parse("well-known")) == ["well", "known"]


def test_the_start_of_a_hash_finds_the_rest() -> None:
    assert parse("3f9ac01").terms[0].match == '"3f9ac01"*'
    assert parse("defaced").terms[0].match == '"defac" OR "defaced"'


def test_text_without_spaces() -> None:
    assert texts(parse("東京の")) == ["東京", "京の"]
    assert parse("猫").terms[0].match == '"猫"*'


@pytest.mark.parametrize("text", ["", "   ", "?!…", '"', '""', "-", '-""', "role:", "\0", "\ud800"])
def test_nothing_to_search_for(text: str) -> None:
    assert [term for term in parse(text).terms if term.text.strip("\ufffd?role")] == []


@pytest.mark.parametrize(
    "text", ["NEAR(", "a AND", "OR", "NOT x", "x*", "^start", "col:word", '"unbalanced words', "(a b", "{x}: y"]
)
def test_operators_are_plain_text(engine: sqlite3.Connection, text: str) -> None:
    run_all(engine, parse(text))


def test_a_very_long_query_is_cut_and_says_so() -> None:
    query = parse("lantern " * 2000)
    assert texts(query) == ["lantern"]
    assert str(MAX_CHARS) in query.notes[0]
    query = parse(" ".join(f"word{at}" for at in range(100)))
    assert len(query.terms) == MAX_TERMS
    assert query.notes


@given(st.text(max_size=200))
def test_any_text_gives_expressions_that_fts5_takes(engine: sqlite3.Connection, text: str) -> None:
    run_all(engine, parse(text))


@given(
    st.lists(
        st.sampled_from(['"', "-", "a", "the", "NEAR(", "*", "role:", "x-1", " ", "東", "'", ":", "(", "\\", "/"]),
        max_size=30,
    )
)
def test_any_mix_of_signs_gives_expressions_that_fts5_takes(engine: sqlite3.Connection, parts: list[str]) -> None:
    run_all(engine, parse("".join(parts)))
