"""What can be asked of any line of a distillation: is it whole, and does it stand in its source?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from moon.distill.turns import Turn
from moon.fulltext.words import words

# A word that two said things may be joined by ("March 31, was March 15") is no content.
SHORTEST_CONTENT = 4
_BEGINS_INSIDE = re.compile(r"[a-z]+[,;]? |[,;.)\]]")
_ENDS_INSIDE = (":", ",", ";", "(", " and", " or", " the")


def is_fragment(line: str) -> bool:
    """Does a line begin in the middle of a sentence, or end before what it announces?"""
    text = line.strip()
    return bool(_BEGINS_INSIDE.match(text)) or text.endswith(_ENDS_INSIDE)


def foreign(lines: Iterable[str], turns: Iterable[Turn]) -> list[str]:
    """The lines with a content word that nobody said in these turns."""
    said = {word for turn in turns for word in words(turn.text)}
    return [line for line in lines if any(len(word) >= SHORTEST_CONTENT and word not in said for word in words(line))]
