"""A chat that is archived every quarter of an hour is remembered by the day: a record and a block, however it grows."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest
from tests.support.moon import ROOT, Moon, files_below
from tests.support.quiet_chat import archive_quiet_chat
from tests.support.stores import JsonlStoreBuilder

from moon.distill.standing_rules import rules_in, standing_file
from moon.distillations import read_record
from moon.rollover.map_sources import distillations_of, segments_of_window
from moon.vault.catalog import open_catalog

RECORDED = ROOT / "tests" / "recorded" / "home-0.1"
KEY = "agent:main:s1"


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    return Moon(tmp_path, extra={"TZ": "UTC", "MOON_TIMEZONE": "UTC", "MOON_DISTILL__PROVIDERS": "local"})


def blocks(moon: Moon) -> dict[str, list[str]]:
    """Memory file → the names of the records whose blocks it holds, in order."""
    found = {}
    for path in sorted(moon.home.memory.glob("2*.md")):
        lines = path.read_text().splitlines()
        found[path.stem] = [line.split()[2] for line in lines if line.startswith("<!-- moon:begin")]
    return found


def records(moon: Moon) -> dict[str, bytes]:
    return files_below(moon.home.distillations)


def outcome(moon: Moon, *arguments: str) -> str:
    entries = moon.ok("distill", *arguments).json()["stations"][0]["sessions"]
    return str(entries[0]["outcome"])


def test_a_month_of_a_quiet_chat_is_a_record_and_a_block_a_day(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(30), 20)
    moon.ok("distill", "--all")
    made = [read_record(moon.home, name) for name in hashes[::20]]
    assert len(records(moon)) == 30
    assert [record and record["archives"] for record in made] == [hashes[at : at + 20] for at in range(0, 600, 20)]
    assert list(blocks(moon).values()) == [[name] for name in hashes[::20]]
    before = {**records(moon), **files_below(moon.home.memory)}
    # With nothing new no archive is read: there is none that could be.
    moon.home.raw.rename(moon.home.raw.with_name("elsewhere"))
    assert outcome(moon, "--all") == "nothing"
    assert {**records(moon), **files_below(moon.home.memory)} == before


def test_rules_are_gathered_in_one_file_with_their_day(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(2), 2)
    moon.ok("distill", "--all")
    path = standing_file(moon.home.memory)
    rules = rules_in(path.read_bytes())
    assert [rule.record for rule in rules] == [hashes[0][:12]] * 2 + [hashes[2][:12]] * 2
    assert [rule.text in (moon.home.memory / f"{rule.day}.md").read_text() for rule in rules] == [True] * 4
    before = path.read_bytes()
    moon.ok("distill", "--all", "--provider", "local")
    assert path.read_bytes() == before


def test_a_day_that_grows_keeps_one_record_and_one_block(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(1), 3)
    moon.ok("distill", "--all")
    note = "\nMy own words.\n"
    path = moon.home.memory / "2025-11-20.md"
    path.write_text(path.read_text() + note)
    later = datetime(2025, 11, 20, 12, tzinfo=timezone.utc)
    hashes += archive_quiet_chat(moon.home, range(2), 2, first=later)
    moon.ok("distill", "--all")
    assert sorted(blocks(moon).items()) == [("2025-11-20", [hashes[0]]), ("2025-11-21", [hashes[5]])]
    record = read_record(moon.home, hashes[0])
    assert record and record["archives"] == hashes[:5] and record["events"] == 5
    assert "4 more of that day" in path.read_text() and path.read_text().endswith(note)


def test_a_joined_day_is_done_and_every_old_hash_leads_to_it(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(2), 4)
    moon.ok("distill", "--all")
    before = records(moon)
    moon.ok("archive", "--pack")
    assert outcome(moon, "--all") == "nothing"
    assert outcome(moon, "--archive", hashes[2]) == "nothing"
    (moon.home.distillations / f"{hashes[0]}.json").unlink()
    assert outcome(moon, "--archive", hashes[2]) == "done"
    made = json.loads(records(moon)[f"{hashes[0]}.json"])
    assert made["archives"] == json.loads(before[f"{hashes[0]}.json"])["archives"] == hashes[:4]
    assert [len(names) for names in blocks(moon).values()] == [1, 1]


def test_a_day_of_which_some_was_distilled_alone_takes_in_the_rest(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(1), 2)
    moon.ok("distill", "--all")
    path = moon.home.distillations / f"{hashes[0]}.json"
    old = json.loads(path.read_text())
    for sha in hashes:
        kept = {name: value for name, value in old.items() if name != "archives"}
        path.with_name(f"{sha}.json").write_text(json.dumps({**kept, "archive_sha256": sha}))
    later = datetime(2025, 11, 20, 12, tzinfo=timezone.utc)
    hashes += archive_quiet_chat(moon.home, range(1), 2, first=later)
    moon.ok("archive", "--pack")
    moon.ok("distill", "--all")
    assert sorted(records(moon)) == sorted(f"{sha}.json" for sha in hashes[:3])
    record = read_record(moon.home, hashes[2])
    assert record and (record["archives"], record["events"]) == (hashes[2:], 2)


def test_a_block_moves_with_the_end_of_its_day(moon: Moon) -> None:
    """What was archived behind midnight was said before it, and then the day went on."""
    store = JsonlStoreBuilder(moon.state_dir)

    def said(number: int, when: str) -> bytes:
        message = {"role": "user", "content": f"Never delete the folder /srv/{number}."}
        line = {"type": "message", "id": f"e{number}", "parentId": None, "timestamp": when, "message": message}
        return json.dumps(line).encode()

    lines = [said(1, "2026-11-20T23:50:00.000Z")]
    store.put(KEY, "s1", lines)
    moon.ok("archive", "--all", env={"MOON_NOW": "2026-11-21T00:10:00.000Z"})
    moon.ok("distill", "--all")
    assert list(blocks(moon)) == ["2026-11-20"]
    lines.append(said(2, "2026-11-21T00:30:00.000Z"))
    store.put(KEY, "s1", lines)
    moon.ok("archive", "--all", env={"MOON_NOW": "2026-11-21T00:50:00.000Z"})
    moon.ok("distill", "--all")
    assert {day: len(names) for day, names in blocks(moon).items()} == {"2026-11-20": 0, "2026-11-21": 1}
    for day, sessions in (("2026-11-20", 0), ("2026-11-21", 1)):
        assert len(moon.ok("distill", "--date", day, "--dry-run").json()["usage"]["sessions"]) == sessions


def test_damage_to_what_is_distilled_already_costs_no_memory(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(1), 2)
    moon.ok("distill", "--all")
    before = records(moon)
    later = datetime(2025, 11, 20, 12, tzinfo=timezone.utc)
    hashes += archive_quiet_chat(moon.home, range(1), 2, first=later)
    broken = moon.home.root / moon.ledger()[1]["archive_path"]
    broken.unlink()
    done = moon.run("distill", "--all")
    assert done.code == 1 and str(broken) in done.stderr
    apart = read_record(moon.home, hashes[2])
    assert apart and apart["archives"] == hashes[2:]
    assert records(moon)[f"{hashes[0]}.json"] == before[f"{hashes[0]}.json"]
    assert outcome(moon, "--all") == "nothing"


@pytest.mark.parametrize("joined", [False, True])
def test_the_records_of_an_earlier_moon_count_as_done(moon: Moon, joined: bool) -> None:
    shutil.copytree(RECORDED, moon.home.root)
    shutil.rmtree(moon.home.root / "expected")
    before = records(moon)
    if joined:
        moon.ok("archive", "--pack")
    assert outcome(moon, "--all") == "nothing"
    assert records(moon) == before and not list(moon.home.memory.glob("*"))
    with open_catalog(moon.home) as catalog:
        found = segments_of_window(catalog, "main", "agent:main:s1", "s1")
        own = [line["sha256"] for line in moon.ledger() if line["session_id"] == "s1" and line["kind"] == "archive"]
        assert [each["archive_sha256"] for each in distillations_of(moon.home, found)] == own


def test_a_map_takes_each_day_of_the_window_once(moon: Moon) -> None:
    hashes = archive_quiet_chat(moon.home, range(2), 3)
    moon.ok("distill", "--all")
    with open_catalog(moon.home) as catalog:
        found = segments_of_window(catalog, "main", KEY, "s1")
    assert [each["archive_sha256"] for each in distillations_of(moon.home, found)] == [hashes[0], hashes[3]]
