"""A MOON_HOME that an earlier Moon made is read, verified, joined, searched and restored like one of today."""

from __future__ import annotations

import shutil

import pytest
from tests.support.moon import ROOT, Moon
from tests.support.stores import JsonlStoreBuilder

from moon.vault import segments
from moon.vault.places import locate_line

RECORDED = ROOT / "tests" / "recorded" / "home-0.1"
SESSIONS = ("s1", "s2")


@pytest.fixture(params=["with its index", "without its index"])
def moon(tmp_path, request):
    """The recorded home, and a store that holds the same transcripts still."""
    made = Moon(tmp_path, extra={"TZ": "UTC", "MOON_TIMEZONE": "UTC", "MOON_NOW": "2026-11-23T08:00:00.000Z"})
    shutil.copytree(RECORDED, made.home.root)
    shutil.rmtree(made.home.root / "expected")
    if request.param == "without its index":
        shutil.rmtree(made.home.index)
    store = JsonlStoreBuilder(made.state_dir)
    for session in SESSIONS:
        store.put(f"agent:main:{session}", session, expected(session).splitlines())
    return made


def expected(session: str) -> bytes:
    return (RECORDED / "expected" / f"{session}.jsonl").read_bytes()


def restored(moon: Moon, session: str) -> bytes:
    return moon.ok("archive", "--restore", session, "--to", "-").stdout


def test_it_is_verified_restored_and_nothing_is_archived_again(moon):
    before = moon.home.ledger.read_bytes()
    moon.ok("archive", "--verify")
    assert [restored(moon, session) for session in SESSIONS] == [expected(session) for session in SESSIONS]
    # On the first of its days, so that none is over and nothing is joined.
    entries = moon.ok("archive", "--all", env={"MOON_NOW": "2026-11-20T12:00:00.000Z"}).json()["stations"][0][
        "sessions"
    ]
    assert [(entry["outcome"], entry["archives"]) for entry in entries] == [("nothing", [])] * 2
    assert moon.home.ledger.read_bytes() == before


def test_its_days_are_joined_and_every_old_line_is_found(moon):
    old = {
        (record["archive_path"], number): line
        for record in moon.ledger()
        for number, line in enumerate(segments.lines(moon.home.root / record["archive_path"]), 1)
    }
    report = moon.ok("archive", "--pack", "--json").json()
    assert report["details"][0]["joined"] == 12 and len(report["details"][0]["packs"]) == 4
    assert len(list(moon.home.raw.rglob("*.jsonl*"))) == 4
    moon.ok("archive", "--verify")
    assert [restored(moon, session) for session in SESSIONS] == [expected(session) for session in SESSIONS]
    for (path, number), line in old.items():
        file, place = locate_line(moon.home, path, number)
        assert list(segments.lines(file))[place - 1] == line
    moon.ok("index", "--all")
    assert len(list(moon.home.markdown.rglob("*.md"))) == 4
    assert moon.ok("recall", "saffron shelf", "--json").json()["results"][0]["event_id"] == "s2-long"


def test_its_damage_is_mended(moon):
    record = moon.ledger()[3]
    (moon.home.root / record["archive_path"]).unlink()
    moon.ok("archive", "--repair", "--from", str(RECORDED / "archives"))
    moon.ok("archive", "--verify")
    assert [restored(moon, session) for session in SESSIONS] == [expected(session) for session in SESSIONS]
