"""Long run-on sentences cut into clauses that read well alone, and what stands around a statement taken off.

A clause begins where somebody speaks of themselves again (", and I …") or asks for something (", can you …"); what
depends on what was said before ("which …", "it …", "if …") is never cut off. Which words those are is in `cues.json`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from moon.distill.cues import cue, words_of

# A statement that short is not cut into its clauses; a request after it is.
SHORT = 110
LEAST = 14
# A sentence without a good border is rather long than torn; beyond this it ends in a mark.
LONGEST = 480
CUT_OFF = " …"
# What follows the last value of a statement is left off if it is longer than this.
TRAILING = 24


@functools.cache
def _borders() -> re.Pattern[str]:
    """Where a clause may end; groups: the words in between, and whether a request comes next."""
    between = rf"(?:[,;،，；]|\s[–—-])\s+(?:(?:{words_of('joiner')})[,]?\s+)*|\s+(?:but|so|aber|mais|pero|но)\s+"
    return re.compile(
        rf"(?:{between})(?:(?=(?P<request>(?:{words_of('request')}|{words_of('question')})(?!\w)))|(?=(?:{words_of('speaker')})(?!\w)))",
        re.IGNORECASE,
    )


def clauses(sentence: str) -> Iterator[str]:
    """A sentence in parts that each read well alone; one that is short or has no good border as it is."""
    start = 0
    for border in _borders().finditer(sentence):
        left = sentence[start : border.start()]
        long_enough = border["request"] or len(sentence) - start > SHORT
        if long_enough and len(sentence) - border.end() >= LEAST and stands_alone(left):
            yield from _told_in(_whole(left, start))
            start = border.end()
    yield from map(shortened, _told_in(_whole(sentence[start:], start)))


@functools.cache
def _reasons() -> re.Pattern[str]:
    """Where a question goes on to what it is asked for: "…, since I …", "… when we …"."""
    return re.compile(rf"[,]?\s+(?:{words_of('reason')})\s+(?=(?:{words_of('speaker')})(?!\w))", re.IGNORECASE)


def _told_in(text: str) -> Iterator[str]:
    """A text; of a question that ends with what somebody tells of themselves, with a figure, the two apart."""
    last = None
    if text.endswith("?") or cue("question").match(without_lead_in(text)):
        last = next((each for each in _reasons().finditer(text) if _FIGURE.search(text, each.end())), None)
    if last is None or len(text) - last.end() < LEAST:
        yield text
        return
    yield text[: last.start()] + ("?" if text.endswith("?") else "")
    yield _whole(text[last.end() :].rstrip("?"), last.end())


_FIGURE = re.compile(r"\d")


def stands_alone(text: str) -> bool:
    """Whether words before a border are a statement of their own, not the beginning of one."""
    text = without_lead_in(text.strip())
    joiner = cue("joiner").match(text)
    text = text[joiner.end() :].lstrip(" ,") if joiner else text
    if len(text) < LEAST or text.count(" ") < 2 or text.count("(") != text.count(")") or text.count('"') % 2:
        return False
    return not any(cue(name).match(text) for name in ("dependent", "request", "question"))


# "…, like, what is …"
_FILLER = re.compile(r"(?i),\s+(?:like|you know|well|btw|anyway)$")


def _whole(text: str, start: int) -> str:
    """A clause without the marks and fillers at its ends; one from the middle of a sentence begins with a capital."""
    text = _FILLER.sub("", text.strip(" ,;–—-"))
    return text[:1].upper() + text[1:] if start else text


def shortened(text: str) -> str:
    """At most LONGEST characters; what is left off leaves a mark at the end."""
    if len(text) <= LONGEST:
        return text
    room = LONGEST - len(CUT_OFF)
    at = max(text.rfind(mark, room // 2, room) for mark in (". ", "; ", ", ", "。", "，", "、", " "))
    return text[: at if at > 0 else room].rstrip(" ,;") + CUT_OFF


def without_lead_in(text: str) -> str:
    """A sentence without the "OK, great:" before it."""
    while match := cue("lead_in").match(text):
        rest = text[match.end() :].lstrip()
        if rest[:1] not in (",", ".", "!", ":", ";", "-", "–", "—", "，", "。", "！"):
            return text
        text = rest.lstrip(",.!:;-–—，。！ ")
    return text


def told(text: str) -> str:
    """A line without its lead-in; where one was taken off, it begins with a capital."""
    rest = without_lead_in(text)
    return rest[:1].upper() + rest[1:] if rest and rest != text else text


def without_frame(text: str) -> str:
    """A statement without the feeling or finding it is told with: "I'm a bit worried about …", "I found out that …"."""
    rest = text
    while match := cue("frame").match(rest):
        rest = rest[match.end() :].lstrip(" ,:")
    if (
        rest == text
        or len(rest) < LEAST
        or rest.count(" ") < 2
        or cue("joiner").match(rest)
        or cue("pronoun").match(rest)
        or _object().match(rest)
    ):
        return text
    return rest[:1].upper() + rest[1:]


@functools.cache
def _object() -> re.Pattern[str]:
    """The thing that was found, and not what was found of it: "I realized my mistake and corrected it"."""
    return re.compile(
        rf"(?:my|our|the|an?|mein\w*|unser\w*|ma|mon|mi|mis|la|el)\s\w+\s(?:{words_of('joiner')})\s", re.IGNORECASE
    )


_COMMA = re.compile(r"[,;]\s+(?!\d)|\s[–—-]\s")


@functools.cache
def _enumeration() -> re.Pattern[str]:
    """What comes after a comma within an enumeration: "…, quotient, and chain rules"; no new clause."""
    return re.compile(
        rf"[,;]\s+(?!(?:{words_of('dependent')}|{words_of('joiner')}|{words_of('speaker')})(?!\w))[^\s,;]+,?\s+"
        rf"(?:and|or|und|oder|et|ou|y|o|e)\s+(?!(?:{words_of('speaker')}|{words_of('pronoun')})(?!\w))",
        re.IGNORECASE,
    )


def without_trailing(text: str, last: int) -> str:
    """A statement without what hangs on behind its last value, which ends at `last`, after a comma."""
    border = _COMMA.search(text, last)
    if not border or len(text) - border.start() < TRAILING or not stands_alone(text[: border.start()]):
        return text
    if _enumeration().match(text, border.start()):
        return text
    return text[: border.start()]
