"""Regular expressions whose time grows with the text and with nothing else: RE2, loaded when the first is needed.

Moon's own patterns work on Latin-1 bytes, of which there are as many as characters, so no position is converted; a
user's work on text. RE2 takes about 8 ms and 3 MB to load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

from moon.errors import MoonError

Spans = list[tuple[int, int]]


class EngineMissing(MoonError):
    """RE2 is not installed: nothing can be redacted, so nothing may be written or sent that must be."""

    code = "redaction_missing"


class PatternUnusable(ValueError):
    """A user's pattern that the engine cannot run, with the reason in words."""


class ByteSearch:
    """A pattern over Latin-1 bytes. `names` are its named groups in order, by number."""

    def __init__(self, pattern: str, max_mem: int = 16 << 20) -> None:
        """Raises `EngineMissing`."""
        made = engine().compile(pattern.encode("latin-1"), latin_1(max_mem))
        self.names: list[int] = sorted(made.groupindex.values())
        # The match objects of the package cost three times the search, so the binding below them is asked.
        self._match = made._regexp.Match
        self._anywhere, self._here = engine()._Anchor.UNANCHORED, engine()._Anchor.ANCHOR_START

    def search(self, data: bytes, position: int = 0) -> Spans | None:
        """The first match from there on: (start, end) of it and of each group; (-1, -1) for one that took no part."""
        spans: Spans = self._match(self._anywhere, data, position, len(data))
        return None if spans[0][0] < 0 else spans

    def all(self, data: bytes) -> Iterator[Spans]:
        """Every match, none in another."""
        position = 0
        while spans := self.search(data, position):
            yield spans
            position = spans[0][1]

    def end_of_match(self, data: bytes, position: int, limit: int) -> int:
        """Where the match that begins there ends; `position` where none does."""
        spans: Spans = self._match(self._here, data, position, limit)
        return max(position, spans[0][1])


@cache
def compiled(pattern: str) -> ByteSearch:
    """The pattern, compiled once in a process. Raises `EngineMissing`."""
    return ByteSearch(pattern)


def user_pattern(expression: str) -> Any:
    """A user's own pattern, over text. Raises `EngineMissing`, `PatternUnusable` with what is not supported."""
    options = engine().Options()
    options.log_errors = False
    try:
        made = engine().compile(expression, options)
    except engine().error as error:
        raise PatternUnusable(_unsupported(expression) or _words(error)) from error
    if made.search("") is not None:
        raise PatternUnusable("it matches the empty text, so it would cut everywhere")
    return made


_UNSUPPORTED = {
    "look-ahead (?= and (?!": r"\(\?[=!]",
    "look-behind (?<= and (?<!": r"\(\?<[=!]",
    "back-references": r"\\[1-9]|\(\?P=|\\k<",
    "conditions (?(": r"\(\?\(",
    "atomic groups and possessive repeats": r"\(\?>|[*+?}]\+",
}


def _unsupported(expression: str) -> str:
    found = [name for name, pattern in _UNSUPPORTED.items() if re.search(rf"(?<!\\)(?:\\\\)*(?:{pattern})", expression)]
    return f"{' and '.join(found)} are not supported" if found else ""


def _words(error: Exception) -> str:
    detail = error.args[0] if error.args else error
    return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)


def match_of(compiled_set: Any) -> Callable[[bytes], list[int]]:
    """Ask a compiled set which of its patterns stand in a text, without the package's wrapper around it."""
    match: Callable[[bytes], list[int]] = compiled_set._set.Match
    return match


@lru_cache(maxsize=1)
def engine() -> Any:
    """The module `re2`. Raises `EngineMissing`."""
    try:
        import re2
    except ImportError as error:
        raise EngineMissing(
            "secrets cannot be looked for: the package google-re2 is not installed",
            hint="`make venv` installs it; where there is no wheel for the machine, pip builds it from RE2's sources",
        ) from error
    return re2


def latin_1(max_mem: int) -> Any:
    """Options for a pattern over Latin-1 bytes."""
    options = engine().Options()
    options.encoding = engine().Options.Encoding.LATIN1
    options.max_mem = max_mem
    options.log_errors = False
    return options
