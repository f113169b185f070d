"""What may go out as text: one table of characters, and the few ways in which Moon writes text for people and models.

Promise (tests/unit/test_text.py, tests/contract/test_exits.py): whatever a session key, a file name, a message or a
model's answer holds, nothing that goes out steers a terminal, turns a line around, hides words from the eye or ends a
line where none ends. Doing it twice changes nothing, and the work grows with the length of the text only.

Two kinds of text go out, and each has its rule:

- What was said (`lines`, `one_line`, `inline`) comes out as an eye would read it: what shows nothing is left out, a
  colour code goes as a whole, what ends a line ends a line, and what nobody can tell (half a surrogate, private use)
  becomes U+FFFD. Leaving out, rather than a space, keeps words and secrets whole, so that they are found.
- What Moon says (`shown`) is made of names, paths and errors. There a hidden character is written out, `\\x1b`, so that
  no name passes for another and the reader sees what is odd about it.

JSON (`dump_json`) keeps every value exact, for programs that use keys and ids: a hidden character stands in it as
`\\u001b`.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

# --- the table: pieces of regular-expression character classes --------------------------------------------------------

LINE_ENDS = "\r\x0b\x0c\x85\u2028\u2029"
"""What ends a line beside `\\n`."""
CONTROLS = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
"""C0, DEL and C1, less tab and line ends."""
DIRECTION = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""What turns the order of the characters around it."""
UNSEEN = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
"""What shows nothing: zero width, soft hyphen, blank letters, tags, invisible operators, annotation."""
JOINERS = "\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
"""What shows nothing by itself and is needed inside some words and emoji: joiners and variation selectors."""
UNKNOWN = "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\U000f0000-\U0010ffff" + "".join(
    chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(15)
)
"""What has no meaning that both sides know: half a surrogate, private use, noncharacters."""
ANSI_SEQUENCE = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[78=>\[\]PX^_\\])"
    r"|\x9b[0-?]+[ -/]*[@-~]"
)
"""A whole terminal sequence: colour, cursor, title, link, clipboard. One that does not end loses its beginning only."""

# Where a joiner is part of what is written: scripts that join letters, pictures joined to one, forms of one character.
_JOINING_SCRIPTS = (
    "\u0600-\u061b\u061d-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u17ff\u1807-\u180a\u1810-\u18af"
    "\u1900-\u1cff\ua800-\uabff\U00010a00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
_PICTURES = "\u00a9\u00ae\u203c-\u205e\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_FORMED = "\u2200-\u22ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_MONGOLIAN = "\u1807\u180a\u1820-\u18aa"
_NEEDED = (
    rf"(?<=[{_JOINING_SCRIPTS}])[\u200c\u200d](?=[{_JOINING_SCRIPTS}])",
    rf"(?:(?<=[{_PICTURES}])|(?<=[{_PICTURES}]\ufe0f))\u200d(?=[{_PICTURES}])",
    rf"(?<=[{_PICTURES}])[\ufe0e\ufe0f]",
    r"(?<=[0-9#*])\ufe0f(?=\u20e3)",
    rf"(?<=[{_FORMED}])[\ufe00-\ufe02\U000e0100-\U000e01ef]",
    rf"(?<=[{_MONGOLIAN}])[\u180b-\u180d\u180f]",
    rf"(?<=[{_MONGOLIAN}])\u180e(?=[{_MONGOLIAN}])",
)


_PATTERNS = {
    "odd": f"[{LINE_ENDS}{CONTROLS}{DIRECTION}{UNSEEN}{JOINERS}{UNKNOWN}]",
    "line end": f"\r\n|[{LINE_ENDS}]",
    "left out": f"[{CONTROLS}{DIRECTION}{UNSEEN}]+",
    "unknown": f"[{UNKNOWN}]",
    "joiner": f"[{JOINERS}]",
    "needed": "|".join(_NEEDED),
    "needless": f"(?=[{JOINERS}])(?!{'|'.join(_NEEDED)}).",
    "ansi": ANSI_SEQUENCE,
}


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    """A part of the table, compiled when it is needed first: an idle tick needs none."""
    return re.compile(_PATTERNS[name])


def _is_plain(text: str) -> bool:
    """Whether a text holds nothing but printable ASCII, tabs and line ends: most do, and this is quickly seen."""
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


def _is_needed(found: re.Match[str]) -> bool:
    """Whether this is a joiner in a place that needs it."""
    return _pattern("needed").match(found.string, found.start()) is not None


def has_hidden(text: str) -> bool:
    """Whether anything in a text may not go out as it is (more lines than one are no reason)."""
    return not _is_plain(text) and not all(map(_is_needed, _pattern("odd").finditer(text)))


# --- what was said ----------------------------------------------------------------------------------------------------


def lines(text: str) -> str:
    """Text of many lines as it would be read: `\\n` ends a line, tabs stay, nothing hidden is left."""
    if _is_plain(text) or not _pattern("odd").search(text):
        return text
    text = _pattern("line end").sub("\n", text)
    if "\x1b" in text or "\x9b" in text:
        text = _pattern("ansi").sub("", text)
    text = _pattern("unknown").sub("\ufffd", _pattern("left out").sub("", text))
    return _pattern("needless").sub("", text) if _pattern("joiner").search(text) else text


def one_line(text: str) -> str:
    """Text as a piece of a line: as `lines`, every stretch of white space one space."""
    return " ".join(lines(text).split())


def inline(text: str) -> str:
    """Text as a piece of a line of Markdown: as `one_line`, and it can neither open nor close an HTML comment."""
    return one_line(text).replace("<!--", "&lt;!--").replace("-->", "--&gt;")


# --- what Moon says ---------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """One line of Moon's own words; hidden characters of names and paths are written out: `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    flat = text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return _pattern("odd").sub(_written_out, flat)


def _written_out(found: re.Match[str]) -> str:
    if _is_needed(found):
        return found.group()
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 archive`, `3 archives`; `many` where an s does not do."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def span(seconds: int) -> str:
    """`42 s`, `3 min`, `5 h`, `12 d`"""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def readable_size(size: float) -> str:
    """Bytes as people read them: `831 B`, `4.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


# --- documents --------------------------------------------------------------------------------------------------------


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text of exactly this value, its hidden characters as `\\u` escapes; always valid UTF-8."""
    return escape_json(json.dumps(value, ensure_ascii=False, indent=indent))


def escape_json(text: str) -> str:
    """The same JSON with its hidden characters as escapes; they can only stand in its strings."""
    return text if _is_plain(text) else _pattern("odd").sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found.group() if _is_needed(found) else json.dumps(found.group())[1:-1]


# --- tokens -----------------------------------------------------------------------------------------------------------

ASCII_PER_TOKEN = 3
BYTES_PER_TOKEN = 2
STORED_BYTES_PER_TOKEN = 5
"""Of a transcript on disk, where only its size is known: English and code come to about four, JSON adds the rest."""


def token_estimate(text: str) -> int:
    """About how many tokens a model makes of a text; rather too many than too few.

    Tokenizers are made of bytes: three ASCII characters, or two bytes of any other script, come to about a token.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    ascii_size = len(text.encode("ascii", "ignore"))
    return -(-ascii_size // ASCII_PER_TOKEN) + -(-(size - ascii_size) // BYTES_PER_TOKEN)


def within_tokens(text: str, limit: int) -> str:
    """The beginning of a text that is at most about `limit` tokens."""
    sixths = 0
    for at, char in enumerate(text):
        sixths += 2 if char < "\x80" else 3 * len(char.encode("utf-8", "surrogatepass"))
        if sixths > 6 * limit:
            return text[:at]
    return text
