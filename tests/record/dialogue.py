"""Read a dialogue script: what the user says, what the agent answers, and which commands it runs in between.

session agent:main:main     the session key
> text                      the user speaks (further plain lines belong to it)
@ NAME COUNT                … and pastes a long text of the scene
$ command                   the agent runs a command
< text                      the agent speaks; before a `$` it says so while calling the tool
! compact                   the session is compacted; the `|` lines after it are the model's summary
! reset                     the session is reset
! end RATIO                 the last answer reports so much of the prompt budget as used
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.loopback_model import Answer


@dataclass
class Step:
    """One user turn (`act` is "say"), or one thing done to the session ("compact", "reset")."""

    act: str
    text: str = ""
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Dialogue:
    """One session's script."""

    key: str = ""
    steps: list[Step] = field(default_factory=list)
    end_ratio: float | None = None


def read_dialogue(path: Path, paste: Callable[[str, int], str]) -> Dialogue:
    """Parse one script file."""
    dialogue = Dialogue()
    for line in path.read_text(encoding="utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "session":
            dialogue.key = rest
        elif mark == "!":
            add_directive(dialogue, rest)
        elif mark == ">":
            dialogue.steps.append(Step("say", rest))
        elif mark == "@":
            name, count = rest.split()
            dialogue.steps[-1].text += "\n" + paste(name, int(count))
        elif mark == "$":
            add_command(dialogue.steps[-1], rest)
        elif mark == "<":
            dialogue.steps[-1].answers.append(Answer(text=rest))
        elif mark == "|":
            dialogue.steps[-1].text += rest + "\n"
        elif line:
            dialogue.steps[-1].text += "\n" + line
    return dialogue


def add_directive(dialogue: Dialogue, directive: str) -> None:
    """`! compact`, `! reset`, `! end RATIO`."""
    if directive.startswith("end "):
        dialogue.end_ratio = float(directive[4:])
    else:
        dialogue.steps.append(Step(directive))


def add_command(step: Step, command: str) -> None:
    """A tool call, merged into words that were said just before it."""
    said = step.answers.pop().text if step.answers and not step.answers[-1].tool_calls else ""
    step.answers.append(Answer(text=said, tool_calls=(("exec", {"command": command}),)))
