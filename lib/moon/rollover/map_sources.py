"""Collect what a continuity map is made from: distillations, archives, memory files of one session."""

from __future__ import annotations

from typing import Any

from moon import schema
from moon.errors import MoonError
from moon.paths import Home
from moon.vault.catalog import Catalog, Segment

ARCHIVES_NAMED = 12
MEMORY_NAMED = 4


def segments_of_window(catalog: Catalog, agent: str, session_key: str, session_id: str) -> list[Segment]:
    """The session's archives since its last rollover; all of them when that leaves none."""
    found = list(catalog.segments(agent, session_id))
    linked = catalog.links(agent, session_key)
    since = [segment for segment in found if not linked or segment.archived_at > linked[-1]]
    return since or found


def distillations_of(home: Home, segments: list[Segment]) -> list[dict[str, Any]]:
    """The DistillationRecords of these archives and of those in packs, oldest first; what is unreadable is left out."""
    found = []
    for segment in segments:
        own = _record(home, segment.sha256)
        records = [own] if own else [_record(home, part) for part in segment.parts]
        found += [record for record in records if record]
    return found


def _record(home: Home, sha256: str) -> dict[str, Any] | None:
    try:
        return schema.read("distillation", home.distillations / f"{sha256}.json")
    except (FileNotFoundError, MoonError):
        return None


def archive_references(home: Home, segments: list[Segment]) -> list[dict[str, Any]]:
    """The latest archives as a map names them."""
    return [
        {"sha256": each.sha256, "archive_path": home.relative(each.path), "events": each.events}
        for each in segments[-ARCHIVES_NAMED:]
    ]


def memory_files(distillations: list[dict[str, Any]]) -> list[str]:
    """The daily memory files that these distillations went into, the latest ones."""
    return sorted({record["memory_file"] for record in distillations if record.get("memory_file")})[-MEMORY_NAMED:]
