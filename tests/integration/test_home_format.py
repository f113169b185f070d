"""Old and new Moon on one MOON_HOME: who comes from before what is there refuses it by name, and changes nothing."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.support.events import conversation
from tests.support.moon import ROOT, Moon
from tests.support.stores import SqliteStoreBuilder

from moon.cli.launch import TOOLS
from moon.home_format import FORMAT, format_of
from moon.paths import Home

KEY = "agent:main:main"


@pytest.fixture
def moon(tmp_path):
    made = Moon(tmp_path)
    SqliteStoreBuilder(made.state_dir).put(KEY, "s1", conversation("s1", 3))
    return made


def of_a_newer_moon(home: Home) -> None:
    document = {"schema": f"moon.home/{FORMAT + 1}", "moon": "9.8.7"}
    home.format_file.write_text(json.dumps(document))


@pytest.mark.parametrize("tool", TOOLS)
def test_every_command_refuses_the_home_of_a_newer_moon(tool, moon, tmp_path):
    moon.home.root.mkdir(mode=0o700)
    of_a_newer_moon(moon.home)
    done = moon.run(tool)
    assert done.code == 78, done.stderr
    said = done.stderr
    assert f"format {FORMAT + 1}" in said and "9.8.7" in said and "update this Moon" in said
    assert [each.name for each in moon.home.root.iterdir()] == ["format.json"], "nothing was changed"


def test_asked_for_itself_a_command_answers_all_the_same(moon):
    moon.home.root.mkdir(mode=0o700)
    of_a_newer_moon(moon.home)
    assert moon.run("recall", "--version").code == 0


def test_a_home_is_marked_by_what_writes_and_not_by_what_reads(moon):
    moon.ok("sample", "--no-exec")
    moon.run("status")
    assert not moon.home.format_file.exists()
    moon.ok("snapshot")
    assert format_of(moon.home) == FORMAT


def test_the_home_of_an_earlier_moon_is_brought_up_to_date(moon):
    shutil.copytree(ROOT / "tests" / "recorded" / "home-0.1", moon.home.root)
    shutil.rmtree(moon.home.root / "expected")
    moon.home.state.mkdir(exist_ok=True)
    assert format_of(moon.home) == 1
    assert b"from format 1 to 2" in moon.run("post-upgrade").stdout
    assert format_of(moon.home) == FORMAT
    assert b"home: format 2" in moon.run("post-upgrade").stdout


def test_the_state_of_an_earlier_moon_is_read_and_that_of_today_refused_by_it(moon):
    moon.ok("sample")
    text = moon.home.state_file.read_text()
    assert '"moon.state/2"' in text, "which the first Moon, that knows no format.json, refuses: it reads moon.state/1"
    moon.home.state_file.write_text(text.replace("moon.state/2", "moon.state/1"))
    moon.ok("sample")
    assert '"moon.state/2"' in moon.home.state_file.read_text()


def test_a_mark_that_cannot_be_read_is_made_anew(moon):
    moon.ok("snapshot")
    moon.home.format_file.write_text("half a li")
    moon.ok("snapshot")
    assert format_of(moon.home) == FORMAT
