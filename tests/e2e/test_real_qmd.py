"""The real QMD does with the pages what the index station expects of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.install import install
from tests.support.events import conversation, message
from tests.support.moon import ROOT, Moon
from tests.support.stores import JsonlStoreBuilder

from moon.projection import place_at, read_head

SEARCH_SECONDS = 60


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    """A recorded store, and one more agent whose name QMD passes over as a folder."""
    programs = install()
    made = Moon(
        tmp_path,
        {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "MOON_QMD__ENABLED": "true",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
        },
    )
    shutil.copytree(ROOT / "tests" / "recorded" / "sqlite", made.state_dir)
    lines = [*conversation("s1", 3), message("late", "the cormorant sits on the pier")]
    JsonlStoreBuilder(made.state_dir, "build").put("agent:build:main", "s1", lines)
    made.ok("archive", "--all")
    return made


def index(moon: Moon) -> dict[str, Any]:
    """Index everything; what became of QMD."""
    outcome: dict[str, Any] = moon.ok("index", "--all").json()["stations"][-1]["qmd"]
    return outcome


def search(moon: Moon, words: str) -> list[dict[str, Any]]:
    """What `qmd search` finds."""
    from moon.programs import run

    argv = [str(install() / "qmd"), "--index", "moon", "search", words, "--json", "-c", "history", "-n", "5"]
    done = run(argv, timeout=SEARCH_SECONDS, env=moon.env)
    assert done.code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def page_of(moon: Moon, hit: dict[str, Any]) -> Path:
    """The page that a hit names."""
    relative = hit["file"].removeprefix("qmd://history/").partition("?")[0]
    return moon.home.markdown / relative


def test_every_page_is_in_the_collection_and_a_hit_leads_to_its_event(moon: Moon) -> None:
    pages = len(moon.ledger())
    assert index(moon) == {"outcome": "done", "files": pages, "changed": pages}
    assert index(moon) == {"outcome": "nothing", "reason": "no page is new"}
    hit = search(moon, "cormorant")[0]
    lines = page_of(moon, hit).read_text().splitlines()
    place = place_at(lines, hit["line"])
    assert place is not None and place.event_id == "late"
    assert read_head(lines)["session_key"] == "agent:build:main"


def test_its_index_is_for_its_owner_only(moon: Moon, tmp_path: Path) -> None:
    index(moon)
    files = [path for path in (tmp_path / "cache" / "qmd").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path


def one_more(moon: Moon) -> None:
    """One more message, archived: one more page to be."""
    lines = [*conversation("s1", 3), message("late", "the cormorant sits on the pier"), message("x", "a dipper dives")]
    JsonlStoreBuilder(moon.state_dir, "build").write("s1", lines)
    moon.ok("archive", "--all")


def test_only_new_pages_are_read_again(moon: Moon) -> None:
    before = index(moon)["files"]
    one_more(moon)
    assert index(moon) == {"outcome": "done", "files": before + 1, "changed": 1}
    assert search(moon, "dipper")


def test_a_damaged_index_fails_that_step_until_it_is_gone(moon: Moon, tmp_path: Path) -> None:
    index(moon)
    one_more(moon)
    database = tmp_path / "cache" / "qmd" / "moon.sqlite"
    for beside in database.parent.glob("moon.sqlite-*"):
        beside.unlink()
    database.write_bytes(b"rubbish" * 3000)
    outcome = index(moon)
    assert outcome["outcome"] == "failed" and "not a database" in outcome["reason"]
    database.unlink()
    assert index(moon)["files"] == len(moon.ledger())


def test_an_index_that_is_gone_is_filled_again_though_no_page_is_new(moon: Moon, tmp_path: Path) -> None:
    index(moon)
    for file in (tmp_path / "cache" / "qmd").glob("moon.sqlite*"):
        file.unlink()
    assert index(moon)["files"] == len(moon.ledger())
    assert search(moon, "cormorant")


def test_a_home_that_moved_takes_its_collection_along(moon: Moon, tmp_path: Path) -> None:
    index(moon)
    elsewhere = tmp_path / "moved"
    moon.home.root.rename(elsewhere)
    moon.extra["MOON_HOME"] = str(elsewhere)
    outcome = index(moon)
    assert outcome["outcome"] == "done"
    assert search(moon, "cormorant")


def test_a_second_home_does_not_take_the_collection(moon: Moon, tmp_path: Path) -> None:
    index(moon)
    moon.extra["MOON_HOME"] = str(tmp_path / "second")
    moon.ok("archive", "--all")
    assert "belongs to" in index(moon)["reason"]
