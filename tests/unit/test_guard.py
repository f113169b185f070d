"""What keeps a session from prune and rollover, said in words that are true."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.settings import settings

from moon.clock import format_ms, parse_ms
from moon.errors import OpenClawFailed
from moon.guard.activity import GatewayAway, InUse, last_event_at, require_idle, require_no_run, seconds_at_rest
from moon.guard.coverage import Coverage
from moon.openclaw.transcript_store import SessionEntry

NOW = 1_795_000_000_000
ENTRY = SessionEntry("main", "agent:main:main", "s1")


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setenv("MOON_NOW", format_ms(NOW))


class Store:
    """A transcript, all that these functions ask of a store."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = lines

    def events(self, transcript):
        for data in self.lines:
            yield type("Event", (), {"data": data})


class Gateway:
    """Says whether a run is active, or that it cannot say."""

    def __init__(self, answer: bool | OpenClawFailed = False) -> None:
        self.answer = answer

    def is_busy(self, session_key: str) -> bool:
        if isinstance(self.answer, OpenClawFailed):
            raise self.answer
        return self.answer


def spoken(seconds_ago: float) -> bytes:
    return events.message("m", "word", when=format_ms(NOW - int(seconds_ago * 1000)))


def test_objections_name_all_that_is_missing_and_nothing_else():
    assert Coverage(3, 0, "e", (), ()).objections() == []
    assert Coverage(1, 1, "e", (), ()).objections() == ["1 of 1 event not archived"]
    assert Coverage(3, 2, "e", ("a",), ("b", "c")).objections() == [
        "2 of 3 events not archived",
        "1 archive not read back as written",
        "2 archives not found by a search",
    ]
    assert Coverage(3, 0, "e", (), ("b",), "no index yet").objections() == [
        "1 archive not found by a search: no index yet"
    ]


def test_the_latest_sign_of_life_counts():
    def at_rest(interacted=None, updated=None, *lines):
        entry = ENTRY._replace(
            interacted_at=None if interacted is None else NOW - interacted * 1000,
            updated_at=None if updated is None else NOW - updated * 1000,
        )
        return seconds_at_rest(Store(*lines), entry)

    assert at_rest() is None
    assert at_rest(50) == 50 and at_rest(50, 30) == 30 and at_rest(30, 50) == 30
    assert at_rest(50, 30, spoken(20)) == 20 and at_rest(50, 30, spoken(70)) == 30
    assert at_rest(-10) == 0, "a clock that was set back"
    assert at_rest(None, None, spoken(1.9)) == 1


@pytest.mark.parametrize("line", [b"", b"no JSON", b"[]", b"[" * 100_000, events.line({"type": "x"})])
def test_a_last_event_that_does_not_say_when(line):
    assert last_event_at(Store(spoken(5), line), ENTRY) is None


def test_when_the_last_event_was_written():
    assert last_event_at(Store(spoken(50), spoken(5)), ENTRY) == parse_ms(format_ms(NOW - 5_000))
    assert last_event_at(Store(), ENTRY) is None


def test_idle_means_no_run_and_nobody_there_for_long_enough():
    config = settings(guard={"idle_seconds": 120})

    def refusal(entry=ENTRY, gateway=None, *lines):
        try:
            require_idle(config, gateway or Gateway(), Store(*lines), entry)
        except (InUse, GatewayAway) as error:
            return type(error), error.message
        return None

    assert refusal() is None, "nobody knows of anything"
    assert refusal(ENTRY, None, spoken(120)) is None
    assert refusal(ENTRY, None, spoken(119)) == (InUse, "somebody was at work 119 seconds ago")
    assert refusal(ENTRY._replace(running=True)) == (InUse, "a run is active")
    assert refusal(ENTRY, Gateway(True), spoken(500)) == (InUse, "a run is active")
    kind, words = refusal(ENTRY, Gateway(OpenClawFailed("not there")), spoken(500))
    assert kind is GatewayAway and words == "OpenClaw's gateway is needed for this: not there"


def test_a_gateway_that_cannot_be_asked_hands_its_hint_on():
    with pytest.raises(GatewayAway) as caught:
        require_no_run(Gateway(OpenClawFailed("not there", hint="start it")), "agent:main:main")
    assert caught.value.hint == "start it"
