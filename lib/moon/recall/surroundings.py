"""What stands around rows: the events before and after, and who speaks, without reading any text.

In a conversation with an agent, tools stand between a question and its answer. The rows beside a message are therefore
looked for twice: the plain neighbours, and the nearest messages with the calls and results between them left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from moon.fulltext import SearchIndex, Shape
from moon.fulltext.index_database import EPISODE_SHIFT

TOOLS = frozenset({"toolCall", "toolResult"})
# An agent that has used tools this many times in a row is no longer answering one question.
REACH = 12


class Surroundings:
    """The shapes of rows and of what is around them, looked up for many rows at once."""

    def __init__(self, index: SearchIndex, rows: Iterable[int]) -> None:
        self.shapes: dict[int, Shape] = {}
        asked = [*rows]
        self._look(index, {row + step for row in asked for step in (-2, -1, 0, 1)})
        tangled = [row for row in asked if self._is_talk(row) and self._has_tools_beside(row)]
        self._look(index, {row + step for row in tangled for step in range(-REACH, REACH + 1)})

    def _look(self, index: SearchIndex, rows: set[int]) -> None:
        self.shapes.update(index.shapes(rows - self.shapes.keys()))

    def _is_talk(self, row: int) -> bool:
        return row in self.shapes and self.shapes[row].role not in TOOLS

    def _has_tools_beside(self, row: int) -> bool:
        return any(row + step in self.shapes and not self._is_talk(row + step) for step in (-1, 1))

    def beside(self, row: int, direction: int) -> tuple[int, ...]:
        """The nearest row of another event in that direction, and the nearest that is said by somebody; none, one or
        two.
        """
        other, own = row + direction, self.shapes.get(row)
        near = self.shapes.get(other)
        if near is None or other >> EPISODE_SHIFT != row >> EPISODE_SHIFT:
            return ()
        is_next = own is not None and own.event != near.event
        if is_next and own and (near.role not in TOOLS or own.role in TOOLS):
            return (other,)
        found: list[int] = []
        for other in self._others(row, direction):
            if not found:
                found.append(other)
            if not self._is_talk(row):
                break
            if self._is_talk(other):
                if other != found[0]:
                    found.append(other)
                break
        return tuple(found)

    def _others(self, row: int, direction: int) -> Iterator[int]:
        """Rows of other events of the episode in that direction, as far as they are known."""
        own = self.shapes.get(row)
        for reach in range(1, REACH + 1):
            other = row + reach * direction
            if other >> EPISODE_SHIFT != row >> EPISODE_SHIFT or other not in self.shapes:
                return
            if own is None or self.shapes[other].event != own.event:
                yield other
