"""Commands of a session: which were run, which were spoken of. One whose last run failed is none to repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from moon.distill.cues import FAILURE
from moon.distill.identifiers import commands_in
from moon.distill.turns import ASSISTANT, CALL, RESULT, USER, Turn

MAX_COMMAND = 240
_LOOKING = re.compile(
    r"^(?:cd|ls|pwd|cat|head|tail|less|echo|which|type|wc|tree|file|stat|env|printenv|whoami|date|clear|history|man"
    r"|sed -n|grep|rg|find"
    r"|git (?:status|diff|log|show|branch|blame)|sleep|awk|df|du|free|ps|top|uptime|python3? -c"
    r"|curl(?!.* (?:-X|-d|--data|-T|-F))"
    r"|kubectl (?:-n \S+ )?(?:get|describe|logs|top)|docker (?:ps|logs|inspect|images)|systemctl status|journalctl)\b"
)
_REMOTE = re.compile(r"^(?:sudo |ssh \S+ |kubectl (?:-n \S+ )?exec \S+ -- |docker exec \S+ )+")
# The first line of a script, and a pattern to be filled in, cannot be repeated.
_NO_COMMAND = re.compile(r"<<-?\s*['\"]?\w+|<[a-z][\w -]*>")
_FAILED = re.compile(
    r"exit(?:ed)?(?: with)? (?:code|status):? [1-9]|command not found|: not found$|no such file or directory"
    r"|permission denied|^(?:fatal|error)\b|^Traceback ",
    re.IGNORECASE | re.MULTILINE,
)
_SHELL_TOOLS = re.compile(r"(?i)^(?:exec|bash|shell|sh|terminal|run|run_command|execute|process|command)\w*\s+")


@dataclass
class _Known:
    """A command and everything seen of it."""

    text: str
    sources: list[str]
    said: float = 0.0
    runs: int = 0
    last: int = 0
    failed: bool = False
    doubtful: bool = False
    outcome: str = ""


class Command(NamedTuple):
    """A command that was run or quoted, the events it stands in, and what it is worth: 0.1 to about 4."""

    text: str
    sources: tuple[str, ...]
    worth: float


def ranked_commands(turns: Sequence[Turn]) -> list[Command]:
    """Commands that were run or quoted, those most worth keeping first."""
    known: dict[str, _Known] = {}
    waiting: list[_Known] = []
    for number, turn in enumerate(turns):
        if turn.role == CALL:
            waiting += [_see(known, command, turn, number, ran=True) for command in _called(turn)]
        elif turn.role == RESULT and waiting:
            _note_outcome(waiting.pop(0), turn.text)
        elif turn.role in (USER, ASSISTANT):
            for command in commands_in(turn.text):
                _see(known, command, turn, number, ran=False)
    ordered = sorted(known.values(), key=lambda each: (-_worth(each, len(turns)), each.last, each.text))
    found = ((each, _worth(each, len(turns))) for each in ordered)
    return [Command(each.text, tuple(dict.fromkeys(each.sources))[:4], worth) for each, worth in found if worth > 0]


def _called(turn: Turn) -> Iterator[str]:
    text = _SHELL_TOOLS.sub("", turn.text, count=1)
    if text == turn.text:
        return
    for line in text.splitlines()[:4]:
        command = re.sub(r"^cd \S+ && ", "", " ".join(line.split()))
        if " " in command and not command.startswith("#"):
            yield command
            return


def _see(known: dict[str, _Known], command: str, turn: Turn, number: int, *, ran: bool) -> _Known:
    command = " ".join(command.split())
    each = known.setdefault(command, _Known(command, []))
    each.sources.append(turn.event_id)
    each.last = number
    each.runs += ran
    each.said += {USER: 2.0, ASSISTANT: 1.0}.get(turn.role, 0.0)
    return each


def _note_outcome(command: _Known, result: str) -> None:
    command.failed = bool(_FAILED.search(result[-600:]))
    command.doubtful = bool(FAILURE.search(result[-600:])) and "0 failed" not in result


def _worth(command: _Known, turns: int) -> float:
    if len(command.text) > MAX_COMMAND or command.failed or _NO_COMMAND.search(command.text):
        return 0.0
    worth = command.said + min(command.runs, 3) * 0.5 + min(len(command.text), 80) / 160
    worth += 0.4 * command.last / max(1, turns)
    if command.doubtful:
        worth *= 0.6
    return worth * (0.05 if _LOOKING.match(_REMOTE.sub("", command.text)) else 1.0)
