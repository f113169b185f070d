"""Other rules for some sessions: which policy fits, what it changes, and what a wrong one is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.settings import settings

from moon.config import Config, resolve
from moon.errors import ConfigInvalid
from moon.policies import channel_of, fits, for_session

GROUP = {
    "match": {"session": "agent:*:group:*"},
    "thresholds": {"archive": 0.3, "prune": 0.4, "distill": 0.5},
    "guard": {"idle_seconds": 5},
}
OPS = {"match": {"agent": ["ops", "build-*"]}, "rollover": {"mode": "off"}, "prune": {"mode": "off"}}


def read(text: str) -> Config:
    return Config(resolve(text.encode(), {}, "moon.yaml"))


@pytest.mark.parametrize(
    ("match", "agent", "key", "expected"),
    [
        ({"session": "agent:*:group:*"}, "main", "agent:main:telegram:group:-100", True),
        ({"session": "agent:*:group:*"}, "main", "agent:main:main", False),
        ({"agent": "main"}, "main", "x", True),
        ({"agent": ["ops", "build-*"]}, "build-7", "x", True),
        ({"agent": ["ops", "build-*"]}, "main", "x", False),
        ({"channel": "telegram"}, "main", "agent:main:telegram:group:-100", True),
        ({"channel": "telegram"}, "main", "agent:main:main", False),
        ({"channel": "tele*", "agent": "ops"}, "main", "agent:main:telegram:1", False),
        ({"agent": "MAIN"}, "main", "x", False),
    ],
)
def test_all_patterns_of_a_policy_have_to_fit(match: dict[str, Any], agent: str, key: str, expected: bool) -> None:
    assert fits(match, agent, key) is expected


def test_channel_is_the_part_behind_the_agent() -> None:
    assert channel_of("agent:main:telegram:group:-100:7") == "telegram"
    assert channel_of("agent:main:main") == "main"
    assert channel_of("cron:nightly") == channel_of("") == ""


def test_first_policy_that_fits_counts_alone() -> None:
    config = settings(policies=[GROUP, OPS])
    group = for_session(config, "ops", "agent:ops:telegram:group:1")
    assert group.thresholds.archive == 0.3
    assert group.thresholds.hysteresis == config.thresholds.hysteresis
    assert group.guard.idle_seconds == 5
    assert group.rollover.mode == "reset", "the second policy fits too, and does not count"
    assert for_session(config, "ops", "agent:ops:main").rollover.mode == "off"
    assert for_session(config, "main", "agent:main:main") is config


def test_yaml_as_a_person_writes_it() -> None:
    config = read("policies:\n- match: {agent: ops}\n  rollover: {mode: off}\n  prune: {mode: off}\n")
    own = for_session(config, "ops", "x")
    assert (own.rollover.mode, own.prune.mode) == ("off", "off")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policies: [{match: {agent: a}, thresholds: {archive: 0.95}}]", "policies[0].thresholds: 0 < archive < prune"),
        ("policies: [{match: {agent: a}, thresholds: {distill: .nan}}]", "policies[0].thresholds.distill"),
        ("policies: [{match: {agent: a}, tresholds: {archive: 0.1}}]", "tresholds"),
        ("policies: [{match: {}, guard: {idle_seconds: 1}}]", "policies[0].match"),
        ("policies: [{guard: {idle_seconds: 1}}]", "policies[0]"),
        ("policies: {match: {agent: a}}", "policies"),
        ("policies: [{match: {agent: []}}]", "policies[0].match.agent"),
    ],
)
def test_wrong_policy_is_named_by_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(text)
    assert words in caught.value.message
