"""Signs of trouble that only a later look shows, and how they are put into words."""

from __future__ import annotations

from typing import Any

import pytest

from moon.clock import format_ms
from moon.errors import MoonError
from moon.health.problems import Subject, Trouble
from moon.health.signs import DAY_MS, Growth, disk_trouble, growth_of, index_trouble, timer_trouble
from moon.remedies import RANKS, remedy_of
from moon.status.metrics import as_metrics
from moon.status.status_problems import as_problems
from moon.status.status_text import SHOWN_PROBLEMS, SHOWN_SESSIONS, check_line, describe

NOW = 1_795_330_000_000
MB = 1 << 20


def heartbeat(age: int | None = 10, ahead: int = 0, late: bool = False) -> dict[str, Any]:
    return {"at": None, "age_seconds": age, "ahead_seconds": ahead, "interval_seconds": 30, "late": late}


def codes(found: Any) -> list[str]:
    return [error.code for error in found]


@pytest.mark.parametrize(
    ("beat", "cycle", "code"),
    [
        (heartbeat(), None, []),
        (heartbeat(None), None, ["never_looked"]),
        (heartbeat(400, late=True), None, ["timer_stopped"]),
        (heartbeat(400, late=True), {"next_station": "distill"}, ["cycle_stuck"]),
        (heartbeat(0, ahead=7200), None, ["clock_wrong"]),
        (heartbeat(0, ahead=3), None, []),
    ],
)
def test_the_timer(beat: dict[str, Any], cycle: Any, code: list[str]) -> None:
    assert codes(timer_trouble(beat, cycle, "/moon")) == code


def test_before_the_first_tick_of_a_new_home_nothing_is_wrong() -> None:
    assert codes(timer_trouble(heartbeat(None), None, "/moon", home_age=20)) == []
    assert codes(timer_trouble(heartbeat(None), None, "/moon", home_age=3_600)) == ["never_looked"]


def line(days_ago: float, size: int, sha: str = "a") -> Any:
    return {"archived_at": format_ms(NOW - int(days_ago * DAY_MS)), "bytes": size, "sha256": sha}


def test_archives_of_the_last_minutes_may_lack_in_the_index() -> None:
    lines = [line(0.001, 1, "new"), line(1, 1, "old"), line(1, 1, "known")]
    assert [error.message[:9] for error in index_trouble(lines, frozenset({"known"}), NOW, "/i")] == ["1 archive"]


def test_an_index_that_is_gone_is_told_at_once() -> None:
    lines = [line(0.001, 1, "new"), line(1, 1, "old")]
    assert [error.message[:10] for error in index_trouble(lines, frozenset(), NOW, "/i", gone=True)] == ["2 archives"]
    assert codes(index_trouble([], frozenset(), NOW, "/i", gone=True)) == []


def test_growth_leaves_out_the_first_day_which_brought_the_past() -> None:
    past, daily = [line(30, 900 * MB)], [line(day + 0.5, 10 * MB) for day in range(20)]
    growth = growth_of(past + daily, on_disk=2 * 1100 * MB, free=200 * MB, now=NOW)
    assert growth == Growth(20 * MB, 10)
    assert growth_of(past, on_disk=900 * MB, free=MB, now=NOW) == Growth(0, None)
    assert growth_of([line(0.5, 900 * MB)], on_disk=900 * MB, free=MB, now=NOW) == Growth(0, None)
    assert growth_of([], on_disk=0, free=None, now=NOW) == Growth(0, None)


@pytest.mark.parametrize(
    ("free", "days", "code"),
    [(0, None, ["disk_full"]), (150 * MB, None, ["disk_low"]), (9_000 * MB, 5, ["disk_low"]), (9_000 * MB, 90, [])],
)
def test_the_disk(free: int, days: int | None, code: list[str]) -> None:
    assert codes(disk_trouble(free, Growth(MB, days), "/moon")) == code
    assert codes(disk_trouble(None, Growth(0, None), "/moon")) == []


def kept(code: str, times: int = 1, since: int = NOW, sessions: int = 0) -> Trouble:
    subjects = tuple(Subject("main", f"agent:main:{n}", f"s{n}") for n in range(sessions))
    return Trouble("archive", code, f"words of {code}", "", "/p", subjects, since, since, times)


def test_what_hurts_most_comes_first_and_what_passes_by_itself_last() -> None:
    known = [kept("qmd_failed", 9), kept("gateway_unreachable", 1), kept("index_corrupt"), kept("disk_full")]
    found = as_problems(known, [MoonError("dead", code="timer_stopped")], NOW)
    assert [(each["code"], each["needs_person"]) for each in found] == [
        ("disk_full", True),
        ("timer_stopped", True),
        ("index_corrupt", True),
        ("qmd_failed", True),
        ("gateway_unreachable", False),
    ]
    patience = remedy_of("gateway_unreachable").patience
    assert patience > 1 and as_problems([kept("gateway_unreachable", patience)], [], NOW)[0]["needs_person"]


def test_a_look_that_shows_what_is_kept_adds_nothing() -> None:
    seen = [MoonError("words", code="no_permission", path="/p")]
    assert len(as_problems([kept("no_permission", 3)], seen, NOW)) == 1


def status(problems: list[dict[str, Any]], sessions: int = 0) -> dict[str, Any]:
    entry = {"agent": "main", "session_id": "s", "state": "Normal", "ratio": 0.1, "pending": [], "attempts": 0}
    listed = [
        {**entry, "session_key": f"agent:main:{n}", "deferred": "", "retry_at": None, "archives": 1, "last": None}
        for n in range(sessions)
    ]
    if sessions:
        listed[sessions // 2].update(pending=["archive"], attempts=3)
    return {
        "taken_at": format_ms(NOW),
        "home": "/moon",
        "set_up": True,
        "heartbeat": {**heartbeat(), "at": format_ms(NOW - 10_000)},
        "good": {"sample": format_ms(NOW - 10_000), "prune": None},
        "counters": {"archive": 3},
        "cycle": None,
        "sessions": listed,
        "archives": {"archives": 3, "sessions": 1, "events": 9, "bytes": 100, "last_at": None},
        "index": {"archives": 3, "messages": 9, "lag": 0},
        "distillation": None,
        "disk": {"raw_bytes": 1, "pages_bytes": 1, "index_bytes": 1, "free_bytes": 9, "days_left": 3},
        "problems": problems,
    }


def test_one_screen_whatever_there_is() -> None:
    problems = as_problems([kept(code, 9, sessions=3000) for code in ("failed", "refused", "qmd_failed")] * 4, [], NOW)
    lines = describe(status(problems, 3000))
    assert len(lines) <= 3 * SHOWN_PROBLEMS + SHOWN_SESSIONS + 14 <= 40
    assert lines[0].startswith("12 problems")
    assert any("2992 sessions more" in each for each in lines)
    first = next(number for number, each in enumerate(lines) if each.startswith("sessions"))
    assert "agent:main:1500" in lines[first + 1] and "waits: archive" in lines[first + 2]
    assert len(describe(status([], 3000), everything=True)) > 3000


def test_a_session_that_is_named_says_how_many_more() -> None:
    (line,) = [each for each in describe(status(as_problems([kept("failed", 9, sessions=7)], [], NOW))) if "(7" in each]
    assert line.endswith("(7 sessions: agent:main:0, agent:main:1, agent:main:2 and 4 more)")


def test_one_line_for_monitoring() -> None:
    assert check_line(status([], 2)) == "OK: looked 10 s ago, 2 sessions, 3 archives"
    passing = as_problems([kept("gateway_unreachable")], [], NOW)
    assert check_line(status(passing, 2)).endswith("1 passing problem")
    wrong = as_problems([kept("disk_full"), kept("index_corrupt")], [], NOW)
    line = check_line(status(wrong))
    assert (
        line.startswith("PROBLEM: words of disk_full - the disk is full: free")
        and "1 more" in line
        and "\n" not in line
    )


def test_metrics_are_as_prometheus_reads_them_and_name_no_session() -> None:
    text = as_metrics(status(as_problems([kept("disk_full", sessions=2)], [], NOW), 3))
    assert text.endswith("\n") and "agent:main" not in text
    samples = dict(row.rsplit(" ", 1) for row in text.splitlines() if not row.startswith("#"))
    assert samples["moon_up"] == "0" and samples['moon_problems{hurts="loss"}'] == "1"
    assert {f'moon_problems{{hurts="{rank}"}}' for rank in RANKS} <= set(samples)
    assert float(samples["moon_last_tick_timestamp_seconds"]) == NOW / 1000 - 10
    for row in text.splitlines():
        assert row.startswith(("# HELP ", "# TYPE ")) or float(row.rsplit(" ", 1)[1]) >= 0
