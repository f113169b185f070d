"""Collect what a continuity map is made from: distillations, archives, memory files, last words of one session."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from moon.distillations import Distillations, read_record
from moon.documents import ArchiveReference, DistillationRecord
from moon.errors import ArchiveDamaged, MoonError
from moon.files import read_bounded
from moon.openclaw import events
from moon.openclaw.user_words import is_brought_in, own_words
from moon.paths import Home
from moon.rollover.window_end import ASSISTANT, USER, Said
from moon.text import lines
from moon.vault import segments as segment_files
from moon.vault.catalog import Catalog, Segment
from moon.vault.pack_plan import window_of

ARCHIVES_NAMED = 12
MEMORY_NAMED = 4
# Of the end of a window: more than a map can hold.
LAST_SAID = 60
# What the agent answers to a map; it is nothing that was said.
LONGEST_NOTED = 20


class Spoken(NamedTuple):
    """`last`: the end of the window, oldest first. `sources`: who said what, by the ids of events."""

    last: list[Said]
    sources: dict[str, list[Said]]


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


def standing_rules(home: Home, catalog: Catalog, agent: str, session_key: str) -> list[str]:
    """The rules that the map of the session's last window held: they go on until something else is said."""
    links = [
        line for line in catalog.ledger.links() if (line.get("agent"), line.get("session_key")) == (agent, session_key)
    ]
    if not links:
        return []
    try:
        document = json.loads(read_bounded(home.root / str(links[-1].get("continuity_path"))))
        return [str(rule) for rule in document["rules"]]
    except (OSError, MoonError, ValueError, KeyError, TypeError):
        return []


def spoken_in(segments: list[Segment], wanted: Collection[str], redact: Callable[[str], str]) -> Spoken:
    """Read a window's archives once: its last words, and those of the events that lines were taken from.

    A damaged archive is left out; the rest of the map does not depend on it.
    """
    last: deque[Said] = deque(maxlen=LAST_SAID)
    sources: dict[str, list[Said]] = {}
    for each in _said(segments, last):
        last.append(each)
        if each.event_id in wanted:
            sources.setdefault(each.event_id, []).append(each._replace(text=redact(lines(each.text))))
    return Spoken([each._replace(text=redact(lines(each.text))) for each in last], sources)


def _said(segments: list[Segment], last: deque[Said]) -> Iterator[Said]:
    """Everything said, called and returned, but for what Moon brought in; `last` is emptied where a window begins."""
    after_map = False
    for event in _events(segments):
        if event.type == "reset":
            last.clear()
        for piece in event.pieces:
            text = own_words(piece.text) if piece.role == USER else piece.text.strip()
            noted = after_map and piece.role == ASSISTANT and len(text) <= LONGEST_NOTED
            after_map = piece.role == USER and is_brought_in(text)
            if text and not after_map and not noted:
                yield Said(event.id, piece.role, text)


def _events(segments: list[Segment]) -> Iterator[events.Event]:
    for file in segments:
        try:
            yield from filter(None, map(events.parse, segment_files.lines(file.path)))
        except ArchiveDamaged:
            continue
