"""A conversation as a page: text is data, whatever it says, and each event has one place."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from moon import html_text
from moon.recall.html_page import HtmlPage
from moon.recall.reading import Message

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></details></article></main><script>alert(1)</script>",
    "<!-- <style>*{display:none}</style> -->",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "\x1b]8;;http://evil.test\x07link\x1b]8;;\x07",
    "\u202egnp.exe",
)


class Elements(HTMLParser):
    """What a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def message(text: str, role: str = "user", event: str = "e1", tool: str | None = None, session: str = "s1") -> Message:
    return {
        "event_id": event,
        "session_id": session,
        "role": role,
        "tool": tool,
        "timestamp": "2026-11-22T06:00:00Z",
        "text": text,
    }


def page(*messages: Message, name: str = "agent:main:main") -> Elements:
    made = HtmlPage()
    return Elements(made.begin(name) + "".join(map(made.message, messages)) + made.end())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_a_conversation_becomes_an_element(hostile: str) -> None:
    plain = page(message("x"), message("x", "toolResult", "e2", "exec", "s2"))
    odd = page(
        message(hostile, hostile, hostile, hostile, hostile),
        message(hostile, "toolResult", hostile + "2", hostile, hostile),
        name=hostile,
    )
    assert {tag for tag, _ in odd.tags} <= {tag for tag, _ in plain.tags} | {"details", "summary", "pre", "div"}
    allowed = {"id", "class", "href", "datetime", "lang", "charset", "content", "http-equiv", "name"}
    for tag, attributes in odd.tags:
        assert set(attributes) <= allowed, tag
        assert str(attributes.get("href", "#")).startswith("#")
    assert odd.open == []
    assert "\x1b" not in odd.text
    assert "\u202e" not in odd.text


def test_policy_allows_nothing_but_the_pages_own_style() -> None:
    policies = [attributes["content"] for tag, attributes in page().tags if "http-equiv" in attributes]
    assert policies == [html_text.POLICY]
    assert "script" not in html_text.POLICY.replace("default-src 'none'", "")


def test_turns_are_read_and_tools_are_folded() -> None:
    made = page(
        message("hello\n  there"),
        message("ls -la", "assistant", "e2", "exec"),
        message("total 0", "toolResult", "e3", "exec"),
    )
    assert [tag for tag, _ in made.tags if tag in ("article", "details")] == [
        "article",
        "article",
        "details",
        "article",
        "details",
    ]
    assert "hello\n  there" in made.text
    assert "total 0" in made.text


def test_each_event_is_one_place_and_links_lead_to_it() -> None:
    made = page(message("a"), message("b"), message("c", event="odd id/é"), message("d", event=""))
    places = [attributes["id"] for _, attributes in made.tags if "id" in attributes]
    assert len(places) == len(set(places)) == 3
    assert places[0] == "e-e1"
    links = {str(attributes["href"])[1:] for tag, attributes in made.tags if tag == "a"}
    assert links == set(places)


def test_each_window_has_a_heading() -> None:
    made = page(message("a"), message("b"), message("c", session="s2", event="e9"))
    assert sum(tag == "h2" for tag, _ in made.tags) == 2
