"""What a compaction must show to count as done. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """How large a session is at one moment."""

    events: int
    used_tokens: int | None
    compactions: int


def shrinkage(before: Extent, after: Extent) -> str:
    """In words, how the session shrank; empty when it did not.

    The exit code and the answer of the command do not count: it says ok for a session it does not know.
    """
    if after.compactions <= before.compactions:
        return ""
    if after.used_tokens is None:
        return "compacted; its usage is known after the next turn"
    if before.used_tokens and after.used_tokens < before.used_tokens:
        return f"{before.used_tokens} tokens became {after.used_tokens}"
    return ""


def is_compacted_already(answer: dict[str, object]) -> bool:
    """Does OpenClaw say that nothing is left to summarise?"""
    reason = str(answer.get("reason")).lower()
    return answer.get("compacted") is False and ("already compacted" in reason or "nothing to compact" in reason)
