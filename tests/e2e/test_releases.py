"""The whole job on each release of OpenClaw that Moon is tried with: the same test, whatever the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import OpenClaw
from tests.e2e.install import NEWEST, RELEASES, install
from tests.e2e.loopback_model import LoopbackModel
from tests.e2e.moon_home import Moon, qmd_search
from tests.e2e.talk import EARLIER_BUDGET, Talk

FACT = "The spare key of hut 7 hangs behind the blue water barrel."


@pytest.fixture(params=list(RELEASES))
def talk(request: pytest.FixtureRequest, model: LoopbackModel, tmp_path: Path) -> Iterator[Talk]:
    """A session in a running gateway of that release."""
    release = request.param
    if release == NEWEST:
        running: OpenClaw = request.getfixturevalue("openclaw")
        session = Talk(running, model, "agent:main:releases")
        yield session
        session.delete()
        return
    # QMD is the same with all of them.
    path = {"PATH": os.pathsep.join(map(str, (install(release), install(NEWEST), os.environ["PATH"])))}
    (tmp_path / "openclaw").mkdir()
    with OpenClaw(tmp_path / "openclaw", install(release), model.url, extra_env=path) as running:
        # Filled by real size only so far: these compact by themselves sooner.
        yield Talk(running, model, "agent:main:releases", EARLIER_BUDGET, natural=0.3)


def test_a_filling_session_is_archived_then_pruned_then_rolled_over(talk: Talk, tmp_path: Path) -> None:
    moon = Moon(tmp_path / "moon", talk.openclaw)
    talk.say(FACT)
    talk.fill_to(0.5)
    before = talk.lines()
    assert moon.tick().code == 0
    assert moon.actions(talk.key) == []
    assert talk.lines() == before

    talk.fill_to(0.81)
    before = talk.lines()
    assert moon.tick().code == 0
    assert moon.actions(talk.key) == ["archive", "index"]
    assert set(before) <= moon.archived()
    assert talk.lines() == before, "80 % must change nothing in the store"
    assert qmd_search(moon, "blue water barrel")

    talk.fill_to(0.86)
    assert moon.tick().code == 0
    assert moon.actions(talk.key)[2:] == ["archive", "index", "prune"]
    assert talk.types()[-1] == "compaction"
    assert talk.ratio < 0.8
    assert moon.usage(talk.key)["state"] != "DistillTriggered"

    talk.fill_to(0.91)
    asked = len(talk.model.requests())
    done = moon.tick()
    assert done.code == 0, done.stderr
    assert moon.actions(talk.key)[5:] == ["archive", "index", "distill", "rollover"]
    assert talk.seen <= set(talk.lines()) | moon.archived()

    [link] = moon.ledger("link")
    talk.say("What now?")
    first, second = talk.requests_since(asked)
    assert link["rollover_id"] in str(first["messages"])
    assert link["rollover_id"] in str(second["messages"])
    assert "Note 3" not in str(first["messages"]), "the new window is fresh"
    found = moon.run("moon-recall", "Where is the spare key of hut 7?").json()
    assert FACT in found["results"][0]["snippet"].replace("**", "")
    assert moon.run("moon-archive", "--verify").code == 0
