"""From a result to the page of its conversation: the command that is told makes it, and says the link to that turn."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from tests.support.events import conversation
from tests.support.moon import ROOT, Moon
from tests.support.stores import SqliteStoreBuilder

from moon.html_text import anchor

KEY = "agent:main:it's $HOME"


@pytest.fixture
def moon(tmp_path):
    made = Moon(tmp_path)
    SqliteStoreBuilder(made.state_dir).put(KEY, "s1", conversation("s1", 5))
    made.ok("snapshot")
    return made


def write(moon, *arguments):
    return moon.run("recall", "--session", KEY, "--format", "html", "--output", *arguments)


def test_the_command_of_a_result_makes_the_page_and_names_the_turn(moon, tmp_path):
    result = moon.ok("recall", "question 3", "--json").json()["results"][0]
    done = subprocess.run(
        result["page"].replace("moon-recall", shlex.quote(str(ROOT / "bin" / "moon-recall")), 1),
        shell=True,
        cwd=tmp_path,
        env={**moon.env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    place = anchor(result["event_id"])
    assert done.stdout == f"{(tmp_path / 'page.html').as_uri()}#{place}\n"
    assert f' id="{place}"' in (tmp_path / "page.html").read_text()


def test_only_a_page_of_moon_is_written_over(moon, tmp_path):
    page = tmp_path / "page.html"
    assert write(moon, str(page)).code == 0
    assert write(moon, str(page)).code == 0
    page.write_text("something of the user's")
    done = write(moon, str(page))
    assert done.code == 2 and "no page of Moon" in done.stderr
    assert page.read_text() == "something of the user's"
    assert write(moon, str(tmp_path / "none" / "page.html")).code == 2


def test_an_event_that_is_not_there_is_said(moon, tmp_path):
    done = write(moon, f"{tmp_path / 'page.html'}#nothing")
    assert done.code == 3 and "no event nothing" in done.stderr


def test_output_without_a_page_to_write_is_wrong_usage(moon):
    assert moon.run("recall", "question", "--output", "x.html").code == 2
