"""How the old window ended: what was said and done last, and what waits for an answer or a result. Pure.

A list of decisions does not tell what is being done right now. The last words do, so a map gives them as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from moon.fulltext.words import words
from moon.text import ASCII_PER_TOKEN, one_line, token_estimate

USER, ASSISTANT, CALL, RESULT = "user", "assistant", "toolCall", "toolResult"
LONGEST_WORDS = 600
LONGEST_CALL = 240
LONGEST_RESULT = 160
# No single entry takes more of the room than this, however small the room.
MOST_OF_ROOM = 0.5
MOST_LINES = 12
FIRST_LINES = 3
MOST_ENTRIES = 10
MOST_CALLS = 4
# A user's last message of fewer words, which asks nothing, is a farewell.
SHORTEST_REQUEST = 4
BULLET = 2
CUT_OFF = "it was cut off, or still runs; see what it did before running it again"
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCES = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_ASKS = re.compile(r"[?？؟][\"'”»)\]*_`\s]*\Z")


class Said(NamedTuple):
    """One thing that was said, called or returned; `text` is redacted."""

    event_id: str
    role: str
    text: str


class WindowEnd(NamedTuple):
    """`now`: the last things said and done, oldest first. `waiting`: what has no answer or no result yet."""

    now: list[str]
    waiting: list[str]


class _Call(NamedTuple):
    call: str
    result: str | None


def end_of(said: Sequence[Said], room: int) -> WindowEnd:
    """The end of a window in about `room` tokens, its last entry always among them."""
    entries = _entries(said)
    longest = int(room * MOST_OF_ROOM) * ASCII_PER_TOKEN
    now: list[str] = []
    calls = 0
    for entry in reversed(entries[-4 * MOST_ENTRIES :]):
        calls += isinstance(entry, _Call)
        if isinstance(entry, _Call) and calls > MOST_CALLS:
            continue
        text = _shown(entry, longest)
        room -= token_estimate(text) + BULLET
        if now and (room < 0 or len(now) == MOST_ENTRIES):
            break
        now.insert(0, text)
    return WindowEnd(now, _waiting(entries))


def _entries(said: Iterable[Said]) -> list[Said | _Call]:
    """What was said, and each call together with its result; results come in the order of their calls."""
    entries: list[Said | _Call] = []
    open_calls: list[int] = []
    for each in said:
        if each.role == CALL:
            open_calls.append(len(entries))
            entries.append(_Call(each.text, None))
        elif each.role == RESULT and open_calls:
            place = open_calls.pop(0)
            entries[place] = _Call(entries[place][0], each.text)
        elif each.role in (USER, ASSISTANT):
            # What a call of before the user's next message did not bring by then does not come any more.
            open_calls = [] if each.role == USER else open_calls
            entries.append(each)
    return entries


def _shown(entry: Said | _Call, longest: int) -> str:
    if isinstance(entry, _Call):
        call = _cut(one_line(entry.call), min(LONGEST_CALL, longest), 0.7)
        return f"you ran: {call} → {_outcome(entry.result, longest)}"
    text = one_line(_without_pastes(_CODE.sub(" [code] ", entry.text)))
    # A request says at its beginning what it is about; an answer says at its end what comes next.
    head = 0.7 if entry.role == USER else 0.4
    return f"{'user' if entry.role == USER else 'you'}: {_cut(text, min(LONGEST_WORDS, longest), head)}"


def _without_pastes(text: str) -> str:
    """A text of many lines by its first and last ones: between them lies what was pasted or listed."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) <= MOST_LINES:
        return text
    return "\n".join([*lines[:FIRST_LINES], f"[… {len(lines) - FIRST_LINES - 1} lines …]", lines[-1]])


def _outcome(result: str | None, longest: int) -> str:
    """The last lines of a result, where errors and totals stand."""
    if result is None:
        return "no result"
    last = one_line(" / ".join([line.strip() for line in result.splitlines() if line.strip()][-2:]))
    return _cut(last, min(LONGEST_RESULT, longest), 0.5) or "nothing printed"


def _cut(text: str, limit: int, head: float) -> str:
    """Head and tail of a text that is too long, cut between words; `limit` in characters of English."""
    limit = int(limit * min(1.0, len(text) / max(1, ASCII_PER_TOKEN * token_estimate(text))))
    if len(text) <= limit:
        return text
    begins, ends = text[: int(limit * head)], text[len(text) - int(limit * (1 - head)) :]
    begins = begins.rsplit(" ", 1)[0] if " " in begins else begins
    ends = ends.split(" ", 1)[1] if " " in ends else ends
    return f"{begins} […] {ends}".strip()


def _waiting(entries: Sequence[Said | _Call]) -> list[str]:
    found = []
    last = next((at for at in range(len(entries) - 1, -1, -1) if isinstance(entries[at], Said)), -1)
    spoken = entries[last] if last >= 0 else None
    for entry in entries[last + 1 :]:
        if isinstance(entry, _Call) and entry.result is None:
            found.append(f"no result of: {_cut(one_line(entry.call), LONGEST_CALL, 0.7)} ({CUT_OFF})")
    if isinstance(spoken, Said) and spoken.role == USER and _wants_answer(spoken.text):
        found.append(f"no answer yet to the user's last words: {_cut(one_line(spoken.text), LONGEST_RESULT, 0.7)}")
    elif isinstance(spoken, Said) and (question := _question(spoken)):
        found.append(f"waits for the user, who has not answered: {_cut(one_line(question), LONGEST_CALL, 0.3)}")
    return found


def _wants_answer(text: str) -> bool:
    """Whether this is more than "ok good night"."""
    return len(words(text)) >= SHORTEST_REQUEST or _ASKS.search(text) is not None


def _question(spoken: Said) -> str:
    """What an answer asks at its end; one more sentence may stand behind it."""
    sentences = [each for each in _SENTENCES.split(_CODE.sub("", spoken.text).strip()) if each.strip()]
    return next((each for each in reversed(sentences[-2:]) if _ASKS.search(each)), "")
