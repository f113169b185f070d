"""The exit code of a station says how much of its work was done (docs/contracts.md)."""

from __future__ import annotations

import pytest

from moon.cycle.station_runner import exit_code

PROBLEM = {"code": "store_foreign", "message": "one store", "hint": "look", "path": "x"}


def document(*outcomes: str, problems: int = 0, station: str = "archive") -> dict:
    entries = [{"session_key": f"k{number}", "outcome": each} for number, each in enumerate(outcomes)]
    return {"usage": {"problems": [PROBLEM] * problems}, "stations": [{"station": station, "sessions": entries}]}


@pytest.mark.parametrize(
    ("outcomes", "problems", "code"),
    [
        ((), 0, 0),
        (("done", "nothing", "deferred"), 0, 0),
        (("done",), 1, 3),
        ((), 1, 3),
        (("failed",), 0, 1),
        (("refused",), 0, 1),
        (("failed", "refused"), 1, 1),
        (("failed", "done"), 0, 3),
        (("refused", "nothing"), 0, 3),
        (("failed", "deferred"), 0, 3),
    ],
)
def test_all_part_or_nothing_done(outcomes, problems, code):
    assert exit_code(document(*outcomes, problems=problems)) == code


def test_a_station_answers_for_itself_and_the_last_one_for_all():
    both = document("failed")
    both["stations"] += document("done", station="index")["stations"]
    assert [exit_code(both, station) for station in ("archive", "index", "")] == [1, 0, 3]
