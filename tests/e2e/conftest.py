"""One real gateway for all e2e tests; a fresh MOON_HOME and a fresh agent for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import OpenClaw
from tests.e2e.install import install
from tests.e2e.loopback_model import LoopbackModel
from tests.e2e.moon_home import BIN, Moon
from tests.e2e.talk import Talk

AGENTS = 20
COUNTER = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackModel]:
    """The loopback language model."""
    with LoopbackModel(tmp_path_factory.mktemp("model") / "requests.jsonl") as running:
        yield running


@pytest.fixture(scope="session")
def openclaw(model: LoopbackModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenClaw]:
    """The real OpenClaw with a running gateway."""
    agents = ("main", *(f"a{number}" for number in range(AGENTS)))
    folder = install()
    # Moon is on the path of the gateway, as it is on the user's: a skill that needs it is only told to the model then.
    path = {"PATH": os.pathsep.join([str(folder), os.environ["PATH"], str(BIN)])}
    with OpenClaw(tmp_path_factory.mktemp("openclaw"), folder, model.url, agents=agents, extra_env=path) as running:
        yield running


@pytest.fixture
def talk(openclaw: OpenClaw, model: LoopbackModel, request: pytest.FixtureRequest) -> Iterator[Talk]:
    """A new session of an agent that no other test uses."""
    number = request.session.stash.setdefault(COUNTER, 0)
    request.session.stash[COUNTER] = number + 1
    session = Talk(openclaw, model, f"agent:a{number}:talk")
    yield session
    # Leave nothing that is due, so that the next test's ticks see only its own session.
    session.delete()


@pytest.fixture
def moon(openclaw: OpenClaw, tmp_path: Path) -> Moon:
    """A fresh MOON_HOME."""
    return Moon(tmp_path / "moon", openclaw)
