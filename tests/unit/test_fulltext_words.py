"""Words cut and stemmed in Python are the words that SQLite's tokenizer makes."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.fulltext.words import fold, indexable, pairs, searchable, stem, words

DOCS = Path(__file__).resolve().parents[2]


def terms_of(texts: list[str]) -> list[set[str]]:
    """What FTS5 makes of each text."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5 (x, tokenize = 'porter unicode61 remove_diacritics 2')")
    database.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(texts))
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, instance)")
    found: list[set[str]] = [set() for _ in texts]
    for row, term in database.execute("SELECT doc, term FROM v"):
        found[row].add(term)
    return found


def test_every_word_of_the_project_is_stemmed_as_sqlite_does() -> None:
    text = " ".join(path.read_text("utf-8") for path in DOCS.glob("lib/moon/**/*.py"))
    known = sorted(set(re.findall(r"[a-z]+", text.lower())))
    assert len(known) > 2000
    different = [(word, terms) for word, terms in zip(known, terms_of(known), strict=True) if terms != {stem(word)}]
    assert different == []


@given(st.text(alphabet="abcdeilnorstuyzfgm", min_size=1, max_size=14))
def test_any_letters_are_stemmed_as_sqlite_does(word: str) -> None:
    assert terms_of([word]) == [{stem(word)}]


@pytest.mark.parametrize(
    "text", ["Café Zürich", "naïve ÅNGSTRÖM", "re-read src/a_b.py:12", "10.0.0.7:8443", "O'Brien’s"]
)
def test_texts_are_cut_as_sqlite_does(text: str) -> None:
    assert {stem(word) for word in words(text)} == terms_of([text])[0]


def test_folding_takes_case_and_accents_and_keeps_korean_whole() -> None:
    assert fold("ÉCLAIR Straße") == "eclair straße"
    assert fold("한국") == "한국"


def test_text_without_spaces_becomes_pairs() -> None:
    assert pairs("東京都") == ["東京", "京都", "都"]
    assert indexable("in 東京都 now").split() == ["in", "東京", "京都", "都", "now"]
    assert searchable("東京") == " 東京 "
    assert indexable("plain text") == "plain text"
