"""An FTS5 expression whose phrases are checked against the text: the index keeps no places of words.

FTS5 can then be asked only for rows that hold all words of a phrase. `with_phrase` reads an expression; `superset` is
what FTS5 is asked for, `holds` decides about a row by its terms. Expressions are made by Moon: quoted words and
phrases, `*` behind them, AND, OR, NOT and parentheses, by FTS5's precedence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|([()*])|([^\s()"*]+)')
# Where FTS5's `ascii` tokenizer ends a word: at every ASCII character but letters and digits.
_BREAKS = {code: " " for code in range(128) if not chr(code).isalnum()}
_OPERATORS = ("OR", "AND", "NOT")  # the last binds most


class Terms:
    """The terms of a row, in order."""

    def __init__(self, terms: Sequence[str]) -> None:
        self.terms = terms
        self.set = frozenset(terms)


class Sequential(NamedTuple):
    """A word, or words side by side; with `is_open` the last one may go on."""

    words: tuple[str, ...]
    is_open: bool = False

    def holds(self, row: Terms) -> bool:
        """Does a row hold this?"""
        if not self.is_open and not row.set.issuperset(self.words):
            return False
        size = len(self.words)
        return any(self._stands_at(row.terms, at) for at in range(len(row.terms) - size + 1))

    def _stands_at(self, terms: Sequence[str], at: int) -> bool:
        *first, last = self.words
        found = terms[at + len(first)]
        is_last = found.startswith(last) if self.is_open else found == last
        return is_last and list(terms[at : at + len(first)]) == first

    @property
    def has_phrase(self) -> bool:
        return len(self.words) > 1

    def superset(self) -> str:
        """An FTS5 expression for all rows that hold this, and maybe for others."""
        quoted = [f'"{word}"' for word in self.words]
        return f"({' AND '.join(quoted)}{' *' if self.is_open else ''})"


class Joined(NamedTuple):
    """Two expressions with AND, OR or NOT between them."""

    operator: str
    left: Expression
    right: Expression

    def holds(self, row: Terms) -> bool:
        """Does a row hold this?"""
        if self.operator == "OR":
            return self.left.holds(row) or self.right.holds(row)
        return self.left.holds(row) and self.right.holds(row) is (self.operator == "AND")

    @property
    def has_phrase(self) -> bool:
        return self.left.has_phrase or self.right.has_phrase

    def superset(self) -> str:
        """An FTS5 expression for all rows that hold this, and maybe for others."""
        if self.operator == "NOT" and self.right.has_phrase:
            return self.left.superset()
        return f"({self.left.superset()} {self.operator} {self.right.superset()})"


Expression = Sequential | Joined


def _words(quoted: str) -> list[str]:
    return [word for word in quoted.translate(_BREAKS).split(" ") if word]


def with_phrase(text: str) -> Expression | None:
    """The expression, where it has a phrase: what FTS5 alone can answer needs no reading."""
    if not any(len(_words(quoted)) > 1 for quoted, _, _ in _TOKEN.findall(text)):
        return None
    return read(text)


def read(text: str) -> Expression:
    """The expression, taken apart."""
    return _Reading(text).either(0)


class _Reading:
    """Takes an expression apart."""

    def __init__(self, text: str) -> None:
        self.tokens = [match.groups() for match in _TOKEN.finditer(text)]
        self.at = 0

    def _next_is(self, token: str) -> bool:
        if self.at < len(self.tokens) and token in self.tokens[self.at][1:]:
            self.at += 1
            return True
        return False

    def either(self, level: int) -> Expression:
        """An expression of operators that bind at least as much as that of the level."""
        if level == len(_OPERATORS):
            return self._operand()
        inner: Callable[[], Expression] = lambda: self.either(level + 1)  # noqa: E731
        found = inner()
        while self._next_is(_OPERATORS[level]):
            found = Joined(_OPERATORS[level], found, inner())
        return found

    def _operand(self) -> Expression:
        if self._next_is("("):
            found = self.either(0)
            self._next_is(")")
            return found
        quoted, _, bare = self.tokens[self.at]
        self.at += 1
        words = tuple(word.lower() if word.isascii() else word for word in _words(quoted or bare or ""))
        return Sequential(words, self._next_is("*"))
