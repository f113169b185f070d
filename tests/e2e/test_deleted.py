"""What a user deletes in OpenClaw stays in the archives: from before, or from what OpenClaw itself left of it."""

from __future__ import annotations

from tests.e2e.moon_home import Moon
from tests.e2e.talk import Talk


def test_a_session_deleted_before_any_tick_is_archived_from_its_remains(talk: Talk, moon: Moon) -> None:
    talk.say("The winter tyres of the service van are 205/65 R16.")
    talk.delete()
    done = moon.run("moon-archive", "--all")
    assert done.code == 0, done.stderr
    assert talk.seen <= moon.archived()
    assert moon.run("moon-archive", "--verify").code == 0
