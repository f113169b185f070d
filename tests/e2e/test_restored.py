"""A conversation goes back: from Moon's archive into another OpenClaw, where it goes on."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.harness import OpenClaw
from tests.e2e.loopback_model import LoopbackModel
from tests.e2e.moon_home import Moon
from tests.e2e.talk import Talk


def test_openclaw_takes_in_what_was_restored_and_goes_on(
    talk: Talk, moon: Moon, openclaw: OpenClaw, model: LoopbackModel, tmp_path: Path
) -> None:
    talk.say("The anchor bolt of mast 7 is loose. " + "It rained all day. " * 200)
    talk.say("The tide table says 04:12.")
    agent = talk.key.split(":")[1]
    session_id = openclaw.entry(talk.key)["sessionId"]
    before = openclaw.event_lines(session_id, agent)
    assert moon.run("moon-archive", "--session", talk.key).code == 0

    (tmp_path / "other").mkdir()
    other = OpenClaw(tmp_path / "other", openclaw.bin_dir, model.url, agents=(agent,))
    other.configure()
    done = moon.run("moon-archive", "--restore", talk.key, "--to-openclaw", str(other.state))
    assert done.code == 0, done.stderr
    imported = other.run("doctor", "--session-sqlite", "import", "--session-sqlite-agent", agent, "--json")
    assert imported.code == 0, imported.stdout + imported.stderr
    with other:
        assert other.event_lines(session_id, agent) == before
        other.turn("What about the bolt?", talk.key)
        asked = json.dumps(model.requests()[-1])
        assert "anchor bolt of mast 7" in asked and "04:12" in asked
