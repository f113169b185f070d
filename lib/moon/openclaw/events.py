"""Event lines of a transcript: their identity, and what they say.

A transcript is one JSON object a line: first `session`, then entries with `id` and `parentId` (`message`,
`compaction`, `reset`, …). The format is the same in OpenClaw's JSONL files and in its SQLite store
(docs/openclaw.md). Raw bytes are never re-encoded; parsing is only for finding and reading.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from moon.clock import parse_ms, utc_text
from moon.openclaw.transcript_store import storable

TOGETHER_BYTES = 4 << 20


class Piece(NamedTuple):
    """One readable part of an event: a text, a tool call with its arguments, or a tool's result."""

    role: str
    text: str
    tool: str | None = None


class Event(NamedTuple):
    """An event line, read. `timestamp` is RFC 3339 in UTC or None; `pieces` is empty for events that say nothing."""

    id: str
    type: str
    timestamp: str | None
    role: str
    pieces: tuple[Piece, ...]


def parse(line: bytes) -> Event | None:
    """Read an event line; None when it is not a JSON object."""
    entry = _object(line)
    if entry is None:
        return None
    kind = _text(entry.get("type"))
    message = entry.get("message")
    message = message if isinstance(message, dict) else {}
    role = _text(message.get("role")) if kind == "message" else kind
    return Event(
        _text(entry.get("id")),
        kind,
        utc_text(entry.get("timestamp")) or utc_text(message.get("timestamp")),
        role,
        tuple([piece for piece in _pieces(kind, role, entry, message) if piece.text.strip()]),
    )


_decode = json.JSONDecoder().raw_decode


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; None when it is none."""
    try:
        text = line.decode()
        entry, end = _decode(text)
        if end == len(text):
            return entry if isinstance(entry, dict) else None
    except (ValueError, RecursionError):
        pass
    # White space around it, or another encoding: both are looked for here, which takes as long as all else.
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _pieces(kind: str, role: str, entry: dict[str, Any], message: dict[str, Any]) -> Iterator[Piece]:
    if kind == "message":
        tool = _text(message.get("toolName")) or None
        yield from _content(role, message.get("content"), tool)
    elif kind in ("compaction", "branch_summary"):
        yield Piece(kind, _text(entry.get("summary")))
    elif kind == "custom_message":
        yield from _content(kind, entry.get("content"), None)


def _content(role: str, content: Any, tool: str | None) -> Iterator[Piece]:
    if isinstance(content, str):
        yield Piece(role, content, tool)
        return
    for block in content if isinstance(content, list) else []:
        if not isinstance(block, dict):
            continue
        kind = block.get("type")
        if kind == "text":
            yield Piece(role, _text(block.get("text")), tool)
        elif kind in ("toolCall", "tool_use", "toolUse"):
            name = _text(block.get("name"))
            arguments = block.get("arguments", block.get("input"))
            yield Piece("toolCall", f"{name} {flatten(arguments)}".strip(), name or None)


def flatten(value: Any) -> str:
    """The words in a tool call's arguments: every value, one a line, commands and paths as they stand."""
    if isinstance(value, dict):
        return "\n".join(filter(None, (flatten(each) for each in value.values())))
    if isinstance(value, list):
        return "\n".join(filter(None, (flatten(each) for each in value)))
    if value is None or isinstance(value, bool):
        return ""
    return storable(str(value))


def _text(value: Any) -> str:
    return storable(value) if isinstance(value, str) else ""


def event_id(line: bytes) -> str:
    """The `id` of an event line; empty when it has none or is not JSON."""
    entry = _object(line)
    return "" if entry is None else _text(entry.get("id"))


def event_stamp(line: bytes) -> tuple[str, int | None]:
    """(the `id`, empty where there is none; when it happened, in milliseconds, None where the line does not say so)."""
    entry = _object(line) or {}
    message = entry.get("message")
    at = parse_ms(entry.get("timestamp"))
    if at is None and isinstance(message, dict):
        at = parse_ms(message.get("timestamp"))
    return _text(entry.get("id")), at


def event_ids(lines: Sequence[bytes]) -> list[str]:
    """`event_id` of each line, at a third of the cost: all of them are parsed as one JSON array.

    Large ones are not: that would hold them twice.

    Between each two stands a number that nobody can know. So no line can begin what another one ends: the array has
    as many values as it should, and the number at every other place, only if each line is a JSON value by itself.
    """
    mark = random.SystemRandom().getrandbits(60)
    if sum(map(len, lines)) > TOGETHER_BYTES:
        return [event_id(line) for line in lines]
    try:
        values = json.loads(b"[" + (b",%d," % mark).join(lines) + b"]")
    except (ValueError, RecursionError):
        values = []
    if len(values) != 2 * len(lines) - 1 or values[1::2].count(mark) != len(lines) - 1:
        return [event_id(line) for line in lines]
    ids = [entry.get("id") if isinstance(entry, dict) else "" for entry in values[::2]]
    return [each if type(each) is str and each.isascii() else _text(each) for each in ids]
