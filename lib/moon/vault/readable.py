"""What every reader of a ledger line relies on. Pure.

A line in which any of it is missing or of another shape cannot be read, whatever else it says: it is passed over as
damage, so that no reader has to guard itself against it. Far cheaper than the schema, which `verify` asks as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from moon.openclaw.transcript_store import storable
from moon.vault.standing import Line

MEASURES = {
    "archive_path": str,
    "sha256": str,
    "events": int,
    "bytes": int,
    "ordinal": int,
    "first_event_id": str,
    "last_event_id": str,
    "archived_at": str,
}
SEGMENT = {"agent": str, "session_key": str, "session_id": str, **MEASURES}
NEEDED: dict[str, dict[str, type]] = {
    "archive": SEGMENT,
    "pack": {**SEGMENT, "segments": list},
    "retired": {**SEGMENT, "lost": int},
    "forgotten": {
        "agent": str,
        "session_key": str,
        "session_id": str,
        "forgotten_at": str,
        "scope": str,
        "gone": list,
    },
    "aside": {"agent": str, "session_key": str, "session_id": str, "sha256": str, "event_id": str},
    "link": {"agent": str, "session_key": str, "linked_at": str},
    "mended": {"lines": list},
}
KEPT = {"archive_path": str, "sha256": str, "events": int, "bytes": int}
GONE = {"archive_path": str, "sha256": str}
ACCOUNTED = {"line": int, "what": str, "sha256": str, "before": str}
# Larger numbers are no sizes, and no database takes them.
LARGEST = 1 << 53
# Nothing is archived without one of each; a line that says so could not be written again by a repair.
NEVER_EMPTY = ("events", "bytes", "ordinal", "session_id")


def is_readable(record: object) -> TypeGuard[Line]:
    """Does a ledger line hold what its kind needs? A kind that is not known needs nothing but its name."""
    if not isinstance(record, dict) or not isinstance(kind := record.get("kind"), str):
        return False
    if not _has(record, NEEDED.get(kind, {})):
        return False
    if kind == "pack":
        return _holds_segments(record)
    if kind == "forgotten":
        return _is_readable_tombstone(record)
    if kind == "retired":
        return not record.get("kept") or _has(record["kept"], KEPT)
    return kind != "mended" or all(_has(entry, ACCOUNTED) for entry in record["lines"])


def _is_whole(pack: dict[str, Any]) -> bool:
    """Is a pack its segments and nothing else? One that lists too few would pass for a smaller one, and be made so."""
    return all(pack[name] == sum(member[name] for member in pack["segments"]) for name in ("events", "bytes"))


def _holds_segments(record: object) -> bool:
    """Does a pack, or what a tombstone left, list what is in it, and nothing else?"""
    members = record.get("segments") if isinstance(record, dict) else None
    if not isinstance(members, list) or not all(_has(each, MEASURES) for each in members):
        return False
    return bool(members) and isinstance(record, dict) and _is_whole(record)


def _is_readable_tombstone(record: dict[str, Any]) -> bool:
    lists = (record.get("event_ids", []), record.get("digests", []))
    if not all(isinstance(names, list) and all(isinstance(each, str) for each in names) for names in lists):
        return False
    if not isinstance(record.get("until", ""), str) or not all(_has(each, GONE) for each in record["gone"]):
        return False
    # It may count none: a session of which nothing was archived can be forgotten, too.
    if not _is_sound("forgotten events", record.get("events"), int):
        return False
    if "archive_path" in record and not _has(record, GONE):
        return False
    return "left" not in record or (_has(record["left"], MEASURES) and _holds_segments(record["left"]))


def _has(record: object, needed: Mapping[str, type]) -> bool:
    return isinstance(record, dict) and all(_is_sound(name, record.get(name), needed[name]) for name in needed)


def _is_sound(name: str, value: object, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind) or (name in NEVER_EMPTY and not value):
        return False
    if isinstance(value, int):
        return 0 <= value < LARGEST
    if not isinstance(value, str):
        return True
    if name == "archive_path":
        return _is_archive_path(value)
    if name == "sha256":
        return len(value) == 64 and not value.strip("0123456789abcdef")
    return storable(value) == value


def _is_archive_path(path: str) -> bool:
    """Can it name a file among the archives, and nothing else?"""
    parts = path.split("/")
    return (
        path.startswith("archives/raw/")
        and not {"", ".", ".."} & set(parts)
        and path.endswith((".jsonl", ".jsonl.zst"))
        and "\0" not in path
        and storable(path) == path
    )
