"""The audit log: one JSON line for every action, also a refused one. No transcript text and no secret goes in.

It is append-only and comes in parts: a full one is set aside, and years later it goes (`moon.log_parts`).
"""

from __future__ import annotations

from typing import Any

from moon.clock import now_text
from moon.files import append_line
from moon.log_parts import set_aside_when_full
from moon.paths import Home
from moon.text import dump_json

# Some fifty thousand lines a part: about a year of one busy agent.
PART_BYTES = 16 << 20
PARTS_KEPT = 4


def record(
    home: Home,
    action: str,
    outcome: str,
    *,
    cycle_id: str = "",
    agent: str = "",
    session_key: str = "",
    session_id: str = "",
    duration_ms: int = 0,
    ids: list[str] | None = None,
    reason: str = "",
    **more: Any,
) -> None:
    """Append one line. `ids` names what the action made; `reason` says why it was refused, deferred or failed."""
    line = {
        "time": now_text(),
        "cycle_id": cycle_id,
        "agent": agent,
        "session_key": session_key,
        "session_id": session_id,
        "action": action,
        "outcome": outcome,
        "duration_ms": duration_ms,
        "ids": ids or [],
        "reason": reason,
        **more,
    }
    set_aside_when_full(home.audit_log, PART_BYTES, PARTS_KEPT)
    append_line(home.audit_log, dump_json(line).encode(), durable=False)
