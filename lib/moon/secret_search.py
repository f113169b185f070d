"""Where secrets stand in one reading of a text: every rule on RE2, which cannot backtrack.

One pass over the text with all rules at once (an RE2 set) says which of them can match; only those are tried, each in
one pass more. Patterns work on Latin-1 bytes, of which there are as many as characters, so no position is converted.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from moon.linear_regex import compiled, engine, latin_1, match_of
from moon.readings import BASE64, HEX, Reading
from moon.secret_rules import BLOCK_KIND, BLOCK_MARKS, BLOCK_REST, ENCODED, LONGEST_BLOCK, RULES

SHORTEST_REPEATED = 8
_LOOKED_AT_AGAIN = 256


class Span(NamedTuple):
    """A secret from `start` to `end`; `seen_from` is where the words begin that gave it away, `rank` who goes first."""

    start: int
    end: int
    kind: str
    seen_from: int
    rank: int


# --- all rules at once ------------------------------------------------------------------------------------------------

_BLOCKS = len(RULES)


@lru_cache(maxsize=1)
def _glance() -> Callable[[bytes], list[int]]:
    """Ask which rules (by number), and behind them blocks, can stand in a text."""
    made = engine().Set.SearchSet(latin_1(64 << 20))
    heads = [rule.head or rule.pattern for rule in RULES]
    for pattern in (*heads, r"-----|PuTTY-User-Key"):
        made.Add(_COUNTED.sub(_hardly_counted, pattern).encode("latin-1"))
    made.Compile()
    return match_of(made)


class Found(NamedTuple):
    """What a search found: secrets, values that are secrets elsewhere too, encoded text to look into."""

    spans: list[Span]
    values: dict[str, str]
    encoded: list[tuple[str, int, int]]
    starts: set[int]


def search(reading: Reading) -> Found:
    """Every secret in this reading that a rule knows, in one pass and one more for each rule that can match."""
    text, data = reading.text, reading.data
    found = Found([], {}, [], set())
    rules = _glance()(data)
    if not rules and not reading.signs:
        return found
    for number in sorted(rules):
        if number < _BLOCKS:
            _search_rule(number, text, data, found)
        else:
            found.spans.extend(_blocks(data))
    for encoding, sign in (("base64", BASE64), ("hex", HEX)):
        if sign in reading.signs:
            found.encoded.extend(_runs(encoding, data))
    return found


_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def _hardly_counted(count: re.Match[str]) -> str:
    """A repeat that allows more: how far all rules together have counted would be most of what the set remembers."""
    least, most = int(count[1]), count[2]
    few = least <= 6 and (most is None or (most != "" and int(most) <= 12))
    return count.group() if few else f"{{{min(least, 6)},}}"


def _search_rule(number: int, text: str, data: bytes, found: Found) -> None:
    rule = RULES[number]
    pattern = compiled(rule.pattern)
    position, end = 0, len(data)
    while position < end and (spans := pattern.search(data, position)):
        start, stop = next(spans[name] for name in pattern.names if spans[name][0] >= 0)
        position = stop
        if start in found.starts and rule.spreads:
            continue  # the same value was found by a rule that goes first
        value = text[start:stop]
        if rule.accept is None or rule.accept(value):
            _take(Span(start, stop, rule.kind, spans[0][0] if rule.spreads else start, number), value, found)
        elif rule.spreads and stop - start <= _LOOKED_AT_AGAIN:
            # What was taken for a value may begin another secret: `secret: token: abc…`.
            position = start


def _take(span: Span, value: str, found: Found) -> None:
    found.starts.add(span.start)
    found.spans.append(span)
    if RULES[span.rank].spreads and distinctive(value):
        found.values.setdefault(value, span.kind)


def distinctive(value: str) -> bool:
    """Whether this value elsewhere in the text can only be the same secret."""
    return len(value) >= SHORTEST_REPEATED and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _blocks(data: bytes) -> Iterator[Span]:
    """Private keys from their first mark to their last, or as far as one without an end may reach."""
    marks = list(compiled(BLOCK_MARKS).all(data))
    taken = 0
    for number, (whole, begins, _) in enumerate(marks):
        if begins[0] < 0 or whole[0] < taken:
            continue
        after = marks[number + 1] if number + 1 < len(marks) else None
        if after is not None and after[1][0] < 0 and after[0][1] - whole[0] <= LONGEST_BLOCK:
            taken = after[0][1]
        else:
            limit = min(len(data), whole[1] + LONGEST_BLOCK, after[0][0] if after else len(data))
            taken = compiled(BLOCK_REST).end_of_match(data, whole[1], limit)
        yield Span(whole[0], taken, BLOCK_KIND, whole[0], -1)


# --- encoded text -----------------------------------------------------------------------------------------------------

_RUN = {
    "base64": frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-"),
    "hex": frozenset(b"0123456789abcdefABCDEF"),
}


def _runs(encoding: str, data: bytes) -> Iterator[tuple[str, int, int]]:
    """Where ASCII text stands in that encoding: (decoded, start, end) of the whole run around it."""
    pattern, letters = compiled(ENCODED[encoding]), _RUN[encoding]
    position = 0
    while spans := pattern.search(data, position):
        start, end = spans[0]
        while start > position and data[start - 1] in letters:
            start -= 1
        while end < len(data) and data[end] in letters:
            end += 1
        end += len(data[end : end + 2]) - len(data[end : end + 2].lstrip(b"=")) if encoding == "base64" else 0
        for decoded in _base64_decoded(data[start:end]) if encoding == "base64" else _hex_decoded(data[start:end]):
            if decoded:
                yield decoded, start, end
        position = end


def _base64_decoded(run: bytes) -> Iterator[str]:
    """The plain text in a run, decoded from its first character, or else from any of the next three."""
    run = run.rstrip(b"=").translate(_STANDARD)
    for phase in range(4):
        part = run[phase:]
        decoded = binascii.a2b_base64(part[: len(part) - (len(part) % 4 == 1)] + b"==")
        yield _plain_text(decoded)
        if phase == 0 and decoded.isascii():
            return


def _hex_decoded(run: bytes) -> Iterator[str]:
    digits = run.translate(None, b" :")
    for phase in range(2):
        part = digits[phase:]
        yield _plain_text(binascii.unhexlify(part[: len(part) // 2 * 2]))


_PLAIN_TEXT = re.compile(rb"[\t\n\r\x1b -~]{12,}")


def _plain_text(decoded: bytes) -> str:
    """What can be read in decoded bytes: pictures and hashes decode to noise."""
    return b"\n".join(_PLAIN_TEXT.findall(decoded)).decode("ascii")


_STANDARD = bytes.maketrans(b"-_", b"+/")


def without_overlap(spans: Iterable[Span]) -> list[Span]:
    """The spans in the order of the text; those that overlap become one, of the kind of the rule that goes first."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            first = min(last, span, key=lambda each: each.rank)
            joined[-1] = Span(last.start, max(last.end, span.end), first.kind, last.seen_from, first.rank)
        else:
            joined.append(span)
    return joined
