"""Collect what a continuity map is made from: distillations, archives, memory files of one session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moon import schema
from moon.clock import local_date, parse_ms
from moon.config import Config
from moon.errors import MoonError
from moon.paths import Home
from moon.vault.catalog import Catalog, Segment

ARCHIVES_NAMED = 12
MEMORY_NAMED = 4


def segments_of_window(catalog: Catalog, agent: str, session_key: str, session_id: str) -> list[Segment]:
    """The session's archives since its last rollover; all of them when that leaves none."""
    found = list(catalog.segments(agent, session_id))
    linked = [line["linked_at"] for line in catalog.ledger.links() if line["session_key"] == session_key]
    since = [segment for segment in found if not linked or segment.archived_at > linked[-1]]
    return since or found


def distillations_of(home: Home, segments: list[Segment]) -> list[dict[str, Any]]:
    """The DistillationRecords of these archives, oldest first; one that is missing or invalid is passed over."""
    found = []
    for segment in segments:
        try:
            found.append(schema.read("distillation", home.distillations / f"{segment.sha256}.json"))
        except (FileNotFoundError, MoonError):
            continue
    return found


def archive_references(home: Home, segments: list[Segment]) -> list[dict[str, Any]]:
    """The latest archives as a map names them."""
    return [
        {"sha256": each.sha256, "archive_path": home.relative(each.path), "events": each.events}
        for each in segments[-ARCHIVES_NAMED:]
    ]


def memory_folder(home: Home, config: Config) -> Path:
    """Where daily memory lies."""
    return Path(config.paths.memory).expanduser() if config.paths.memory else home.memory


def memory_files(home: Home, config: Config, segments: list[Segment], now: int) -> list[str]:
    """The daily memory files of the days these archives were made, that exist."""
    times = [parse_ms(segment.archived_at) or now for segment in segments]
    days = sorted({local_date(each, config.timezone).isoformat() for each in [*times, now]})
    folder = memory_folder(home, config)
    return [str(folder / f"{day}.md") for day in days if (folder / f"{day}.md").exists()][-MEMORY_NAMED:]
