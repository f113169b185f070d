"""Event ids as the index keeps them: OpenClaw's eight hexadecimal digits in four bytes, its UUIDs in sixteen.

Any other id is kept as its text. Bytes sort behind texts in SQLite and among themselves like the ids, so the beginning
of an id is a range of each kind.
"""

from __future__ import annotations

import re

Stored = str | bytes
_SHORT = re.compile(r"[0-9a-f]{8}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID_SHAPE = "00000000-0000-0000-0000-000000000000"
_BEHIND_ALL = "\U0010ffff"


def stored(event_id: str) -> Stored:
    """As it is kept."""
    if len(event_id) == 8 and _SHORT.fullmatch(event_id):
        return bytes.fromhex(event_id)
    if len(event_id) == 36 and _UUID.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    return event_id


def shown(kept: Stored) -> str:
    """As it was."""
    if isinstance(kept, str):
        return kept
    digits = kept.hex()
    if len(kept) != 16:
        return digits
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def beginning(start: str) -> list[tuple[Stored, Stored]]:
    """The ranges (both ends included) in which all kept ids lie that begin so, and few others."""
    ranges: list[tuple[Stored, Stored]] = [(start, start + _BEHIND_ALL)]
    if _UUID.fullmatch(start + _UUID_SHAPE[len(start) :]):
        digits = start.replace("-", "")
        low = bytes.fromhex(digits + "0" * (len(digits) % 2))
        ranges.append((low, bytes.fromhex(digits.ljust(32, "f"))))
    return ranges
