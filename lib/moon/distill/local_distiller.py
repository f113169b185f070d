"""The local distiller: picks what was said, word for word. No network, no model, always an answer.

What was said is cut into units (`units.py`), each is judged for every list (`judging.py`) and weighed (`worth.py`), and
the room is filled with what adds most (`choosing.py`). `make bench-distill` measures that.
"""

from __future__ import annotations

from collections.abc import Sequence

from moon.distill.choosing import BULLET, LITERAL, SHARES, choose
from moon.distill.conversation import Session, read_session
from moon.distill.distillation import Distillation
from moon.distill.turns import ASSISTANT, USER, Turn, bounded, without_pastes
from moon.distill.worth import lines_of

# A short session needs no long memory: this much of what people and the model said, but never less than SHORTEST.
SHARE_OF_SPOKEN = 0.6
SHORTEST = 1000


def distill_locally(turns: Sequence[Turn], length: int = 6000, tool_result_chars: int = 2000) -> Distillation:
    """Distil a session into at most `length` characters. The same turns always give the same result."""
    parts = [bounded(part, tool_result_chars) for turn in turns for part in without_pastes(turn)]
    session = read_session(parts)
    return choose(lines_of(session), min(length, max(SHORTEST, spoken_length(session) * SHARE_OF_SPOKEN)))


def with_exact(made: Distillation, turns: Sequence[Turn], length: int, tool_result_chars: int) -> Distillation:
    """A model's distillation with the commands and identifiers that it left out, as far as their shares of room go.

    Models retell well and quote badly, and what cannot be guessed again is what a summary must not lose.
    """
    found = distill_locally(turns, length, tool_result_chars)
    lists = dict(made.lists)
    for name in LITERAL:
        have = {item.text for item in lists[name]}
        room = length * SHARES[name] - sum(len(text) + BULLET for text in have)
        for item in found.lists[name]:
            room -= 0 if item.text in have else len(item.text) + BULLET
            if item.text not in have and room >= 0:
                lists[name] = (*lists[name], item)
    return Distillation(lists, made.dropped)


def spoken_length(session: Session) -> int:
    """How much people and the model said, in characters."""
    return sum(len(turn.text) for turn in session.turns if turn.role in (USER, ASSISTANT))
