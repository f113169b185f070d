"""What a user wrote, told from what OpenClaw and Moon put around it or bring in as a message of the user's."""

from __future__ import annotations

import re

# How messages begin that Moon itself brought in: they stand in the user's place, but are not the user's words.
CONTINUITY_MAP = "# Continuity map "
RECALLED = "Recalled from Moon's archive"
# What OpenClaw puts around a user's words: a clock prefix, and a block meant for the model of that turn alone.
_CLOCK = re.compile(r"^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d [^\]\n]{1,40}\]\s*")
_INTERNAL = re.compile(r"<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>.*?(?:<<<END_OPENCLAW_INTERNAL_CONTEXT>>>|\Z)", re.DOTALL)
# What Moon puts before a message that it sends again.
_SENT_AGAIN = re.compile(r"^\(Sent again by Moon: [^)\n]*\)\s*")


def own_words(text: str) -> str:
    """A user's message without what was put around it."""
    return _SENT_AGAIN.sub("", _CLOCK.sub("", _INTERNAL.sub("", text).strip())).strip()


def is_brought_in(text: str) -> bool:
    """Whether Moon brought this message in: a continuity map, or recalled text."""
    return text.startswith((CONTINUITY_MAP, RECALLED))
