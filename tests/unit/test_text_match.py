"""A text is found however it is written, and is not seen where it is not."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events

from moon.errors import UsageWrong
from moon.text_match import TextMatch

TOKEN = "ghp_Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1Ab1"
SCRIPTS = ["नमस्ते दुनिया", "سِرٌّ كبير", "Ἀθῆναι", "秘密の合言葉", "Müller Straße", "비밀번호", "王伟", "état"]


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_script_composed_or_not_and_in_any_case(text: str, form: str) -> None:
    match = TextMatch(unicodedata.normalize(form, text))
    for there in ("NFC", "NFD"):
        for word in (text, text.upper(), text.lower()):
            assert match.is_in_line(events.message("e", f"before {unicodedata.normalize(there, word)} after"))
    assert not match.is_in_line(events.message("e", "nothing of the kind"))


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("istanbulşifre", "İSTANBULŞİFRE"),
        ("İSTANBULŞİFRE", "istanbulşifre"),
        ("ısparta", "ISPARTA"),
        ("ISPARTA", "ısparta"),
    ],
)
def test_either_i_of_turkish(asked: str, there: str) -> None:
    assert TextMatch(asked).is_in_line(events.message("e", f"before {there} after"))


@pytest.mark.parametrize(
    "worn",
    [
        TOKEN.lower(),
        f"{TOKEN[:20]}\n{TOKEN[20:]}",
        f"\x1b[32m{TOKEN[:9]}\x1b[0m{TOKEN[9:]}",
        f"{TOKEN[:9]}\u200b{TOKEN[9:]}",
        TOKEN.replace("A", "\\u0041"),
        TOKEN.replace("_", "%5F"),
        json.dumps({"token": json.dumps({"inner": TOKEN})}),
    ],
)
def test_a_secret_in_clothes(worn: str) -> None:
    assert TextMatch(TOKEN).is_in_line(events.message("e", f"use {worn} now"))
    assert TextMatch(TOKEN).is_in_line(events.tool_call("e", "exec", {"command": f"curl {worn}"}))


def test_a_number_with_spaces_in_it_and_a_line_that_is_no_json() -> None:
    assert TextMatch("+4917012345678").is_in("call +49 170 1234 5678 today")
    assert TextMatch("lantern").is_in_line(b'{"torn": "the LANTERN')
    assert TextMatch("4711").is_in_line(b'{"id": 4711}')


def test_words_are_not_seen_in_others_that_only_stand_side_by_side() -> None:
    assert not TextMatch("together").is_in("to get her there")
    assert not TextMatch("lantern").is_in("plan ternary")


@pytest.mark.parametrize("text", ["", "  ", "ab", "a.b", "\u200b"])
def test_what_would_be_found_nearly_everywhere_is_refused(text: str) -> None:
    with pytest.raises(UsageWrong):
        TextMatch(text)


@given(st.text(min_size=3), st.text(), st.text())
def test_a_text_is_found_in_itself(text: str, before: str, after: str) -> None:
    try:
        match = TextMatch(text)
    except UsageWrong:
        return
    assert match.is_in(f"{before} {text} {after}")
