"""Retention, cooling, and the room on the disk: the daily part of the timer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support import events
from tests.support.crash import killed_at
from tests.support.forgetting import LATER, PLAN, SECRET, lived_in, places_of
from tests.support.moon import Moon, archived_events
from tests.support.settings import settings
from tests.support.stores import SqliteStoreBuilder

from moon.cli.daily_keeping import keep_house
from moon.config import Config
from moon.errors import SessionUnknown
from moon.health import health_file
from moon.health.signs import Growth, budget_trouble
from moon.vault import segments
from moon.vault.catalog import Segment, open_catalog
from moon.vault.cooling import cool, is_warm
from moon.vault.restore import find_archived
from moon.vault.retention import Facts, facts_of, plan
from moon.vault.verify import verify

MUCH_LATER = {"MOON_NOW": "2028-12-31T08:00:00.000Z"}
FILE = Segment("main", PLAN, "p1", 1, "a" * 64, Path("x"), 1, 1, False, "2026-01-01T00:00:00.000Z")
NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    return lived_in(tmp_path_factory.mktemp("lived"))


@pytest.fixture
def moon(lived: Moon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moon:
    made = lived.copy(tmp_path / "machine")
    for name, value in {**made.env, **MUCH_LATER}.items():
        monkeypatch.setenv(name, value)
    return made


def configured(**sections: Any) -> Config:
    return settings(qmd={"enabled": False}, timezone="UTC", **sections)


OLD = {"delete": "old", "days": 365, "require_copy": False}


@pytest.mark.parametrize(
    ("asked", "facts", "goes", "kept"),
    [
        ({"delete": "never"}, {}, 0, {}),
        ({}, {}, 1, {}),
        ({"days": 10_000}, {}, 0, {}),
        ({}, {"is_distilled": lambda file: False}, 0, {"not distilled": 1}),
        ({"require_copy": True}, {}, 0, {"no copies are configured": 1}),
        ({"require_copy": True}, {"has_copies": True}, 1, {}),
        ({}, {"has_copies": True, "not_copied": lambda paths: {*paths}}, 0, {"not in every copy": 1}),
    ],
)
def test_what_may_go(asked: dict[str, Any], facts: dict[str, Any], goes: int, kept: dict[str, int]) -> None:
    sure: dict[str, Any] = {"is_distilled": lambda file: True, "not_copied": lambda paths: set(), "has_copies": False}
    wanted = configured(retention={**OLD, **asked}).retention
    found = plan([FILE], wanted, Facts(**{**sure, **facts}), NOW, lambda file: str(file.path))
    assert (len(found.files), dict(found.kept)) == (goes, kept)


def test_by_default_nothing_ever_goes(moon: Moon) -> None:
    before = list(archived_events(moon.home))
    assert keep_house(moon.home, configured()) == []
    assert list(archived_events(moon.home)) == before


def test_old_archives_go_their_memory_stays_and_recall_says_so(moon: Moon) -> None:
    memory = {path: path.read_bytes() for path in moon.home.memory.iterdir()}
    assert keep_house(moon.home, configured(retention=OLD)) == []
    assert list(archived_events(moon.home)) == []
    assert {path: path.read_bytes() for path in moon.home.memory.iterdir()} == memory
    assert list(moon.home.distillations.glob("*.json"))
    assert not verify(moon.home).errors
    (line,) = moon.audit("retention")
    assert line["outcome"] == "done"
    with open_catalog(moon.home) as catalog, pytest.raises(SessionUnknown, match="older than 365 days"):
        find_archived(catalog, PLAN)
    told = moon.run("recall", "--session", PLAN)
    assert told.code == 1 and "forgotten on 2028-12-31" in told.stderr
    # OpenClaw still has it all; the tick after does not take it in again.
    moon.ok("archive", "--all", env=MUCH_LATER)
    assert list(archived_events(moon.home)) == []


def test_what_only_the_copies_have_goes_from_them_when_its_conversation_is_forgotten(moon: Moon) -> None:
    nas = moon.folder / "nas"
    nas.mkdir()
    (moon.home.root / "moon.yaml").write_text(f'copies: [{{url: "file://{nas}", encrypt: "off"}}]\n')
    moon.ok("mirror", env=MUCH_LATER)
    shutil.rmtree(moon.state_dir / "agents" / "main")
    SqliteStoreBuilder(moon.state_dir).put("agent:main:new", "n1", events.conversation("n1", 1), used=10)
    copied = {"url": f"file://{nas}", "encrypt": "off"}
    keep_house(moon.home, configured(retention={**OLD, "require_copy": True}, copies=[copied]))
    moon.ok("mirror", env=MUCH_LATER)
    assert not list(archived_events(moon.home, "p1"))
    assert [path for path in places_of(SECRET, nas) if "/archives/" in path]
    moon.ok("forget", PLAN, "--yes", env=MUCH_LATER)
    moon.ok("mirror", env=MUCH_LATER)
    assert list(places_of(SECRET, nas)) == []
    moon.ok("mirror", "--verify", env=MUCH_LATER)
    assert "nothing to forget" in moon.ok("forget", PLAN, "--yes", env=MUCH_LATER).stderr


def test_what_is_not_distilled_stays(moon: Moon) -> None:
    shutil.rmtree(moon.home.distillations)
    before = list(archived_events(moon.home))
    assert keep_house(moon.home, configured(retention=OLD)) == []
    assert list(archived_events(moon.home)) == before


def test_a_damaged_archive_is_named_and_not_let_go(moon: Moon) -> None:
    (first, second) = sorted(moon.home.raw.rglob("*.zst"))
    first.write_bytes(first.read_bytes()[:-9])
    (problem,) = keep_house(moon.home, configured(retention=OLD, archive={"cool_days": 0}))
    assert problem.path == str(first) and first.exists() and not second.exists()


def test_cold_archives_are_packed_tight_once_and_hold_the_same(moon: Moon) -> None:
    before = list(archived_events(moon.home))
    packs = sorted(moon.home.raw.rglob("*.zst"))
    assert packs and all(is_warm(path) for path in packs)
    with open_catalog(moon.home) as catalog:
        assert cool(catalog, "2026-11-20T00:00:00.000Z", 60).files == 0  # nothing is that old
        done = cool(catalog, "2028-01-01T00:00:00.000Z", 60)
        assert (done.files, done.problems) == (len(packs), [])
        assert cool(catalog, "2028-01-01T00:00:00.000Z", 60).files == 0
    assert not any(is_warm(path) for path in packs)
    assert list(archived_events(moon.home)) == before and not verify(moon.home).errors


def test_a_large_plain_archive_becomes_a_pack_of_one(moon: Moon) -> None:
    lines = [*events.conversation("r1", 2), events.message("long", "the pelican counts its steps " * 2_000)]
    SqliteStoreBuilder(moon.state_dir).put("agent:main:long", "r1", lines, used=900)
    moon.ok("snapshot", env=LATER)
    with open_catalog(moon.home) as catalog:
        assert cool(catalog, "2028-01-01T00:00:00.000Z", 60).files == 3
    (path,) = moon.home.raw.rglob("*r1*")
    assert path.suffix == ".zst" and path.stat().st_size < 2_000 and list(segments.lines(path)) == lines
    assert not verify(moon.home).errors
    found = moon.ok("recall", "pelican steps", "--json", env=LATER).json()["results"][0]
    assert found["event_id"] == "long"
    assert moon.ok("recall", "--event", "long", "--json", env=LATER).stdout.strip().startswith(b"{")


def test_cooling_out_of_time_or_with_a_damaged_archive_goes_on_another_day(moon: Moon) -> None:
    (first, second) = sorted(moon.home.raw.rglob("*.zst"))
    whole = first.read_bytes()
    first.write_bytes(whole[:-9])
    with open_catalog(moon.home) as catalog:
        assert cool(catalog, "2028-01-01T00:00:00.000Z", 0).left == 2
        done = cool(catalog, "2028-01-01T00:00:00.000Z", 60)
    assert (done.files, [Path(each.path) for each in done.problems]) == (1, [first])
    assert first.read_bytes() == whole[:-9] and not is_warm(second)


@pytest.mark.parametrize("step", range(0, 12, 2))
def test_cooling_killed_anywhere_leaves_the_archive_whole(moon: Moon, step: int) -> None:
    def run() -> object:
        with open_catalog(moon.home) as catalog:
            return cool(catalog, "2028-01-01T00:00:00.000Z", 60)

    before = list(archived_events(moon.home))
    assert killed_at(step, run)
    assert list(archived_events(moon.home)) == before and not verify(moon.home).errors
    run()
    assert list(archived_events(moon.home)) == before and not verify(moon.home).errors


@pytest.mark.parametrize(
    ("used", "budget", "said"),
    [
        (79, 100, ""),
        (80, 100, "80 B of the 100 B that it may: enough for 4 days"),
        (130, 100, "130 B of the 100 B"),
        (9, 0, ""),
    ],
)
def test_the_budget_warns_before_it_is_used(used: int, budget: int, said: str) -> None:
    words = [each.message for each in budget_trouble(used, budget, Growth(5, None), "/moon")]
    assert [said in each for each in words] == ([True] if said else [])


def test_a_budget_is_told_by_status_verify_and_notify(moon: Moon) -> None:
    told = moon.folder / "told"
    command = ["sh", "-c", f"cat >> {told}"]
    tight = configured(disk={"budget_mb": 1}, notify={"command": command})
    (moon.home.markdown / "ballast.bin").write_bytes(b"x" * (1 << 20))
    keep_house(moon.home, tight)
    assert "that it may" in told.read_text()
    env = {"MOON_DISK__BUDGET_MB": "1", **MUCH_LATER}
    status = json.loads(moon.run("status", "--json", env=env).stdout)
    assert [each["code"] for each in status["problems"] if each["code"] == "disk_budget"] == ["disk_budget"]
    assert status["disk"]["budget_bytes"] == 1 << 20
    (moon.home.markdown / "ballast.bin").unlink()
    keep_house(moon.home, tight)
    assert "disk_budget" not in [each.code for each in health_file.read(moon.home).problems]


def test_what_is_distilled_is_told_by_every_part(moon: Moon) -> None:
    facts = facts_of(moon.home, configured())
    with open_catalog(moon.home) as catalog:
        assert all(facts.is_distilled(file) for file in catalog.segments())
    assert not facts.is_distilled(FILE)
