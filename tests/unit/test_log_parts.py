"""Logs are bounded, and lose nothing but their oldest part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.moon import ROOT

from moon import audit
from moon.cli import sample
from moon.files import append_line
from moon.log_parts import part, parts, set_aside_when_full
from moon.paths import Home, launchd_log
from moon.status.status_facts import audit_tail


def test_one_that_is_not_full_or_not_there_stays(tmp_path):
    path = tmp_path / "log"
    assert not set_aside_when_full(path, 1, 3) and parts(path) == []
    path.write_bytes(b"x" * 99)
    assert not set_aside_when_full(path, 100, 3)
    assert parts(path) == [path]


def test_the_oldest_part_goes_and_all_others_stay_as_they_are(tmp_path):
    path = tmp_path / "log"
    for number in range(6):
        path.write_text(f"{number}\n")
        assert set_aside_when_full(path, 2, 3)
    assert [each.read_text() for each in parts(path)] == ["3\n", "4\n", "5\n"]
    (tmp_path / "log.bak").write_text("not a part")
    append_line(path, b"6")
    assert [each.name for each in parts(path)] == ["log.3", "log.2", "log.1", "log"]


def test_a_gap_that_a_crash_left_is_no_harm(tmp_path):
    path = tmp_path / "log"
    for number, name in enumerate(("log.3", "log.1", "log")):
        (tmp_path / name).write_text(f"{number}\n")
    assert set_aside_when_full(path, 1, 3)
    assert [(each.name, each.read_text()) for each in parts(path)] == [
        ("log.3", "0\n"),
        ("log.2", "1\n"),
        ("log.1", "2\n"),
    ]


def test_writers_at_once_lose_no_line(tmp_path):
    """Each part takes two lines, so that the writers set parts aside all the time."""
    program = (
        "import sys; from pathlib import Path\n"
        "from moon.files import append_line; from moon.log_parts import set_aside_when_full\n"
        "for number in range(100):\n"
        "    set_aside_when_full(Path(sys.argv[1]), 12, 1000)\n"
        "    append_line(Path(sys.argv[1]), f'{sys.argv[2]}{number:04}'.encode(), durable=False)"
    )
    path = tmp_path / "log"
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), letter], env=env) for letter in "abc"]
    assert [each.wait(120) for each in writers] == [0, 0, 0]
    lines = [line for each in parts(path) for line in each.read_text().splitlines()]
    assert sorted(lines) == [f"{letter}{number:04}" for letter in "abc" for number in range(100)]
    assert part(path, 20).exists()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "PART_BYTES", 2_000)
    return Home(tmp_path / "moon")


def test_the_audit_log_is_bounded_and_private(home):
    for number in range(100):
        audit.record(home, "archive", "done", session_key=f"agent:main:k{number}")
    found = parts(home.audit_log)
    assert len(found) == audit.PARTS_KEPT + 1
    assert all(each.stat().st_size < 2_400 and each.stat().st_mode & 0o777 == 0o600 for each in found)
    lines = [json.loads(line) for each in found for line in each.read_bytes().splitlines()]
    kept = [int(each["session_key"].removeprefix("agent:main:k")) for each in lines]
    assert kept == list(range(100 - len(kept), 100)), "in order, and none but the oldest are gone"


def test_the_last_actions_are_seen_across_two_parts(home):
    for number in range(14):
        audit.record(home, "archive", "done", session_key=f"k{number}")
    assert len(parts(home.audit_log)) == 2
    assert [json.loads(line)["session_key"] for line in audit_tail(home.audit_log).splitlines()] == [
        f"k{number}" for number in range(14)
    ]


def test_what_launchd_writes_down_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    log = launchd_log(tmp_path)
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * sample.LAUNCHD_LOG_BYTES)
    sample.bound_launchd_log()
    assert log.exists(), "only where launchd is"
    monkeypatch.setattr(sys, "platform", "darwin")
    for _ in range(3):
        log.write_bytes(b"x" * sample.LAUNCHD_LOG_BYTES)
        sample.bound_launchd_log()
    assert [each.name for each in Path(log.parent).iterdir()] == ["moon-sample.log.1"]
    sample.bound_launchd_log()
