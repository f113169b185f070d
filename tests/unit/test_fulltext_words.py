"""Words are right for every script, and FTS5 stores exactly the words that it is given."""

from __future__ import annotations

import sqlite3
import sys
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.fulltext.index_database import SCHEMA
from moon.fulltext.languages import index_terms
from moon.fulltext.words import clusters, fold, pairs, places, question_words, words

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]


def stored(texts: Sequence[str]) -> list[list[str]]:
    """The terms that the index's own table makes of each text, in order (which it does not keep)."""
    database = sqlite3.connect(":memory:")
    assert "detail = none, " in SCHEMA
    database.executescript(SCHEMA.replace("detail = none, ", ""))
    database.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", enumerate(texts))
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab (words, instance)")
    found: list[list[str]] = [[] for _ in texts]
    for row, term in database.execute("SELECT doc, term FROM v ORDER BY doc, offset"):
        found[row].append(term)
    return found


@given(ANY_TEXT)
def test_fts5_stores_the_words_of_any_text(text: str) -> None:
    assert stored([" ".join(words(text))]) == [words(text)]


def test_fts5_stores_the_words_of_every_character() -> None:
    blocks = ["".join(EVERY_CHARACTER[at : at + 256]) for at in range(0, len(EVERY_CHARACTER), 256)]
    spaced = [" ".join(f"a{char}b" for char in block) for block in blocks]
    texts = [*blocks, *spaced]
    made = [index_terms(text, "") for text in texts]
    assert stored([" ".join(each) for each in made]) == made


@given(ANY_TEXT)
def test_places_are_those_of_the_words(text: str) -> None:
    found = list(places(text))
    assert [each.word for each in found] == words(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)


@given(ANY_TEXT)
def test_folded_text_has_the_same_words(text: str) -> None:
    assert words(fold(text)) == words(text)


@given(st.lists(st.sampled_from([*"aé東ㅏ가\u0301\u11a8\u0e33\uff9eｶ\u0903²½\u200d \\"]), max_size=8).map("".join))
def test_letters_that_join_are_joined_alike_everywhere(text: str) -> None:
    assert [each.word for each in places(text)] == words(text) == words(fold(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("नमस्ते क्षत्रिय ज़रूरत", ["नमस्ते", "क्षत्रिय", "जरूरत"]),
        ("السَّلامُ مؤسسة أحمد ١٢٣", ["السلام", "موسسه", "احمد", "123"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("שָׁלוֹם", ["שלום"]),
        ("ἄνθρωπος ΆΝΘΡΩΠΟΣ", ["ανθρωποσ", "ανθρωποσ"]),
        ("ᲐᲑᲒ აბგ", ["აბგ", "აბგ"]),
        ("𞤀𞤁𞤂𞤃 𞤢𞤣𞤤𞤥", ["𞤢𞤣𞤤𞤥", "𞤢𞤣𞤤𞤥"]),
        ("ﬁle ﬂow Ｆｕｌｌ １２", ["file", "flow", "full", "12"]),
        ("x² ① 2½", ["x2", "1", "2", "1", "2"]),
        ("main\ue0b0clean \ue0a0", ["main", "clean"]),
        ("Café ŁÓDŹ Straße IĞDIR ığdır İstanbul", ["cafe", "lodz", "strasse", "igdir", "igdir", "istanbul"]),
        ("ёлка ЙОД", ["елка", "иод"]),
        ("می‌خواهم soft\u00adhyphen", ["ميخواهم", "softhyphen"]),
        ("don't re-read src/a_b.py:12", ["don", "t", "re", "read", "src", "a", "b", "py", "12"]),
        ("10.0.0.7:8443", ["10", "0", "0", "7", "8443"]),
        ("ปี๒๕๖๗", ["ปี", "2567"]),
        ("日本語tower第3章", ["日本", "本語", "語", "tower", "第", "3", "章"]),
        ("ｶﾞｷﾞ", ["ガギ", "ギ"]),
        ("ㅋㅋ", ["ㅋㅋ", "ㅋ"]),
        ("… 🎉 ──", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_text_has_the_same_words_composed_and_decomposed() -> None:
    text = "Café 한국어를 がぎ ёлка ἄνθρωπος क़लम مؤسسة"
    assert words(unicodedata.normalize("NFD", text)) == words(text) == words(unicodedata.normalize("NFC", text))


def test_text_without_spaces_becomes_pairs_of_whole_letters() -> None:
    assert pairs(["東", "京", "都"]) == ["東京", "京都", "都"]
    assert clusters("ปี่นี้") == ["ปี่", "นี้"]
    assert question_words("東京都 猫 tokyo") == ["東京", "京都", "猫", "tokyo"]


def test_a_place_is_that_of_the_letters_in_the_text() -> None:
    text = "ﬁsh → café, 東京都"
    assert [(each.word, text[each.start : each.end]) for each in places(text)] == [
        ("fish", "ﬁsh"),
        ("cafe", "café"),
        ("東京", "東京"),
        ("京都", "京都"),
        ("都", "都"),
    ]


def test_folding_leaves_punctuation() -> None:
    assert fold("ÉCLAIR, Straße: “½”?") == "eclair, strasse: “ 1⁄2 ”?"
