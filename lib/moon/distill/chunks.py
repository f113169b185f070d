"""A conversation in parts that a model can take, cut between turns, and written so that data stays data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moon.distill.turns import Turn
from moon.text import one_line, token_estimate


@dataclass(frozen=True)
class Entry:
    """One turn as a model sees it. `name` is a short stand-in for the event id."""

    name: str
    turn: Turn

    @property
    def text(self) -> str:
        """The entry's line or lines."""
        role = one_line(f"{self.turn.role} {self.turn.tool}")
        return f"[{self.name} {role}] {self.turn.text}"


@dataclass(frozen=True)
class Chunk:
    """Consecutive entries, and what every check of an answer about them needs."""

    entries: tuple[Entry, ...]

    @property
    def text(self) -> str:
        """The entries, one after the other."""
        return "\n".join(entry.text for entry in self.entries)


def name_entries(turns: Sequence[Turn]) -> list[Entry]:
    """Give turns the names e1, e2, …; turns of the same event share one."""
    names: dict[str, str] = {}
    return [Entry(names.setdefault(turn.event_id, f"e{len(names) + 1}"), turn) for turn in turns]


def split_entries(entries: Iterable[Entry], tokens: int) -> list[Chunk]:
    """Chunks of at most about `tokens` each, cut between turns; a longer turn is cut at line ends."""
    chunks: list[Chunk] = []
    current: list[Entry] = []
    used = 0
    for entry in (part for each in entries for part in _parts(each, tokens)):
        cost = token_estimate(entry.text) + 1
        if current and used + cost > tokens:
            chunks.append(Chunk(tuple(current)))
            current, used = [], 0
        current.append(entry)
        used += cost
    return [*chunks, Chunk(tuple(current))] if current else chunks


def _parts(entry: Entry, tokens: int) -> Iterator[Entry]:
    text = entry.turn.text
    frame = token_estimate(entry.text) - token_estimate(text) + 2
    while token_estimate(text) + frame > tokens:
        room = max(1, int(len(text) * (tokens - frame) / token_estimate(text) * 0.95))
        cut = text.rfind("\n", room // 2, room) + 1 or room
        yield Entry(entry.name, _with_text(entry.turn, text[:cut]))
        text = text[cut:]
    if text.strip():
        yield Entry(entry.name, _with_text(entry.turn, text))


def _with_text(turn: Turn, text: str) -> Turn:
    return Turn(turn.event_id, turn.role, text, turn.tool, turn.timestamp)


def fence_for(text: str) -> str:
    """A line that cannot stand in this text: whoever wrote the text could not know its hash."""
    return f"=====data-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def fenced(text: str) -> str:
    """The text between two fence lines."""
    fence = fence_for(text)
    return f"{fence} begin\n{text}\n{fence} end"
