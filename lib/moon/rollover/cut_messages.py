"""Messages that the opening of a new window cut off from their answer. Pure.

Between the last look and the reset lie milliseconds; a message that falls into them loses its run. It then stands in
the old window without an answer, or behind the reset with a run that failed, or in no transcript at all but among the
inputs that OpenClaw took and interrupted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from moon.clock import parse_ms
from moon.openclaw.pending_inputs import PendingInput
from moon.rollover.new_window import Line, user_message

# An input is taken a moment before the gateway counts it as a run; so much earlier than the request it may lie.
SLACK_MS = 5_000
MARK = "(Sent again by Moon: this message came as the window before this one was closed, and got no answer.)"


class CutMessage(NamedTuple):
    """A message to answer. `key` makes its turn happen once; `is_owner` is False for somebody else's in a group."""

    key: str
    text: str
    is_owner: bool = True

    @property
    def turn(self) -> str:
        """What the model gets: never a command, because a mark stands first."""
        return f"{MARK}\n\n{self.text}"


def cut_messages(
    rollover_id: str, old: Sequence[Line], new: Sequence[Line], opened_at: int, pending: Iterable[PendingInput]
) -> list[CutMessage]:
    """What is without an answer: of the events behind the boundary in the `old` window, of those that were taken before
    the `new` one was opened, and of interrupted inputs. Times in milliseconds."""
    early = [line for line in unanswered(new) if _taken_at(line) <= opened_at]
    found = [
        _cut(rollover_id, str(line.get("id")), line["message"]) for line in [*unanswered(old), *early] if _text_of(line)
    ]
    known = {str(line["message"].get("idempotencyKey")) for line in [*old, *new] if user_message(line)}
    for each in pending:
        if str(each.message.get("idempotencyKey")) not in known and text_of(each.message):
            found.append(_cut(rollover_id, each.input_id, each.message))
    return found


def interrupted(pending: Iterable[PendingInput], requested_at: int, opened_at: int) -> list[PendingInput]:
    """The inputs that were interrupted while the window was opened."""
    return [
        each
        for each in pending
        if each.state == "interrupted" and requested_at - SLACK_MS <= each.accepted_at <= opened_at + SLACK_MS
    ]


def collided(rollover_id: str, lines: Sequence[Line], until: int) -> list[CutMessage]:
    """Messages taken up to that time (milliseconds) whose runs OpenClaw ended with an error of their own.

    Two turns that begin within milliseconds of each other, the map and somebody's message, can end so.
    """
    failed = _failed_runs(lines)
    found = [line for line in lines if _run_of(line) in failed and _taken_at(line) <= until and _text_of(line)]
    return [_cut(rollover_id, str(line.get("id")), line["message"]) for line in found]


def unanswered(lines: Sequence[Line]) -> list[Line]:
    """The users' messages behind which no answer stands, or whose runs OpenClaw ended with an error of their own."""
    waiting: list[Line] = []
    for line in lines:
        if user_message(line) is not None:
            waiting.append(line)
        elif _is_answer(line):
            waiting = []
    failed = _failed_runs(lines)
    return [line for line in lines if line in waiting or _run_of(line) in failed]


def _failed_runs(lines: Iterable[Line]) -> set[str]:
    """The runs, but for Moon's own, that ended with an error: an event with the key `<run>:terminal-error` says so."""
    found = set()
    for line in lines:
        message = line.get("message")
        key = message.get("idempotencyKey") if isinstance(message, dict) else None
        if isinstance(key, str) and key.endswith(":terminal-error") and not key.startswith("moon-"):
            found.add(key.removesuffix(":terminal-error"))
    return found


def _run_of(line: Line) -> str | None:
    """The run that a user's message began, where the transcript keeps it."""
    message = user_message(line)
    key = message.get("idempotencyKey") if message else None
    return key.removesuffix(":user") if isinstance(key, str) else None


def _is_answer(line: Line) -> bool:
    """Words of the assistant that end a run; a tool call, an abort and an error are none."""
    message = line.get("message")
    if line.get("type") != "message" or not isinstance(message, dict) or message.get("role") != "assistant":
        return False
    return message.get("stopReason") not in ("aborted", "error", "toolUse") and bool(text_of(message))


def _taken_at(line: Line) -> int:
    """When OpenClaw took a message, which is before it wrote it down."""
    return parse_ms(line["message"].get("timestamp")) or parse_ms(line.get("timestamp")) or 0


def _cut(rollover_id: str, source: str, message: dict[str, Any]) -> CutMessage:
    digest = hashlib.sha256(f"{rollover_id}\n{source}".encode("utf-8", "replace")).hexdigest()[:24]
    about = message.get("__openclaw")
    stranger = isinstance(about, dict) and about.get("senderIsOwner") is False
    return CutMessage(f"moon-again-{digest}", text_of(message), not stranger)


def _text_of(line: Line) -> str:
    return text_of(line["message"])


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whether it is a string or a list of blocks."""
    content = message.get("content")
    if isinstance(content, str):
        return content.strip()
    blocks = content if isinstance(content, list) else []
    texts = (block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str)).strip()
