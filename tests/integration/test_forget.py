"""moon-forget: afterwards nothing that Moon keeps holds the words, and everything that it promises still holds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support import events
from tests.support.crash import killed_at
from tests.support.forgetting import LATER, PLAN, SECRET, lived_in, places_of, said
from tests.support.moon import Moon, archived_events
from tests.support.stores import SqliteStoreBuilder

from moon import schema
from moon.cli import forget
from moon.cli.run_tool import run_tool
from moon.clock import now_ms
from moon.forget.request import is_due, read_note
from moon.rollover.rollover_journal import Journal, write_journal
from moon.vault.ledger import Ledger
from moon.vault.verify import verify


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    return lived_in(tmp_path_factory.mktemp("lived"))


@pytest.fixture
def moon(lived: Moon, tmp_path: Path) -> Moon:
    return lived.copy(tmp_path / "machine")


def sound(moon: Moon) -> None:
    assert [each.message for each in verify(moon.home).errors] == []
    repaired = moon.ok("archive", "--repair", env=LATER)
    assert "nothing to mend" in repaired.stderr, repaired.stderr
    moon.ok("archive", "--verify", env=LATER)


def test_a_conversation_is_nowhere_any_more(moon: Moon) -> None:
    before = set(places_of(SECRET, moon.home.root))
    assert {part.split("/")[0] for part in before} >= {"archives", "index", "distillations", "memory"}
    kept = list(archived_events(moon.home, "q1"))
    done = moon.ok("forget", PLAN, "--yes", "--json", env=LATER).json()
    assert done["ok"] and done["sessions"][0]["whole"] and done["openclaw"][0]["events"] > 0
    assert list(places_of(SECRET, moon.home.root)) == []
    assert list(archived_events(moon.home, "p1")) == []
    assert list(archived_events(moon.home, "q1")) == kept
    sound(moon)
    assert moon.ok("recall", "red kite drawer", "--json", env=LATER).json()["results"]
    assert not moon.ok("recall", SECRET, "--json", env=LATER).json()["results"]


def test_it_does_not_come_back_from_openclaw_and_the_conversation_goes_on(moon: Moon) -> None:
    moon.ok("forget", PLAN, "--yes", env=LATER)
    moon.ok("archive", "--all", env=LATER)
    moon.ok("archive", "--session", PLAN, env=LATER)
    shutil.rmtree(moon.home.index)
    moon.ok("archive", "--all", env=LATER)
    moon.ok("index", "--all", env=LATER)
    assert list(archived_events(moon.home, "p1")) == []
    assert list(places_of(SECRET, moon.home.root)) == []
    new = events.message("fresh", "A new morning with marmalade.", when="2026-11-29T09:00:00.000Z")
    SqliteStoreBuilder(moon.state_dir).put(PLAN, "p1", [*said("p1", 6, SECRET), new], used=900)
    moon.ok("archive", "--all", env={"MOON_NOW": "2026-11-29T10:00:00.000Z"})
    assert list(archived_events(moon.home, "p1")) == [new]
    sound(moon)


def test_twice_is_nothing(moon: Moon) -> None:
    moon.ok("forget", PLAN, "--yes", env=LATER)
    before = moon.home.ledger.read_bytes()
    again = moon.ok("forget", PLAN, "--yes", "--json", env=LATER).json()
    assert (again["outcome"], again["changed"]) == ("nothing to forget", False)
    assert moon.home.ledger.read_bytes() == before


def test_a_dry_run_says_what_would_go_and_changes_nothing(moon: Moon) -> None:
    before = {path: path.read_bytes() for path in moon.home.archives.rglob("*") if path.is_file()}
    told = moon.ok("forget", PLAN, "--dry-run", "--json", env=LATER).json()
    assert {each["place"] for each in told["places"]} == {"archives", "index", "pages", "distillations", "memory"}
    assert told["dry_run"] and not told["changed"]
    assert {path: path.read_bytes() for path in moon.home.archives.rglob("*") if path.is_file()} == before
    refused = moon.run("forget", PLAN, env=LATER)
    assert refused.code == 2 and "--yes" in refused.stderr


def test_a_text_goes_without_the_conversation(moon: Moon) -> None:
    before = list(archived_events(moon.home, "p1"))
    done = moon.ok("forget", "--match", SECRET.upper(), "--yes", "--json", env=LATER).json()
    assert done["events"] == sum(SECRET.encode() in line for line in before) > 0
    assert done["left"] == []
    assert list(archived_events(moon.home, "p1")) == [line for line in before if SECRET.encode() not in line]
    assert list(places_of(SECRET, moon.home.root)) == []
    sound(moon)
    moon.ok("archive", "--session", PLAN, env=LATER)
    assert list(places_of(SECRET, moon.home.root)) == []
    # What was distilled with it is distilled again without it.
    (owed,) = json.loads(moon.home.state_file.read_bytes())["owed"]
    assert (owed["session_id"], owed["stations"]) == ("p1", ["distill"])


class Forgetter:
    """Forgets in this process."""

    def __init__(self, moon: Moon, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.moon = moon
        self.capfd = capfd
        for name, value in {**moon.env, **LATER}.items():
            monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str) -> tuple[int, Any]:
        """(exit code, the document)."""
        self.capfd.readouterr()
        code = run_tool("moon-forget", forget.main, [*arguments, "--yes", "--json"])
        return code, json.loads(self.capfd.readouterr().out)

    def is_gone(self) -> bool:
        """Is the secret nowhere?"""
        return list(places_of(SECRET, self.moon.home.root)) == []


@pytest.fixture
def forgetter(moon: Moon, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Forgetter:
    return Forgetter(moon, monkeypatch, capfd)


def note(moon: Moon, **asked: Any) -> None:
    request = {"asked_at": LATER["MOON_NOW"], "sessions": [], "agent": "", "before": "", "match": "", "reason": ""}
    document = {"schema": "moon.forgetting/1", **request, "attempts": 1, **asked}
    schema.write("forgetting", document, moon.home.state / "forget.json")


def test_a_tick_finishes_what_was_cut_short(moon: Moon) -> None:
    note(moon, match=SECRET)
    moon.ok("sample", env=LATER)
    assert list(places_of(SECRET, moon.home.root)) == []
    assert not (moon.home.state / "forget.json").exists()


@pytest.mark.parametrize("step", range(3, 60, 11))
def test_killed_anywhere_the_next_run_finishes_it(forgetter: Forgetter, step: int) -> None:
    assert killed_at(step, lambda: forget.main(["--match", SECRET, "--yes"]))
    noted = (forgetter.moon.home.state / "forget.json").exists()
    assert (forget.main(["--resume"]) if noted else forgetter("--match", SECRET)[0]) == 0
    assert forgetter.is_gone() and not verify(forgetter.moon.home).errors


def test_it_waits_for_a_rollover_that_is_under_way(forgetter: Forgetter) -> None:
    home = forgetter.moon.home
    write_journal(home, Journal("r1", "main", PLAN, "p1", "p1-a3", "reset"))
    code, document = forgetter(PLAN)
    assert (code, document["errors"][0]["code"]) == (1, "rollover_under_way")
    # A request that was cut short before it began does not keep the ticks from finishing that rollover.
    note(forgetter.moon, sessions=[PLAN])
    for attempt in (2, 3):
        assert run_tool("moon-forget", forget.main, ["--resume"]) == 1
        request = read_note(home)
        os.utime(home.state / "forget.json", (now_ms() / 1000,) * 2)
        assert request is not None and request.attempts == attempt and is_due(home, request) == (attempt < 3)
    home.rollover_journal("main", PLAN).unlink()
    assert forgetter("--match", "red kite")[0] == 0
    assert forgetter.is_gone() and not (home.state / "forget.json").exists()


@pytest.mark.parametrize("how", ["damaged", "of another version", "gone"])
def test_an_index_that_cannot_be_used_is_made_anew(forgetter: Forgetter, how: str) -> None:
    index = forgetter.moon.home.text_index
    if how == "damaged":
        data = bytearray(index.read_bytes())
        data[len(data) // 2 :] = b"\0" * (len(data) - len(data) // 2)
        index.write_bytes(data)
    elif how == "gone":
        index.unlink()
    else:
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 4")
    assert forgetter("--match", SECRET)[0] == 0
    assert forgetter.is_gone()
    assert how == "gone" or forgetter.moon.ok("recall", "red kite", "--json").json()["results"]


def test_a_damaged_archive_is_named_and_goes_where_all_of_it_is_to_go(forgetter: Forgetter) -> None:
    (record,) = [each for each in Ledger(forgetter.moon.home.ledger).archives() if each["session_id"] == "p1"]
    path = forgetter.moon.home.root / record["archive_path"]
    path.write_bytes(path.read_bytes()[:-20])
    code, document = forgetter("--match", SECRET)
    assert code == 3 and path.name in document["errors"][0]["message"] and path.exists()
    code, document = forgetter(PLAN)
    assert (code, document["errors"]) == (0, []) and not path.exists() and forgetter.is_gone()
    assert not verify(forgetter.moon.home).errors


def test_a_qmd_that_does_not_answer_is_named(forgetter: Forgetter) -> None:
    cache = forgetter.moon.folder / ".cache" / "qmd"
    cache.mkdir(parents=True)
    (cache / "moon.sqlite").write_text(SECRET)
    code, document = forgetter(PLAN)
    assert (code, document["errors"][0]["code"]) == (3, "qmd_keeps")
    assert document["errors"][0]["path"] == str(cache / "moon.sqlite") and forgetter.is_gone()


def test_without_openclaw_the_archive_forgets_all_the_same(forgetter: Forgetter) -> None:
    shutil.rmtree(forgetter.moon.state_dir)
    code, document = forgetter(PLAN)
    assert (code, document["errors"][0]["code"]) == (3, "store_absent") and forgetter.is_gone()


def test_a_map_goes_also_where_it_opened_another_session(forgetter: Forgetter) -> None:
    moon = forgetter.moon
    said_in_map = events.message("m1", f"# Continuity map r1\n\nKeep {SECRET} in mind.")
    child = [*events.conversation("c1", 1), said_in_map]
    SqliteStoreBuilder(moon.state_dir).put("agent:main:child", "c1", child, used=900)
    moon.ok("archive", "--session", "agent:main:child", env=LATER)
    lists = dict.fromkeys(("summary", "decisions", "milestones", "open_tasks", "identifiers", "recall_hints"), [])
    document = {"schema": "moon.continuity/1", "rollover_id": "r1", "agent": "main", "session_key": PLAN, **lists}
    document |= {"from_session_id": "p1", "created_at": LATER["MOON_NOW"], "archives": [], "memory_files": []}
    schema.write("continuity", {**document, "rules": [f"keep {SECRET}"]}, moon.home.continuity / "r1.json")
    link = {"schema": "moon.archive/1", "kind": "link", "agent": "main", "session_key": PLAN, "from_session_id": "p1"}
    link |= {"to_session_id": "c1", "to_session_key": "agent:main:child", "boundary_event_id": "p1-a3"}
    link |= {"continuity_path": "continuity/r1.json", "rollover_id": "r1", "linked_at": LATER["MOON_NOW"]}
    Ledger(moon.home.ledger).append(link)  # type: ignore[arg-type]
    code, done = forgetter(PLAN)
    assert code == 0 and {each["session_id"]: each["whole"] for each in done["sessions"]} == {"p1": True, "c1": False}
    assert forgetter.is_gone() and not list(moon.home.continuity.iterdir())
    assert list(archived_events(moon.home, "c1")) == child[:-1]


def test_a_damaged_tombstone_brings_nothing_back(forgetter: Forgetter) -> None:
    copy = shutil.copytree(forgetter.moon.home.archives, forgetter.moon.folder / "copy")
    assert forgetter(PLAN)[0] == 0
    home = forgetter.moon.home
    lines = home.ledger.read_bytes().splitlines(keepends=True)
    home.ledger.write_bytes(
        b"".join(line.replace(b"forgotten", b"forgotton", 1) if b'"forgotten"' in line else line for line in lines)
    )
    forgetter.moon.run("archive", "--all")
    forgetter.moon.run("archive", "--repair", "--from", str(copy))
    assert forgetter.is_gone()
    assert verify(home).errors == []


def test_before_a_date(moon: Moon) -> None:
    before = list(archived_events(moon.home, "p1"))
    done = moon.ok("forget", "--before", "2026-11-29", "--agent", "main", "--yes", "--json", env=LATER).json()
    assert done["events"] == 2 * len(before)
    assert list(places_of(SECRET, moon.home.root)) == []
    sound(moon)
    assert schema.parse("forget", json.dumps(done))


def test_a_clock_that_was_set_back_keeps_nothing(forgetter: Forgetter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOON_NOW", "2020-01-01T00:00:00.000Z")
    code, done = forgetter(PLAN)
    assert code == 0 and done["events"] == 10
    assert forgetter.is_gone()
    sound(forgetter.moon)


def test_a_clock_that_was_ahead_keeps_nothing_out_that_is_said_later(moon: Moon) -> None:
    moon.ok("forget", PLAN, "--yes", env={"MOON_NOW": "2036-01-01T00:00:00.000Z"})
    new = events.message("fresh", "A new morning with marmalade.", when="2026-11-29T09:00:00.000Z")
    SqliteStoreBuilder(moon.state_dir).put(PLAN, "p1", [*said("p1", 4, SECRET), new], used=900)
    moon.ok("archive", "--all", env={"MOON_NOW": "2026-11-29T10:00:00.000Z"})
    assert list(archived_events(moon.home, "p1")) == [new]
    sound(moon)


def test_a_text_is_found_behind_a_name_that_stands_twice(moon: Moon) -> None:
    line = events.message("twice", "x").replace(b'"x"', b'"zephyrcastle9912","text":"x"')
    SqliteStoreBuilder(moon.state_dir).put("agent:main:two", "t1", [line], used=900)
    moon.ok("archive", "--all", env=LATER)
    assert list(places_of("zephyrcastle9912", moon.home.root))
    moon.ok("forget", "--match", "zephyrcastle9912", "--yes", env=LATER)
    assert list(places_of("zephyrcastle9912", moon.home.root)) == []
