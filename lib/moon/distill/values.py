"""Values that somebody states: amounts, dates, shares, clocks, versions, counts. Not the figures of a formula.

They are what is asked for later and cannot be worked out again, so they weigh more than the words around them
(`worth.py`).
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from moon.distill.cues import words_of


class Value(NamedTuple):
    """A value as it stands in a text, without the marks around it."""

    kind: str
    text: str


# How much is lost with a value of that kind: a plain date is said in every second line, a sum in few.
WEIGHT = {"money": 1.3, "share": 1.3, "date": 0.9, "time": 0.6, "version": 0.5, "number": 0.8}


@functools.cache
def _pattern() -> re.Pattern[str]:
    month = f"(?:{words_of('month')})"
    day = r"\d{1,2}(?:st|nd|rd|th|er|º|\.)?"
    dates = (
        r"\b\d{4}-\d\d-\d\d\b",
        rf"\b{month}\.? {day}(?:,? \d{{4}})?(?!\w)",
        rf"\b{day} (?:de |of )?{month}(?:\.?,?(?: de)? \d{{4}})?\b",
        rf"\b{month} \d{{4}}\b",
        r"\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
        r"(?:\d{4}[年년] ?)?\d{1,2}[月월] ?\d{1,2}[日号일]",
    )
    money = (
        r"[$€£¥₹₽]\s?\d[\d.,']*(?:[kKM]\b)?",
        r"\d[\d.,']*\s?(?:[€£¥₹₽]|(?:USD|EUR|CHF|GBP|euros?|dollars?|francs?)\b|元|円|원)",
    )
    clocks = (
        r"\b\d{1,2}(?:[:.]\d\d)?\s?[ap]\.?m\b",
        r"\b\d{1,2}:\d\d\b",
        r"\b\d{1,2}(?:[.:]\d\d)? (?:Uhr|heures|h)\b",
        r"\d{1,2}[点時시]",
    )
    # In scripts without spaces a figure stands between letters.
    numbers = (
        r"(?<![\w.,/-])\d[\d.,']*(?:[a-zA-Zµ°]{1,4}\b)?(?!\w)",
        r"(?<=[^\W\da-zA-Z])\d+(?=[^\W\da-zA-Z])",
    )
    kinds = {
        "date": "|".join(dates),
        "money": "|".join(money),
        "share": r"\d+(?:[.,]\d+)?\s?%",
        "time": "|".join(clocks),
        "version": r"\bv\d+(?:\.\d+)*\b|\b\d+\.\d+\.\d+\b",
        "number": "|".join(numbers),
    }
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()), re.IGNORECASE)


# What stands in a formula, a piece of code or a web address is no value that somebody states.
_FORMULA = re.compile(
    r"\$[^$\n]{0,200}[\\^=+][^$\n]{0,200}\$|\\\([^\n]{0,300}?\\\)|\\\[[^\n]{0,300}?\\\]"
    r"|[^\s.!?]*[\^\\=_{}<>][^\s.!?]*|https?://\S+|(?<!\w)\w\([^)\n]{0,40}\)"
    r"|(?:[+-]\s*)?\w+\s*=\s*\S+|\d\s*[+*/×÷·≤≥−]\s*\w|\w\s*[+*/×÷·≤≥−]\s*\d|\d\w?\s-\s\d*\w?(?!\w)"
)
_LONGEST = 2000
_DIGIT = re.compile(r"\d")


def values_in(text: str) -> list[Value]:
    """The values of a text in their order, each as often as it stands there."""
    if not _DIGIT.search(text):
        return []
    plain = _FORMULA.sub(lambda match: " " * len(match.group(0)), text[:_LONGEST])
    return [Value(match.lastgroup or "number", match.group(0).strip(" .,'")) for match in _pattern().finditer(plain)]


def exact_in(text: str) -> list[str]:
    """The values of a text that nobody arrives at by counting: sums, shares, dates, clocks, versions."""
    return [value.text for value in values_in(text) if value.kind != "number"]
