"""What a question wants, and how a row looks that shows it."""

from __future__ import annotations

import pytest

from moon.fulltext.words import fold
from moon.recall.cues import Wanted, shows_failure


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("How exactly did we write patch.txt?", {"command", "call"}),
        ("Mit welchem Befehl wurde gesichert?", {"command", "call"}),
        ("How did she feel about it?", set()),
        ("What did the script print?", {"call", "output"}),
        ("最初のエラーは何でしたか", {"failure", "order"}),
        ("Где была ошибка?", {"failure"}),
        ("Who is her neighbour?", set()),
    ],
)
def test_what_a_question_wants(question: str, wanted: set[str]) -> None:
    assert {name for name, value in vars(Wanted(fold(question))).items() if value} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "npm ERR! code EUSAGE",
        "$ run\n  3:12  error  Unexpected token",
        "E   assert 1 == 2",
        "bash: foo: command not found",
        "ok\nValueError: bad",
        "error: linking with `rust-lld` failed",
        "FEHLER 553 nicht beschreibbar",
        "<returncode>2</returncode>\n<output>\n</output>",
    ],
)
def test_programs_tell_of_failures(text: str) -> None:
    assert shows_failure(text)


@pytest.mark.parametrize(
    "text", ["12:     raise ValueError(text)", "all 3 passed, 0 failed", "<returncode>0</returncode>"]
)
def test_code_and_good_news_are_no_failures(text: str) -> None:
    assert not shows_failure(text)
