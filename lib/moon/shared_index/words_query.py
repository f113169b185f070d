"""Expressions as PostgreSQL's text search reads them, and the words that it can keep. Pure.

Words are Moon's own, cut and stemmed already (`moon.fulltext.words`); PostgreSQL only stores and intersects them.
"""

from __future__ import annotations

from moon.fulltext.expression import Expression, Joined

# PostgreSQL keeps lexemes of at most 2,046 bytes; of a longer word the beginning stands for it.
LONGEST = 2000
OPERATORS = {"OR": "|", "AND": "&", "NOT": "& !"}


def lexeme(word: str) -> str:
    """A word as it is kept."""
    if len(word) * 4 <= LONGEST:
        return word
    return word.encode()[:LONGEST].decode("utf-8", "ignore")


def lexemes(terms: str) -> str:
    """Words between spaces, each as it is kept."""
    if len(terms) * 4 <= LONGEST:  # as nearly always
        return terms
    return " ".join(map(lexeme, terms.split(" ")))


def tsquery(expression: Expression) -> str:
    """The expression in PostgreSQL's writing; a phrase asks for rows that hold all of its words."""
    if isinstance(expression, Joined):
        left = tsquery(expression.left)
        if expression.operator == "NOT" and expression.right.has_phrase:
            return left
        return f"({left} {OPERATORS[expression.operator]} {tsquery(expression.right)})"
    *first, last = (f"'{lexeme(word)}'" for word in expression.words)
    return f"({' & '.join([*first, last + (':*' if expression.is_open else '')])})"
