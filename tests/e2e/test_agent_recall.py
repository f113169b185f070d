"""The agent itself finds what left its context: it really runs moon-recall with its exec tool."""

from __future__ import annotations

from tests.e2e.loopback_model import Answer
from tests.e2e.moon_home import BIN, Moon
from tests.e2e.talk import Talk

FACT = "Fuse F9 of the north cabinet is rated 16 ampere and coloured violet."


def test_the_agent_reads_the_archive_with_its_own_tool(talk: Talk, moon: Moon) -> None:
    talk.say(FACT)
    talk.fill_to(0.92)
    assert moon.tick().code == 0
    command = f'MOON_HOME="{moon.home}" {BIN}/moon-recall "rating of fuse F9" --limit 1'
    asked = len(talk.model.requests())
    talk.say("Which fuse is violet?", Answer(tool_calls=(("exec", {"command": command}),)), Answer(text="F9."))
    before, after = talk.requests_since(asked)
    results = [message for message in after["messages"] if message["role"] == "tool"]
    assert FACT in str(results[-1]["content"])
    assert FACT not in [message["content"] for message in before["messages"]]
