"""What was said, ready to be distilled: turns in order, each with the id of the event it came from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from moon.openclaw.events import Event
from moon.openclaw.user_words import CONTINUITY_MAP, RECALLED, own_words

USER, ASSISTANT, CALL, RESULT, SUMMARY = "user", "assistant", "call", "result", "summary"
_ROLES = {
    "user": USER,
    "assistant": ASSISTANT,
    "toolCall": CALL,
    "toolResult": RESULT,
    "compaction": SUMMARY,
    "branch_summary": SUMMARY,
}
_BROUGHT_IN = {CONTINUITY_MAP: SUMMARY, RECALLED: RESULT}
# A compaction's summary repeats the last turns, raw: they are in the archive themselves.
_VERBATIM = re.compile(r"^## (?:Recent turns preserved verbatim|Tool Failures)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One thing that was said, called or returned."""

    event_id: str
    role: str
    text: str
    tool: str = ""
    timestamp: str | None = None


def turns_of(events: Iterable[Event]) -> Iterator[Turn]:
    """The turns of a session's events. System texts and events without words are left out."""
    for event in events:
        for piece in event.pieces:
            role = _ROLES.get(piece.role)
            text = own_words(piece.text) if role == USER else piece.text.strip()
            text = _VERBATIM.split(text)[0].strip() if role == SUMMARY else text
            if role == USER:
                role = next((made for begin, made in _BROUGHT_IN.items() if text.startswith(begin)), role)
            if role and text and event.id:
                yield Turn(event.id, role, text, piece.tool or "", event.timestamp)


# A line of this shape so often in one message is data that somebody pasted, not something that somebody says.
PASTED_LINES = 5
_SHAPE_LENGTH = 24


def without_pastes(turn: Turn) -> Iterator[Turn]:
    """A user's message apart into what the user says and what was pasted: logs, tables, code between fences.

    What was pasted becomes a turn of its own with the role of a tool's result.
    """
    lines = turn.text.splitlines()
    if turn.role != USER or len(lines) <= PASTED_LINES:
        yield turn
        return
    shapes = [_shape(line) for line in lines]
    often = Counter(shapes)
    said: list[str] = []
    pasted: list[str] = []
    fenced = False
    alike = {number for number, line in enumerate(lines) if line.strip() and often[shapes[number]] >= PASTED_LINES}
    for number, line in enumerate(lines):
        fence = line.lstrip().startswith("```")
        # A lone line amid the data is data too.
        data = fenced or fence or number in alike or (number - 1 in alike and number + 1 in alike)
        (pasted if data else said).append(line)
        fenced ^= fence
    for role, part in ((USER, said), (RESULT, pasted)):
        text = "\n".join(part).strip()
        if text:
            yield replace(turn, role=role, text=text)


def _shape(line: str) -> str:
    """The beginning of a line with every run of letters or digits as one sign; sentences seldom share it."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", line))[:_SHAPE_LENGTH]


def bounded(turn: Turn, limit: int) -> Turn:
    """A tool's result cut to its head and tail, where errors and totals stand; other turns stay whole."""
    if turn.role != RESULT or len(turn.text) <= limit:
        return turn
    head, tail = limit * 2 // 5, limit * 3 // 5
    left_out = len(turn.text) - head - tail
    return replace(turn, text=f"{turn.text[:head]}\n[… {left_out} characters left out …]\n{turn.text[-tail:]}")
