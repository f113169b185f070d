"""The one table of what may go out, and the few functions that hold text to it."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon import text

ODD = [
    0x1B,
    0x07,
    0x9B,
    0x9D,
    0x85,
    0x7F,
    0x0D,
    0x200B,
    0x200C,
    0x200D,
    0x202E,
    0x2028,
    0xFE0F,
    0xFEFF,
    0xE0041,
    0xE0100,
]
ODD += [0xD800, 0xE0B0, 0xFFFF, 0x180E, 0x00AD]
PIECES = st.sampled_from(
    [*map(chr, ODD), "a", "]", "[", "31m", "0;", "\\", "\n", " ", "क", "ष", "ن", "❤", "🔥", "葛", "1", "\u20e3"]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join))


def forbidden(char: str) -> bool:
    """What no output may hold in any place, told from Unicode's own data and not from the table."""
    visible_format = 0x600 <= ord(char) <= 0x605 or char in "\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    layout = 0x13430 <= ord(char) <= 0x1345F
    joiner = char in "\u200c\u200d\u180e"
    wanted = ("Cc", "Cf", "Zl", "Zp", "Co", "Cs")
    return unicodedata.category(char) in wanted and not (visible_format or layout or joiner)


def test_every_character_that_unicode_calls_control_or_format_is_in_the_table() -> None:
    found = [
        f"{code:04x}"
        for code in range(sys.maxunicode + 1)
        if forbidden(chr(code))
        and chr(code) not in "\n\t"
        and text.lines(f"a{chr(code)}b") not in ("ab", "a\nb", "a\ufffdb")
    ]
    assert found == []


def test_letters_marks_signs_and_emoji_of_all_scripts_stay() -> None:
    hidden = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # blank letters and marks
    kept = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] in "LMNPS"]
    changed = [
        f"{ord(each):04x}"
        for each in kept
        if each not in hidden
        and text.lines(each) != each
        and not unicodedata.name(each, "").startswith(("VARIATION", "MONGOLIAN FREE VARIATION"))
    ]
    assert changed == []


@pytest.mark.parametrize(
    "word",
    [
        "می\u200cخواهم",
        "क्\u200dष",
        "ශ්\u200dරී",
        "👩🏽\u200d💻",
        "❤\ufe0f\u200d🔥",
        "🏳\ufe0f\u200d🌈",
        "🤷🏻\u200d♂\ufe0f",
        "1\ufe0f\u20e3",
        "葛\U000e0100",
        "☎\ufe0e",
        "ᠠ\u180b",
        "🇩🇪",
    ],
)
def test_a_joiner_stays_where_a_word_or_picture_needs_it(word: str) -> None:
    assert text.lines(word) == text.one_line(word) == text.shown(word) == word
    assert json.loads(text.dump_json(word)) == word
    assert word in text.dump_json(word)
    assert not text.has_hidden(word)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("pass\u200dword", "password"),
        ("क\u200d", "क"),
        ("\u200cمن", "من"),
        ("❤\ufe0f\ufe0f\ufe0f", "❤\ufe0f"),
        ("a\ufe0fb", "ab"),
        ("ghp\u200b_\ufeffabc", "ghp_abc"),
        ("\x1b[1;32mok\x1b[0m", "ok"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;no end", "0;no end"),
        ("\x1b(B\x1b7plain\x1bword", "plainword"),
        ("\x1b\x1b[0m[31mx", "[31mx"),
        ("a\r\nb\rc\x85d\u2028e\u2029f\x0bg", "a\nb\nc\nd\ne\nf\ng"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("half \ud800 private \ue0b0", "half \ufffd private \ufffd"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("a\tb\n  c", "a\tb\n  c"),
    ],
)
def test_text_comes_out_as_it_would_be_read(said: str, read: str) -> None:
    assert text.lines(said) == read


def test_a_name_shows_what_is_hidden_in_it() -> None:
    assert (
        text.shown("agent:\x1b]0;x\x07:\u202e\U000e0041\udc80\n") == "agent:\\x1b]0;x\\x07:\\u202e\\U000e0041\\udc80 "
    )


def test_inline_can_neither_end_its_line_nor_open_a_comment() -> None:
    assert text.inline("a <!\u200b-- moon:begin --> b\u2028c") == "a &lt;!-- moon:begin --&gt; b c"


@given(TEXTS)
def test_twice_is_once_and_nothing_hidden_is_left(said: str) -> None:
    for clean in (text.lines, text.one_line, text.shown, text.inline):
        done = clean(said)
        assert clean(done) == done
        assert not text.has_hidden(done)
        assert not any(forbidden(char) and char not in "\n\t" for char in done)
    assert not {"\n", "\t"} & set(text.one_line(said) + text.shown(said))


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5))
def test_json_keeps_the_exact_value_and_shows_nothing_raw(value: object) -> None:
    for indent in (None, 1):
        dumped = text.dump_json(value, indent=indent)
        assert json.loads(dumped) == value
        assert not text.has_hidden(dumped)
        dumped.encode("utf-8")


@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x1b[", "\x1b[0", "\x9b1", "\x1b]a\n", "\u200d", "\ufe0f", "\x1b ", "\ue000", "❤\ufe0f\u200d"]
)
def test_the_work_grows_with_the_length_only(piece: str) -> None:
    # Were it to grow with the square of the length, this would take many minutes.
    for clean in (text.lines, text.shown, text.dump_json):
        clean(piece * 200_000)


@given(TEXTS, st.integers(0, 40))
def test_a_beginning_holds_no_more_tokens_than_asked_for(said: str, limit: int) -> None:
    begun = text.within_tokens(said, limit)
    assert said.startswith(begun)
    assert text.token_estimate(begun) <= limit + 1


def test_tokens_are_counted_rather_too_many() -> None:
    assert text.token_estimate("") == 0
    assert text.token_estimate("The quick brown fox") == 7
    assert text.token_estimate("Съешь ещё") == 9
    assert text.token_estimate("漢字") == 3


def test_numbers_take_the_right_form() -> None:
    assert [text.counted(n, "archive") for n in (0, 1, 2)] == ["0 archives", "1 archive", "2 archives"]
    assert text.counted(2, "reply", "replies") == "2 replies"
