"""The pages in a real browser: hostile text runs nothing, each turn has a link, keys are enough, all of it fits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.browser import Browser, find_chromium
from tests.support.events import conversation, message, tool_call, tool_result
from tests.support.moon import Moon
from tests.support.stores import SqliteStoreBuilder

KEY = 'agent:main:<img src=x onerror="alert(1)">'
HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(2)"><svg onload="alert(3)"></svg>',
    '"><iframe src="javascript:alert(4)"></iframe>',
    "</details></article></main></body><script>alert(5)</script>",
    '<meta http-equiv="refresh" content="0;url=https://example.org/">',
    '<link rel=stylesheet href="https://example.org/x.css"><base href="https://example.org/">',
    "<style>body{display:none}</style><!-- <plaintext>",
    "javascript:alert(6) \u202egnp.exe \x1b]8;;https://example.org\x07link\x1b]8;;\x07",
    "&lt;script&gt;alert(7)&lt;/script&gt; &#x3c;b&#x3e;",
)
LONG = "x" * 4000
LOOKS = list(itertools.product((1200, 360), (False, True)))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The status page, and beside it the pages of the conversations."""
    moon = Moon(tmp_path_factory.mktemp("pages"))
    store = SqliteStoreBuilder(moon.state_dir)
    told = [message(f"h{number}", text) for number, text in enumerate((*HOSTILE, LONG))]
    calls = [tool_call(f"t{number}", text[:40], {"a": text}) for number, text in enumerate(HOSTILE)]
    results = [tool_result(f"r{number}", text[:40], text) for number, text in enumerate(HOSTILE)]
    store.put(KEY, "s1", [*conversation("s1", 20), *told, *calls, *results], used=45_000)
    moon.run("sample")
    moon.ok("snapshot")
    moon.run("status", "--html", str(moon.folder / "moon.html"))
    return moon.folder


def narrow_words(browser: Browser) -> list[str]:
    """Headings of tables that are broken in the middle of a word."""
    high = (
        "[...document.querySelectorAll('th')].filter(e => e.getBoundingClientRect().height > 80).map(e => e.innerText)"
    )
    found: list[str] = browser.value(high)
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Required, not skipped: CI installs it."""
    if not find_chromium():
        pytest.fail(
            "no Chromium: the pages are tried in it (Debian: apt-get install chromium; macOS: brew install chromium)"
        )
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def conversation_page(pages: Path) -> Path:
    (found,) = (pages / "moon-conversations").glob("*.html")
    return found


def is_unharmed(browser: Browser) -> None:
    assert browser.dialogs == [] and browser.messages == []
    counted = (
        "['script','iframe','img','link','base','object','form'].map(n => document.getElementsByTagName(n).length)"
    )
    assert set(browser.value(counted)) == {0}


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_a_page_with_hostile_text_runs_nothing_and_fits(pages: Path, browser: Browser, width: int, dark: bool) -> None:
    for page in (pages / "moon.html", conversation_page(pages)):
        browser.look(width, dark)
        browser.open(page)
        is_unharmed(browser)
        assert browser.value("document.documentElement.scrollWidth") <= width, "nothing sticks out sideways"
        assert narrow_words(browser) == []
        colour = browser.value("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, colour[4:-1].split(","))) < 200) == dark
        browser.picture(pages / f"{page.stem[:8]}-{width}-{'dark' if dark else 'light'}.png")
    text = browser.value("document.body.innerText")
    assert "<script>alert(1)</script>" in text and "\u202e" not in text and "\x1b" not in text


def test_a_link_leads_to_the_exact_turn(pages: Path, browser: Browser) -> None:
    browser.look(1200, False)
    browser.open(conversation_page(pages), "e-h3")
    target = "document.querySelector(':target')"
    assert "</details></article>" in browser.value(f"{target}.innerText")
    assert 0 <= browser.value(f"{target}.getBoundingClientRect().top") < 900
    assert browser.value(f"getComputedStyle({target}).outlineStyle") == "solid"


def test_keys_alone_lead_from_the_status_to_a_turn_and_open_a_tool_call(pages: Path, browser: Browser) -> None:
    browser.look(1200, False)
    browser.open(pages / "moon.html")
    browser.press("Tab")
    assert browser.value("document.activeElement.tagName") == "A"
    assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is seen"
    browser.press("Enter")
    for _ in range(100):
        if "conversations" in browser.value("location.pathname"):
            break
    assert "conversations" in browser.value("location.pathname")
    for _ in range(400):
        browser.press("Tab")
        if browser.value("document.activeElement.tagName") == "SUMMARY":
            break
    assert browser.value("document.activeElement.parentElement.open") is False, "work of tools is folded"
    browser.press("Enter")
    assert browser.value("document.activeElement.parentElement.open") is True
    is_unharmed(browser)
