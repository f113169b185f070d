"""Does a text stand in something, however it is written there? For taking it out, so rather found once too often.

Compared are letters, not bytes: composed or decomposed, full width or not, upper or lower case, whatever white space is
between the words, with what shows nothing left out. In JSON every string is looked into, also one that is itself JSON.
A text without spaces is looked for in each reading as well (`readings.py`): escaped, coloured, wrapped over lines.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from moon.errors import UsageWrong
from moon.readings import readings
from moon.text import lines

LEAST_LETTERS = 3
# A text without spaces that long, with more than letters in it, is no word: it is also found where spaces break it up.
LEAST_SOLID = 8
NESTED = 4
_SPACE = re.compile(r"\s+")


class TextMatch:
    """Looks for one text."""

    def __init__(self, text: str) -> None:
        """Raises `UsageWrong` for a text that would be found nearly everywhere."""
        self.text = text
        self._wanted = folded(text).strip()
        if sum(character.isalnum() for character in self._wanted) < LEAST_LETTERS and self._wanted.isascii():
            raise UsageWrong(
                f"--match needs a text with at least {LEAST_LETTERS} letters or digits", hint="give more of it"
            )
        if not self._wanted:
            raise UsageWrong("--match needs a text", hint="see `moon-forget --help`")
        self._is_one = len(self._wanted) >= LEAST_SOLID and " " not in self._wanted
        self._is_solid = self._is_one and not self._wanted.isalpha()

    def is_in(self, text: str) -> bool:
        """Does it stand in this text?"""
        bare = folded(text)
        if self._wanted in bare or (self._is_solid and self._wanted in bare.replace(" ", "")):
            return True
        return self._is_one and any(
            self._wanted in folded(reading.text) for reading in readings(text) if reading.is_undressed
        )

    def is_in_value(self, value: Any, depth: int = NESTED) -> bool:
        """Does it stand in any string of a JSON value, a name included?"""
        return any(self._is_in_string(each, depth) for each in _strings(value))

    def _is_in_string(self, text: str, depth: int) -> bool:
        if self.is_in(text):
            return True
        if not depth or not text.lstrip().startswith(("{", "[", '"')):
            return False
        try:
            return self.is_in_value(json.loads(text), depth - 1)
        except (ValueError, RecursionError):
            return False

    def is_in_line(self, data: bytes) -> bool:
        """Does it stand in a line of JSON, or in bytes that are none?"""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return self.is_in(data.decode("utf-8", "replace"))
        # A name that stands twice in an object hides the first of its values.
        return self.is_in_value(value) or self._wanted in folded(data.decode("utf-8", "replace"))


def folded(text: str) -> str:
    """A text as it is compared."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", lines(text)).casefold())
        # Turkish has a pair of each i, and which one a capital is of depends on the language.
        text = text.replace("i\u0307", "i").replace("\u0131", "i")
    else:
        text = lines(text).lower()
    return _SPACE.sub(" ", text)


def _strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, (int, float)) and not isinstance(each, bool):
            yield str(each)
