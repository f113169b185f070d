"""Words that give away what a sentence is for, in the languages people talk to their agents in (`cues.json`).

A cue is a hint and no proof: `local.py` weighs it with who says it, where, and what else stands there. A language that
is missing still gets its identifiers, commands, and the sentences that its own repeated words make central.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

_FILE = Path(__file__).with_name("cues.json")
FAILURE = re.compile(
    r"(?<!\w)(?:error|exception|traceback|fatal|panic|fail(?:ed|ure)|denied|refused|timed? ?out|not found|cannot"
    r"|segfault|oom|killed|exit (?:code|status) [1-9]\d*|unhandled|fehler|erreur|ошибка)(?!\w)|エラー|错误|失败",
    re.IGNORECASE,
)


@functools.cache
def cue(name: str) -> re.Pattern[str]:
    """The pattern of one list of `cues.json`, for instance `decision`.

    `words` are regular expressions that stand as whole words; `signs` stand anywhere, for scripts without spaces.
    `WHEN` in a word means any of the list `when`.
    """
    signs = "".join(f"|{sign}" for sign in _lists()[name]["signs"])
    return re.compile(rf"(?<!\w)(?:{words_of(name)})(?!\w){signs}", re.IGNORECASE)


def words_of(name: str) -> str:
    """The words of one list as alternatives of a regular expression."""
    when = "|".join(_lists()["when"]["words"])
    return "|".join(word.replace("WHEN", f"(?:{when})") for word in _lists()[name]["words"])


@functools.cache
def _lists() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads(_FILE.read_text("utf-8"))
    return found
