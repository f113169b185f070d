"""What people see: the best part of a text, marked, and nothing that could do harm to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moon.recall.render import TextStyle, markdown
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
    assert "archives/raw/main/a.jsonl:3  event e1" in plain
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


def test_markdown_keeps_text_from_being_markup() -> None:
    shown = markdown(document("a **match** <b>bold</b> `code` [link](x)\n# no heading"))
    assert "**match**" in shown
    assert r"\<b\>bold" in shown
    assert r"\[link\](x)" in shown
    assert "\n# no" not in shown
