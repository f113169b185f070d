"""The short form of `make attack-races`."""

from __future__ import annotations

import pytest
from tests.attack.races import at_once, between_stations, recall_beside_rebuild


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """The stand-in in this process goes by these; put back afterwards."""
    for name in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW"):
        monkeypatch.setenv(name, "")


def test_what_happens_between_two_stations_breaks_no_promise(tmp_path):
    assert between_stations(tmp_path / "race", 1, "rollover", "say") == (True, [])


def test_everybody_at_once_breaks_no_promise(tmp_path):
    ended, broken = at_once(tmp_path / "race", 1, 1)
    assert broken == []
    assert ended["turns"] and {"sample", "archive", "recall", "status"} <= {each.partition(":")[0] for each in ended}


def test_every_answer_beside_a_rebuild_is_right(tmp_path):
    ended, broken = recall_beside_rebuild(tmp_path / "race", 1, 1)
    assert broken == []
    assert ended["index: 0"]
