"""Event lines as OpenClaw writes them: compact JSON, one object a line."""

from __future__ import annotations

import json
from typing import Any

WHEN = "2026-11-22T06:00:00.000Z"


def line(value: Any) -> bytes:
    """Compact JSON bytes, unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def header(session_id: str, version: int = 4) -> bytes:
    """The first line of a transcript."""
    return line({"type": "session", "version": version, "id": session_id, "timestamp": WHEN, "cwd": "/srv/agent"})


def message(event_id: str, text: str, role: str = "user", parent: str | None = None, when: str = WHEN) -> bytes:
    """A message with one text block."""
    content = [{"type": "text", "text": text}]
    body = {"role": role, "content": content}
    return line({"type": "message", "id": event_id, "parentId": parent, "timestamp": when, "message": body})


def tool_call(event_id: str, name: str, arguments: dict[str, Any]) -> bytes:
    """An assistant message that calls a tool."""
    block = {"type": "toolCall", "id": f"call_{event_id}", "name": name, "arguments": arguments}
    body = {"role": "assistant", "content": [block], "stopReason": "toolUse"}
    return line({"type": "message", "id": event_id, "parentId": None, "timestamp": WHEN, "message": body})


def tool_result(event_id: str, name: str, text: str) -> bytes:
    """What a tool answered."""
    body = {"role": "toolResult", "toolName": name, "content": [{"type": "text", "text": text}], "isError": False}
    return line({"type": "message", "id": event_id, "parentId": None, "timestamp": WHEN, "message": body})


def reset(event_id: str) -> bytes:
    """What `sessions.reset` appends."""
    return line({"type": "reset", "id": event_id, "parentId": None, "timestamp": WHEN, "reason": "new"})


def compaction(event_id: str, summary: str) -> bytes:
    """What `sessions compact` appends."""
    return line({"type": "compaction", "id": event_id, "parentId": None, "timestamp": WHEN, "summary": summary})


def conversation(session_id: str, turns: int, start: int = 0) -> list[bytes]:
    """A header and so many turns of user and assistant."""
    lines = [] if start else [header(session_id)]
    for number in range(start, start + turns):
        lines.append(message(f"{session_id}-u{number}", f"question number {number} about the lantern register"))
        lines.append(message(f"{session_id}-a{number}", f"answer number {number}: shelf {number * 7}", "assistant"))
    return lines
