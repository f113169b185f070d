"""What the memory tells already, so that a line is written once and not on every day on which it was said again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from moon.distill.daily_memory import FOLDED, before_block, day_file
from moon.distill.distillation import TITLES
from moon.distill.identifiers import things_in
from moon.distill.units import terms
from moon.errors import MoonError
from moon.files import read_bounded

# How many days back is looked. What was said longer ago may be told again.
DAYS = 14
SAME, LEAST_WORDS = 0.8, 3
_DAY = re.compile(r"\d{4}-\d\d-\d\d\.md")
_FIGURE = re.compile(r"\d+")
_TITLES = frozenset(f"### {TITLES[name]}" for name in FOLDED)


class Told:
    """Lines that stand in the memory."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = [_Line.of(line) for line in lines]

    def holds(self, line: str) -> bool:
        """Whether this line is there in the same or nearly the same words, with the same figures."""
        new = _Line.of(line)
        return any(new.repeats(told) for told in self._lines)


class _Line(NamedTuple):
    text: str
    words: frozenset[str]
    names: frozenset[str]
    """Its figures, and the paths, hosts and tickets in it."""

    @classmethod
    def of(cls, line: str) -> _Line:
        text = " ".join(line.casefold().split()).strip(" .!")
        return cls(text, terms(text), frozenset(_FIGURE.findall(text)) | things_in(line))

    def repeats(self, told: _Line) -> bool:
        if self.text == told.text:
            return True
        shared = len(self.words & told.words)
        return self.names == told.names and shared >= max(LEAST_WORDS, SAME * max(len(self.words), len(told.words)))


def told_before(folder: Path, day: str, sha256: str, block: str) -> Told:
    """What the blocks before this one tell: of the days before, and of the same day."""
    today = day_file(folder, day)
    lines = list(_lines(before_block(_content(today), sha256, block)))
    for path in _days_before(folder, day):
        lines += _lines(_content(path))
    return Told(lines)


def _days_before(folder: Path, day: str) -> list[Path]:
    with contextlib.suppress(OSError):
        names = sorted(path.name for path in folder.iterdir() if _DAY.fullmatch(path.name))
        return [folder / name for name in names if name < f"{day}.md"][-DAYS:]
    return []


def _content(path: Path) -> bytes:
    """A file that cannot be read tells nothing: then a line is rather written twice."""
    with contextlib.suppress(OSError, MoonError):
        return read_bounded(path)
    return b""


def told_in(content: bytes) -> list[str]:
    """The lines of some blocks that are not told again."""
    return list(_lines(content))


def _lines(content: bytes) -> Iterator[str]:
    """The lines under the headings that are folded."""
    folded = False
    for line in content.decode("utf-8", "replace").splitlines():
        folded = line in _TITLES if line.startswith(("#", "<!--")) else folded
        if folded and line.startswith("- "):
            yield line[2:]
