"""Who spoke before and after: in a conversation with an agent, tools stand between a question and its answer.

For a message the rows beside it are therefore the nearest messages, with the calls and results between them left out.
A row without tools beside it has its plain neighbours, and costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable

from moon.fulltext import TextIndex
from moon.fulltext.index_database import EPISODE_SHIFT

TOOLS = frozenset({"toolCall", "toolResult"})
# An agent that has used tools this many times in a row is no longer answering one question.
REACH = 12


class Beside:
    """The talk around rows, looked up for many rows at once."""

    def __init__(self, index: TextIndex, rows: Iterable[int]) -> None:
        self._roles: dict[int, str] = {}
        asked = [*rows]
        self._look(index, {row + step for row in asked for step in (-1, 0, 1)})
        tangled = [row for row in asked if self._is_talk(row) and self._has_tools_beside(row)]
        if tangled:
            self._look(index, {row + step for row in tangled for step in range(-REACH, REACH + 1)})

    def _look(self, index: TextIndex, rows: set[int]) -> None:
        self._roles.update(index.roles(rows - self._roles.keys()))

    def _is_talk(self, row: int) -> bool:
        return self._roles.get(row, "tool") not in TOOLS

    def _has_tools_beside(self, row: int) -> bool:
        return any(self._roles.get(row + step) in TOOLS for step in (-1, 1))

    def step(self, row: int, direction: int) -> int:
        """The next row in that direction that is said by somebody; the plain neighbour where there is none near."""
        if self._roles.get(row) in TOOLS:
            return row + direction
        for reach in range(1, REACH + 1):
            other = row + reach * direction
            if other >> EPISODE_SHIFT != row >> EPISODE_SHIFT or other not in self._roles:
                break
            if self._roles[other] not in TOOLS:
                return other
        return row + direction
