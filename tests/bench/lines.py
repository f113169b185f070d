"""What can be asked of any line of a distillation: is it whole, and does it stand in its source?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from moon.distill.turns import Turn
from moon.fulltext.words import words

# A word that two said things may be joined by ("March 31, was March 15") is no content.
SHORTEST_CONTENT = 4
WORDS_TO_FIND = 5
_BEGINS_SMALL = re.compile(r"[a-z]+[,;]? ")
_BROKEN_OFF = (",", ";", ".", ")", "]")
# What stands before a sentence: nothing, a line end, the end of another one, a picture; list signs and quotes between.
_BORDER = re.compile(r"(?:\A|\n|[.!?…:]|[\u2190-\u2bff\U0001f000-\U0001faff])[\s*>\"'(\[\d.)-]*\Z")
_ENDS_INSIDE = (":", ",", ";", "(", " and", " or", " the")


def is_fragment(line: str, turns: Iterable[Turn]) -> bool:
    """Does a line begin in the middle of a sentence of these turns, or end before what it announces?"""
    text = line.strip()
    if text.endswith(_ENDS_INSIDE) or text[:1] in _BROKEN_OFF:
        return True
    return bool(_BEGINS_SMALL.match(text)) and not any(_begins_sentence(text, turn.text) for turn in turns)


def _begins_sentence(line: str, text: str) -> bool:
    """Whether a line stands in a text where a sentence begins: some people write those small."""
    start = r"\s+".join(map(re.escape, line.split()[:WORDS_TO_FIND]))
    return any(_BORDER.search(text[: found.start()]) for found in re.finditer(start, text))


def foreign(lines: Iterable[str], turns: Iterable[Turn]) -> list[str]:
    """The lines with a content word that nobody said in these turns."""
    said = {word for turn in turns for word in words(turn.text)}
    return [line for line in lines if any(len(word) >= SHORTEST_CONTENT and word not in said for word in words(line))]
