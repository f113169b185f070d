"""How long a look at all sessions stays true while nothing moves."""

from __future__ import annotations

import pytest

from moon.config import defaults
from moon.cycle.session_states import ARCHIVE_TRIGGERED, COOLDOWN, SessionState
from moon.openclaw.transcript_store import Holding, Transcript
from moon.sampling.next_look import quiet_until, rests_at

NOW = 1_000_000_000
CALM = SessionState("main", "k", "s", since=NOW)


def holding(changed_at: int | None, *, live: bool = True) -> Holding:
    return Holding(Transcript("main", "k", "s"), "mark", changed_at, live)


def test_with_nothing_open_the_limit_holds():
    assert quiet_until([CALM], [], defaults(), NOW + 60_000) == NOW + 60_000
    assert quiet_until([], [], defaults(), NOW + 60_000) == NOW + 60_000


def test_the_first_transcript_to_come_to_rest_ends_it():
    rests = rests_at([holding(NOW - 5_000), holding(NOW - 9_000), holding(None), holding(NOW, live=False)], 15)
    assert rests == [NOW + 10_000, NOW + 6_000]
    assert quiet_until([CALM], rests, defaults(), NOW + 60_000) == NOW + 6_000


def test_a_cooldown_ends_by_time_alone():
    config = defaults()
    seconds = config.thresholds.cooldown_seconds
    cooling = CALM._replace(state=COOLDOWN, level=1, since=NOW)
    assert quiet_until([CALM, cooling], [], config, NOW + 10**9) == NOW + seconds * 1000


@pytest.mark.parametrize(
    "open_work",
    [{"pending": ("prune",)}, {"attempts": 1}, {"deferred": "the session is in use"}, {"undistilled": True}],
)
def test_what_is_open_is_tried_at_each_tick(open_work):
    waiting = CALM._replace(state=ARCHIVE_TRIGGERED, level=1, **open_work)
    assert quiet_until([CALM, waiting], [], defaults(), NOW + 60_000) == 0


def test_a_threshold_that_has_triggered_and_is_done_wants_nothing():
    done = CALM._replace(state=ARCHIVE_TRIGGERED, level=1)
    assert quiet_until([done], [], defaults(), NOW + 60_000) == NOW + 60_000
