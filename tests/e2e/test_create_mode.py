"""Detached work: the map opens a child session, and the old one stays as it was."""

from __future__ import annotations

from tests.e2e.moon_home import Moon
from tests.e2e.talk import Talk


def test_the_map_opens_a_child_session(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.93)
    before, asked = talk.lines(), len(talk.model.requests())
    done = moon.tick(MOON_ROLLOVER__MODE="create")
    assert done.code == 0, done.stderr
    [link] = moon.ledger("link")
    assert link["to_session_key"] != talk.key
    assert link["to_session_id"] != link["from_session_id"]
    assert talk.lines() == before
    assert any(link["rollover_id"] in str(body["messages"]) for body in talk.model.requests()[asked:])
    assert moon.usage(link["to_session_key"])["session_id"] == link["to_session_id"]
