"""Collect what a continuity map is made from: distillations, archives, memory files of one session."""

from __future__ import annotations

from moon.distillations import Distillations, read_record
from moon.documents import ArchiveReference, DistillationRecord
from moon.errors import MoonError
from moon.paths import Home
from moon.vault.catalog import Catalog, Segment
from moon.vault.pack_plan import window_of

ARCHIVES_NAMED = 12
MEMORY_NAMED = 4


def segments_of_window(catalog: Catalog, agent: str, session_key: str, session_id: str) -> list[Segment]:
    """The session's archives since its last rollover; all of them when that leaves none."""
    found = list(catalog.segments(agent, session_id))
    linked = catalog.links(agent, session_key)
    since = [file for file in found if window_of(file.archived_at, linked) == len(linked)]
    return since or found


def distillations_of(home: Home, segments: list[Segment]) -> list[DistillationRecord]:
    """The DistillationRecords of what these files hold, oldest first, each once; what is unreadable is left out."""
    known = Distillations(home)
    found = [known.of(sha) for file in segments for sha in (file.sha256, *file.parts)]
    names = dict.fromkeys(each.name for each in found if each is not None)
    return [record for name in names if (record := _record(home, name)) is not None]


def _record(home: Home, name: str) -> DistillationRecord | None:
    try:
        return read_record(home, name)
    except MoonError:
        return None


def archive_references(home: Home, segments: list[Segment]) -> list[ArchiveReference]:
    """The latest archives as a map names them."""
    return [
        {"sha256": each.sha256, "archive_path": home.relative(each.path), "events": each.events}
        for each in segments[-ARCHIVES_NAMED:]
    ]


def memory_files(distillations: list[DistillationRecord]) -> list[str]:
    """The daily memory files that these distillations went into, the latest ones."""
    return sorted({path for record in distillations if (path := record.get("memory_file"))})[-MEMORY_NAMED:]
