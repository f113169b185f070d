r"""A text as it would be read: without colour codes and invisible characters, escapes undone, hard wraps joined.

A secret is still a secret when it stands behind an ANSI code, as `\u0067hp_…` in JSON, as `%3D` in a URL, broken over
two lines. Each `Reading` takes one kind of clothing off and remembers where every character came from, so that what is
found in it can be cut out of the text as it was written.

The trick that keeps this linear and quick: what is undone keeps its length first. `\n` becomes a `_PART` and a newline,
a colour code as many `_GONE` as it has characters; that is a plain replacement. The reading is this text without the
two marks, and without the lines in which there is none: what they show was seen before. Only where something is found
are positions counted.
"""

from __future__ import annotations

import bisect
import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from moon.linear_regex import compiled, engine, latin_1, match_of
from moon.secret_rules import ENCODED
from moon.text import ANSI_SEQUENCE, DIRECTION, JOINERS, UNSEEN

_GONE = "\0"
"""Stands for a character that is not read at all."""
_PART = "\1"
"""Stands for a character that belongs to the one that follows: the rest of an escape."""
_BACKSLASH = "\2"
_LEFT_OUT = ";"
"""Stands for lines that were left out; no rule looks over it for a value."""
MOST_LAYERS = 4


class Reading:
    """A text, what stands in it as read, and the way back. `data` is the text with one byte for each character, `signs`
    are the numbers of `_SIGNS` that stand in it.
    """

    def __init__(self, text: str, source: _Source | None = None) -> None:
        self.text = text
        self.data = text.encode("latin-1", "replace")
        self._source = source
        self.signs: list[int] = _signs()(self.data)

    @property
    def is_undressed(self) -> bool:
        return self._source is not None

    def undressed(self, padded: str) -> Reading:
        """The reading in which the marks of `padded`, which is as long as this text, are left out; self if none."""
        if padded == self.text:
            return self
        source = _Source(self, *_marked_lines(padded))
        if not source.padded or any(mark in padded or mark in _unmarked(source.padded) for mark in _OF_BLOCKS):
            source = _Source(self, padded, [(0, 0)])
        return Reading(_unmarked(source.padded), source)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters from `start` to `end` come from in the text as it was written."""
        return self._source.origin(start, end) if self._source else (start, end)


class _Source:
    """Where a reading comes from: lines of its parent with marks in them, and where each of these lines began."""

    def __init__(self, parent: Reading, padded: str, lines: list[tuple[int, int]]) -> None:
        self.parent = parent
        self.padded = padded
        self._lines = lines
        self._gaps: list[tuple[int, int]] = []

    def origin(self, start: int, end: int) -> tuple[int, int]:
        self._gaps = self._gaps or _gaps(self.padded)
        first, last = _moved(start, self._gaps), _moved(end - 1, self._gaps)
        while first > 0 and self.padded[first - 1] == _PART:
            first -= 1
        return self.parent.origin(_moved(first, self._lines), _moved(last, self._lines) + 1)


# Where one of these stands, a secret goes over many lines, not all of which need to be clothed.
_OF_BLOCKS = ("-----BEGIN", "-----END", "PuTTY-User-Key", "Private-MAC")


def _unmarked(padded: str) -> str:
    return padded.replace(_GONE, "").replace(_PART, "")


def _moved(position: int, shifts: list[tuple[int, int]]) -> int:
    """A position behind all that was left out up to there: `shifts` are (position, how much), in order."""
    place = bisect.bisect_right(shifts, (position, sys.maxsize)) - 1
    return position + shifts[place][1]


def _gaps(padded: str) -> list[tuple[int, int]]:
    """How much was left out up to each place of a reading where something was."""
    shifts, total = [(0, 0)], 0
    for gap in re.finditer("[\0\1]+", padded):
        begin = gap.start() - total
        total += gap.end() - gap.start()
        shifts.append((begin, total))
    return shifts


def _marked_lines(padded: str) -> tuple[str, list[tuple[int, int]]]:
    """The lines that hold a mark, a sign between those that are not neighbours, and how far each was moved."""
    pieces: list[str] = []
    shifts, position, length = [(0, 0)], 0, 0
    gone, part = padded.find(_GONE), padded.find(_PART)
    while gone >= 0 or part >= 0:
        mark = min(each for each in (gone, part) if each >= 0)
        begin = max(padded.rfind("\n", position, mark) + 1, position)
        end = padded.find("\n", mark) + 1 or len(padded)
        if begin > position:
            pieces.append(_LEFT_OUT)
            length += 1
            shifts.append((length, begin - length))
        pieces.append(padded[begin:end])
        length += end - begin
        position = end
        gone = padded.find(_GONE, end) if 0 <= gone < end else gone
        part = padded.find(_PART, end) if 0 <= part < end else part
    return "".join(pieces), shifts


def readings(text: str) -> list[Reading]:
    """Every reading of a text that shows more than the one before it, the barest first, the text as it stands last.

    Each layer is read with its hard wraps joined and then as it stands. The barest first, because what wears clothes
    in its middle looks like a shorter secret to a reading that sees them.
    """
    reading = Reading(with_stand_ins(text))
    if not reading.signs and text.isascii():
        return [reading]
    found: list[Reading] = []
    for _ in range(MOST_LAYERS + 1):
        joined = reading.undressed(_joined(reading)) if WRAPPED in reading.signs else reading
        found += [reading] if joined is reading else [reading, joined]
        is_clothed = CLOTHED in reading.signs or (not reading.text.isascii() and _unseen(reading.text))
        inner = reading.undressed(_without_a_layer(reading)) if is_clothed else reading
        if inner is reading:
            break
        reading = inner
    return found[::-1]


# --- what a text can hold ---------------------------------------------------------------------------------------------

# One pass says which of these stand in a text; what does not is not looked for.
CLOTHED, WRAPPED, LONG_RUN, BASE64, HEX = range(5)
TOKEN_RUN = "[A-Za-z0-9+/_=-]{16,}"  # noqa: S105
_NAMED = re.compile(r"\(\?P<\w+>")


@cache
def _signs() -> Callable[[bytes], list[int]]:
    made = engine().Set.SearchSet(latin_1(16 << 20))
    for pattern in (_CLOTHES, _WRAP, TOKEN_RUN, ENCODED["base64"], ENCODED["hex"]):
        made.Add(_NAMED.sub("(?:", pattern).encode("latin-1"))
    made.Compile()
    return match_of(made)


# --- one byte for each character --------------------------------------------------------------------------------------

STAND_INS = {
    **{word: "\x81" * len(word) for word in ("пароль", "Пароль", "ПАРОЛЬ", "密码", "密碼", "パスワード", "비밀번호")},
    **{word: "\x82" * len(word) for word in ("это", "は", "是", "为")},
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
    **dict.fromkeys("\u00a0\u2007\u202f\u3000", " "),
}
"""What stands for letters that Latin-1 does not hold, of the same length: the rules name these letters and signs."""
_FULL_WIDTH = re.compile("[\uff01-\uff5e]")


def with_stand_ins(text: str) -> str:
    """The text in its own length as the rules can read it."""
    if text.isascii():
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    if _among("\uff01-\uff5e").search(encoded):
        for letter in sorted(set(_FULL_WIDTH.findall(text))):
            text = text.replace(letter, chr(ord(letter) - 0xFEE0))
    if _among("паП密パ비это是为は\u2018-\u201f\u00ab\u00bb\u00a0\u2007\u202f\u3000").search(encoded):
        for word, stand_in in STAND_INS.items():
            text = text.replace(word, stand_in)
    return text


@cache
def _among(letters: str) -> Any:
    """A pattern for one of these letters, over UTF-8."""
    return engine().compile(f"[{letters}]")


# --- one layer of clothing --------------------------------------------------------------------------------------------

_ANSI = re.compile(ANSI_SEQUENCE)
_LEFT_OF_ANSI = re.compile(r"\[(?:\d{1,3}(?:[;:]\d{1,3}){0,16})?m")
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r") + b"\x7f"
_CONTROL = re.compile(f"[{re.escape(_CONTROLS.decode('latin-1'))}]")
# Joiners and variation selectors too: between the characters of a secret none of them is needed.
_UNSEEN_LETTERS = "\x80-\x9f" + DIRECTION + UNSEEN + JOINERS
_INVISIBLE = re.compile(f"[{_UNSEEN_LETTERS}]")


def _without_a_layer(reading: Reading) -> str:
    """The text in its own length with what clothes it undone by one layer."""
    text = _plainly_visible(reading)
    if "\\" in text:
        text = _backslashes_undone(text)
    if "+" in text and ("%" in text or "=" in text):
        text = _spaces_of_forms(text, reading)
    if "%" in text:
        text = _HEX_OF_URL.sub(_undone_byte, text)
    if "=3D" in text:
        text = _HEX_OF_MAIL.sub(_undone_byte, text)
    if "&" in text:
        text = _ENTITY.sub(_undone_entity, text)
    return text


def _plainly_visible(reading: Reading) -> str:
    """Without colour codes, control characters and invisible ones."""
    text = reading.text
    unseen = not text.isascii() and _unseen(text)
    if "\x1b" in text or unseen:
        text = _ANSI.sub(_gone, text)
    if "m" in text and "[" in text:
        text = _LEFT_OF_ANSI.sub(_gone, text)
    if len(reading.data.translate(None, _CONTROLS)) < len(reading.data):
        text = _CONTROL.sub(_GONE, text)
    return _INVISIBLE.sub(_GONE, text) if unseen else text


def _unseen(text: str) -> bool:
    return _among(_UNSEEN_LETTERS).search(text.encode("utf-8", "surrogatepass")) is not None


def _gone(match: re.Match[str]) -> str:
    return _GONE * (match.end() - match.start())


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "/": "/", "'": "'"}
_OTHER_ESCAPE = re.compile(
    r"\\(?:u\{?([0-9A-Fa-f]{4})\}?|x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|(e)|(\r?\n[ \t]*)|([^\w\s]|[ _]))", re.ASCII
)


def _backslashes_undone(text: str) -> str:
    text = text.replace("\\\\", _PART + _BACKSLASH)
    for letter, meant in _ESCAPES.items():
        text = text.replace("\\" + letter, _PART + meant)
    if "\\" in text:
        text = _OTHER_ESCAPE.sub(_undone_escape, text)
    return text.replace(_BACKSLASH, "\\")


def _undone_escape(match: re.Match[str]) -> str:
    whole = match.group()
    if match.lastindex in (1, 2):
        return _meant(int(match[match.lastindex], 16), whole)
    if match.lastindex == 3:
        return _meant(int(match[3], 8), whole)
    if match.lastindex == 4:
        return _PART + "\x1b"
    return _GONE * len(whole) if match.lastindex == 5 else _PART + whole[1]


def _meant(code: int, whole: str) -> str:
    """The character of that code at the end of as many marks as what stood for it was long."""
    if code < 3:
        return _GONE * len(whole)
    return _PART * (len(whole) - 1) + chr(code)


# Words in which `+` is a space: anything else in them is as forms write it, or they are the query of an address.
_OF_FORM = r"%[^ \n]*\+|\+[^ \n]*%"
_OF_QUERY = r"[?&][^ \n]*=[^ \n]*\+"


def _spaces_of_forms(text: str, reading: Reading) -> str:
    """With `+` as a space where it is one. In a bare reading one in a query may have been written as `%2B`."""
    kinds = _OF_FORM if reading.is_undressed else f"{_OF_FORM}|{_OF_QUERY}"
    pieces, position = [], 0
    for (start, end), *_ in compiled(rf"[^ \n]*(?:{kinds})[^ \n]*").all(reading.data):
        pieces += [text[position:start], text[start:end].replace("+", " ")]
        position = end
    return "".join([*pieces, text[position:]]) if pieces else text


_HEX_OF_URL = re.compile(r"%([0-7][0-9A-Fa-f])")
_HEX_OF_MAIL = re.compile(r"=(?:\r?\n|([2-7][0-9A-F]))")


def _undone_byte(match: re.Match[str]) -> str:
    return _meant(int(match[1], 16), match.group()) if match[1] else _gone(match)


# What `_without_a_layer` can undo leaves one of these: controls and backslashes, the rest of a colour code, escapes of
# addresses, forms, mail and HTML.
_CLOTHES = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\\]|\[[0-9;:]*m|%[0-7][0-9A-Fa-f]|=3D|&(?:#|[A-Za-z]{2})"
    rf"|{_OF_FORM}|{_OF_QUERY}"
)
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z]{2,8}));?")
# Those that can stand in or around a secret; the whole list of names takes longer to import than a search takes.
_ENTITIES = {
    "quot": '"', "apos": "'", "amp": "&", "lt": "<", "gt": ">", "nbsp": " ", "equals": "=", "colon": ":", "semi": ";",
    "comma": ",", "period": ".", "sol": "/", "bsol": "\\", "lowbar": "_", "hyphen": "-", "dash": "-", "plus": "+",
    "commat": "@", "percnt": "%", "num": "#", "excl": "!", "quest": "?", "ast": "*", "dollar": "$", "grave": "`",
    "lpar": "(", "rpar": ")", "lsqb": "[", "rsqb": "]", "lbrack": "[", "rbrack": "]", "lcub": "{", "rcub": "}",
    "verbar": "|", "vert": "|", "Tab": "\t", "NewLine": "\n", "Hat": "^",
}  # fmt: skip
_UNSEEN = frozenset({"shy", "zwj", "zwnj", "lrm", "rlm"})


def _undone_entity(match: re.Match[str]) -> str:
    whole, name = match.group(), match[3]
    if name is not None:
        meant = _ENTITIES.get(name)
        if meant is None or not whole.endswith(";"):
            return _gone(match) if name in _UNSEEN else whole
        return _PART * (len(whole) - 1) + meant
    code = int(match[1]) if match[1] else int(match[2], 16)
    return _meant(code, whole) if code < 0x110000 else whole


# --- hard wraps -------------------------------------------------------------------------------------------------------

# A line break within a token, where what follows looks like the rest of one: a digit in it, or a capital or an end in
# `=` behind its first letter. The last group makes that a name, not a rest.
_WRAP = (
    r"[A-Za-z0-9+/_=.~-]{4}(?P<break>\r?\n[ \t]{0,40}(?:[>|#*+] ?){0,4})"
    r"(?P<rest>(?:[A-Za-z+/_.~-]*[0-9]|[A-Za-z+/_.~-]+[A-Z=])[A-Za-z0-9+/_.~-]*=*)"
    r"(?P<after>[ \t]*[:=(]|[^\s\"'&;,)\]}])?"
)
# Numbers, dates, words in capitals, and what begins like a token of its own.
_NO_REST = re.compile(
    rb"[0-9.,:/-]*$|[0-9]{4}-[0-9]{2}|[A-Z_-]{3,}$|v?[0-9]+\.[0-9]+|AKIA|ASIA|AIza|eyJ|SG\.|hvs\."
    rb"|(?:[srp]k|gh[pousr]|github_pat|xox[a-z]|glpat|npm|pypi|hf|do[opr]_v1|shp[a-z]{2}|dckr|lin|key)[_-]"
)


def _joined(reading: Reading) -> str:
    """The text in its own length without the line breaks that cut a token in two."""
    text, data = reading.text, reading.data
    pieces, position, done = [], 0, 0
    pattern = compiled(_WRAP)
    while spans := pattern.search(data, position) if b"\n" in data else None:
        _, (begin, end), (first, last), (_, after) = spans
        position = max(last - 4, end)
        rest = data[first:last]
        if not _is_name(rest, data[last : max(after, last)]) and not _NO_REST.match(rest):
            pieces += [text[done:begin], _GONE * (end - begin)]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _is_name(word: bytes, after: bytes) -> bool:
    """Whether this begins an assignment or a call: `name=value`, `name: value`, `name(`."""
    return after != b"" and (word.endswith(b"=") or after[-1:] in (b":", b"=", b"("))
