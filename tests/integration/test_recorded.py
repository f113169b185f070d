"""The pipe on stores that the real OpenClaw recorded: rebuilt byte for byte, at their stations, found."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.moon import ROOT, Moon

RECORDED = ROOT / "tests" / "recorded"
GENERATIONS = ("sqlite", "jsonl")
# Facts that somebody said once, and a question that uses other words or only some of them.
QUESTIONS = {
    "sqlite": [
        ("which claim number does the insurance use", "TARN-2026-1184"),
        ("drawer of the replacement barometer BMR-3380-C", "drawer 21"),
        ("why was the relay-north change not applied", "maintenance window"),
        ("Hüttenschlüssel WX-09", "Kasten neben der Seilbahn"),
        ("中継局北の鍵", "赤い箱"),
    ],
    "jsonl": [
        ("order number of the two SSDs", "ST-77120"),
        ("what was wrong with migration 0042_rounding", "rollback"),
        ("how often does the warehouse send its stock", "75 minutes"),
        ("stemming for article numbers", "KT-118"),
    ],
}


@pytest.fixture(params=GENERATIONS)
def moon(request: pytest.FixtureRequest, tmp_path: Path) -> Moon:
    """A Moon beside a copy of one recorded store; the copy's clock is the one of the recording."""
    shutil.copytree(RECORDED / request.param, tmp_path / "openclaw")
    return Moon(tmp_path, {"MOON_NOW": "2026-11-22T08:40:00Z", "GENERATION": request.param})


def expected(moon: Moon) -> dict[str, dict[str, Any]]:
    """What an independent reader counted when the store was recorded."""
    agents = json.loads((moon.state_dir / "expected.json").read_bytes())
    return {session_id: facts for sessions in agents.values() for session_id, facts in sessions.items()}


def test_every_recorded_session_can_be_rebuilt_from_the_archives_alone(moon: Moon, tmp_path: Path) -> None:
    wanted = expected(moon)
    moon.ok("archive", "--all")
    shutil.rmtree(moon.state_dir)
    for session_id, facts in wanted.items():
        rebuilt = tmp_path / f"{session_id}.jsonl"
        moon.ok("archive", "--restore", session_id, "--to", str(rebuilt))
        lines = rebuilt.read_bytes()
        assert lines.count(b"\n") == facts["events"]
        assert hashlib.sha256(lines).hexdigest() == facts["sha256"]
    moon.ok("archive", "--verify")


def test_each_session_stands_at_its_station(moon: Moon) -> None:
    rows = moon.ok("sample", "--no-exec", "--json").json()["sessions"]
    due = sorted((round(row["ratio"], 2), row["due"]) for row in rows if (row["ratio"] or 0) >= 0.8)
    assert [stations for _, stations in due] == [
        ["archive", "index"],
        ["archive", "index", "prune"],
        ["archive", "index", "distill", "rollover"],
    ]


def test_the_filter_chain_makes_everything_findable(moon: Moon) -> None:
    store_before = {path: path.read_bytes() for path in moon.state_dir.rglob("*.jsonl")}
    document = moon.ok("archive", "--all", "--json").stdout
    moon.ok("index", "--json", stdin=document)
    for question, fact in QUESTIONS[moon.extra["GENERATION"]]:
        results = moon.ok("recall", question, "--limit", "5").json()["results"]
        found = json.dumps([results], ensure_ascii=False).replace("**", "")
        assert fact in found, question
    assert {path: path.read_bytes() for path in moon.state_dir.rglob("*.jsonl")} == store_before


def test_running_the_pipe_again_adds_nothing(moon: Moon) -> None:
    moon.ok("index", "--json", stdin=moon.ok("archive", "--all", "--json").stdout)
    ledger = moon.home.ledger.read_bytes()
    moon.ok("index", "--json", stdin=moon.ok("archive", "--all", "--json").stdout)
    assert moon.home.ledger.read_bytes() == ledger
