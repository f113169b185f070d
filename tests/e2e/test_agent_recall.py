"""The agent itself finds what left its context: it is told when to, and really runs moon-recall with its exec tool."""

from __future__ import annotations

import json
import shutil

from tests.e2e.harness import OpenClaw
from tests.e2e.loopback_model import Answer, message_text
from tests.e2e.moon_home import BIN, Moon
from tests.e2e.talk import Talk

from moon.install.machine_facts import SKILL

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


def test_the_skill_stands_in_the_instructions_of_the_agent(talk: Talk, openclaw: OpenClaw) -> None:
    """One line of it: its description, which therefore says when; the rest is read when the agent follows it."""
    folder = openclaw.workspace(talk.agent) / "skills" / "moon-recall"
    folder.mkdir(parents=True)
    shutil.copy(SKILL, folder / "SKILL.md")
    done = openclaw.run("skills", "list", "--agent", talk.agent, "--json")
    (listed,) = [each for each in json.loads(done.stdout)["skills"] if each["name"] == "moon-recall"]
    assert listed["eligible"] and listed["modelVisible"]
    asked = len(talk.model.requests())
    talk.say("Good morning.")
    instructions = message_text(talk.requests_since(asked)[0]["messages"][0])
    assert listed["description"] in instructions
    assert str(folder / "SKILL.md").removeprefix(str(openclaw.home)) in instructions
