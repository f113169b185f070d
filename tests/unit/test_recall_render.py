"""What people see: the best part of a text, marked, and nothing that could do harm to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moon.recall.reading import Message
from moon.recall.render import TextStyle, markdown, message_markdown, next_command, session_command
from moon.recall.snippet import WIDTH, cut, mark, marked_spans
from moon.text import has_hidden


def document(text: str, **more: object) -> dict[str, object]:
    result = {
        "rank": 1,
        "score": 1.0,
        "snippet": text,
        "role": "user",
        "tool": None,
        "timestamp": "2026-05-08T10:00:00.000Z",
        "agent": "main",
        "session_key": "agent:main:main",
        "session_id": "s1",
        "event_id": "e1",
        "archive_path": "archives/raw/main/a.jsonl",
        "line": 3,
        "engines": ["embedded"],
        "alike": 0,
        "before": [],
        "after": [],
        **more,
    }
    return {"query": text, "notes": [], "degraded": [], "results": [result]}


def test_the_densest_part_is_shown_with_its_matches_marked() -> None:
    text = "lantern " + "filler " * 200 + "the green lantern of the harbour " + "filler " * 200
    shown = mark(*cut(text, {"lantern", "green", "harbour"}))
    assert "the **green** **lantern** of the **harbour**" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")


def test_stems_and_accents_are_marked_as_they_stand() -> None:
    text = "Die Bücher, büchern"
    assert mark(text, marked_spans(text, {"bucher", "buchern"})) == "Die **Bücher**, **büchern**"
    assert marked_spans("ﬁsh fish", {"fish"}) == [(0, 3), (4, 8)]


@given(st.text(max_size=1200), st.sets(st.text(max_size=5), max_size=3))
def test_any_text_is_cut_to_one_harmless_line(text: str, stems: set[str]) -> None:
    shown, spans = cut(text, stems)
    assert len(shown) <= WIDTH + 4
    assert not has_hidden(shown)
    assert "\n" not in shown
    assert all(0 <= low < high <= len(shown) for low, high in spans)


def test_text_for_a_terminal() -> None:
    plain = TextStyle(colour=False, width=60).render(document("a **match** " + "word " * 40))
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 60
    assert plain.endswith("    moon-recall --event e1 --context 5\n")
    coloured = TextStyle(colour=True, width=60).render(document("a **match** here"))
    assert "\x1b[1m\x1b[33mmatch\x1b[0m" in coloured


@given(st.text(max_size=80))
def test_no_text_reaches_a_terminal_with_control_characters(text: str) -> None:
    beside = [{"role": text, "timestamp": None, "event_id": "e0", "text": text}]
    names = {"role": text, "tool": text, "event_id": text, "session_key": text, "archive_path": text}
    said = document(text, before=beside, after=beside, **names)
    said["notes"] = [text]
    said["degraded"] = [text]
    assert not has_hidden(TextStyle(colour=False, width=80).render(said))
    assert not has_hidden(markdown(said))


def test_the_next_command_can_be_pasted() -> None:
    assert next_command("-x y") == "moon-recall --event='-x y' --context 5"
    assert next_command("--help") == "moon-recall --event=--help --context 5"
    assert session_command("agent:main:it's") == """moon-recall --session 'agent:main:it'"'"'s'"""


def said(text: str, role: str = "user") -> Message:
    return {"event_id": "e1", "session_id": "s1", "role": role, "tool": None, "timestamp": None, "text": text}


def test_a_message_is_read_as_it_was_written() -> None:
    text = "def x():\n\treturn 1\n\n" + "word " * 40
    shown = TextStyle(colour=False, width=60).message(said(text), asked=True)
    assert shown.startswith("> undated           user  e1\n    def x():\n        return 1\n\n    word word")
    assert max(map(len, shown.splitlines())) <= 60


@given(st.text(max_size=80), st.text(max_size=9))
def test_no_message_reaches_a_reader_with_control_characters(text: str, role: str) -> None:
    assert not has_hidden(TextStyle(colour=False, width=80).message(said(text, role)))
    page = message_markdown(said(text, role))
    assert not has_hidden(page)
    assert [line for line in page.splitlines() if line.startswith("#")] == page.splitlines()[:1]


def test_markdown_keeps_text_from_being_markup() -> None:
    shown = markdown(document("a **match** <b>bold</b> `code` [link](x)\n# no heading"))
    assert "**match**" in shown
    assert r"\<b\>bold" in shown
    assert r"\[link\](x)" in shown
    assert "\n# no" not in shown
