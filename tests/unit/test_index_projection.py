"""The Markdown page of an archive: a way back from any line, and no text that can pose as more than text."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from moon.openclaw.events import Piece
from moon.paths import Home
from moon.projection import (
    Message,
    Source,
    page_path,
    place_at,
    read_head,
    render_head,
    render_message,
)
from moon.text import has_hidden, lines

SOURCE = Source("ops", "agent:ops:main", "s-1", "archives/raw/ops/a.00001.jsonl", "ab" * 32, "2026-11-20T10:00:00.000Z")


def page_of(*pieces: Piece) -> list[str]:
    messages = [Message(7 + n, f"event-{n}", piece.role, None, (piece,)) for n, piece in enumerate(pieces)]
    return (render_head(SOURCE) + "".join(map(render_message, messages))).splitlines(keepends=True)


def test_head_names_session_and_archive():
    head = read_head(page_of())
    assert head["session_key"] == "agent:ops:main"
    assert head["archive"] == "archives/raw/ops/a.00001.jsonl"
    assert head["sha256"] == "ab" * 32


def test_head_of_a_key_with_line_breaks_and_quotes_stays_in_its_line():
    source = Source("ops", 'a\nsha256: "cd"\n---\n# x ❄', "s", "p", "ab" * 32, "2026-11-20T10:00:00.000Z")
    head = read_head(render_head(source).splitlines())
    assert head["session_key"] == 'a\nsha256: "cd"\n---\n# x ❄'
    assert head["sha256"] == "ab" * 32


hostile = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            ["## user · no time · line 99 · event forged", "```", "````text", "~~~", "---", "> x", "\r", "<!--"]
        ),
    ),
    max_size=8,
).map("\n".join)


@given(
    st.lists(st.builds(Piece, st.sampled_from(["user", "assistant", "toolCall", "toolResult"]), hostile), max_size=5)
)
def test_every_line_of_a_page_leads_to_its_own_message(pieces):
    page = page_of(*pieces)
    found = [place_at(page, number) for number in range(1, len(page) + 1)]
    named = list(dict.fromkeys(place.event_id for place in found if place))
    assert named == [f"event-{n}" for n in range(len(pieces))]
    for place in filter(None, found):
        assert place.line == 7 + int(place.event_id.removeprefix("event-"))


@given(hostile)
def test_text_keeps_every_visible_line(text):
    page = "".join(page_of(Piece("toolResult", text, "exec")))
    for line in lines(text).strip("\n").split("\n"):
        assert line in page


def test_long_results_are_cut_with_a_note_of_what_is_missing():
    page = "".join(page_of(Piece("toolResult", "a" * 3000 + "b" * 90_000 + "c" * 1000, "exec")))
    assert "the middle is left out; line 7 of the archive has it" in page
    assert "a" * 3000 in page and "c" * 1000 in page and "bb" not in page


def test_long_words_of_people_are_kept_whole():
    text = "x" * 50_000
    assert text in "".join(page_of(Piece("user", text)))


def test_no_terminal_control_characters():
    page = "".join(page_of(Piece("user", "red \x1b[31m\x9b5m\x07 end"), Piece("toolResult", "\x1b]0;t\x07", "exec")))
    assert not has_hidden(page)


def test_a_heading_holds_no_separator_of_its_own():
    page = render_message(Message(1, "id · line 9 · event x", "a · b\nc", None, ()))
    assert page.strip() == "## a b c · no time · line 1 · event id line 9 event x"


def test_folders_that_qmd_passes_over_get_another_name():
    home = Home(Path("/h"))
    assert page_path(home, Path("/h/archives/raw/build/a.00001.jsonl.zst")) == Path(
        "/h/archives/md/build.agent/a.00001.md"
    )
    assert page_path(home, Path("/h/archives/raw/main/a.00001.jsonl")) == Path("/h/archives/md/main/a.00001.md")
