"""How long a look at all sessions stays true while nothing moves: what the clock alone could change, and when. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from moon.config import Config
from moon.cycle.session_states import COOLDOWN, SessionState
from moon.openclaw.transcript_store import Holding
from moon.policies import for_session


def rests_at(unarchived: Iterable[Holding], idle_seconds: int) -> list[int]:
    """When each transcript with something to archive comes to rest, if nobody writes to it before then."""
    return [each.changed_at + idle_seconds * 1000 for each in unarchived if each.live and each.changed_at is not None]


def ends_cooldown(state: SessionState, config: Config) -> int | None:
    """When the session's cooldown is over; None where it is in none."""
    if state.state != COOLDOWN:
        return None
    return state.since + for_session(config, state.agent, state.session_key).thresholds.cooldown_seconds * 1000


def wants_looking_at(state: SessionState) -> bool:
    """Is something open for this session, so that each tick has to see whether it can be done now?"""
    return bool(state.pending or state.attempts or state.deferred or state.undistilled)


def quiet_until(states: Iterable[SessionState], rests: Iterable[int], config: Config, limit: int) -> int:
    """The moment (milliseconds) before which nothing is due unless something moves, `limit` at most; 0: look each time.

    A reading that grows older only loses its weight: it can keep a threshold from triggering, and never make one.
    """
    times = [limit, *rests]
    for state in states:
        if wants_looking_at(state):
            return 0
        over = ends_cooldown(state, config)
        times += [] if over is None else [over]
    return min(times)
