"""Enter finished segments into the ledger and the catalog; also those that lost their ledger line.

A segment gets its name before its ledger line is written. A crash between the two, or a ledger that was cut, leaves a
file that no line names. Such a file is never written over: it is taken in, as it is, before the session is archived on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from moon.clock import now_text
from moon.errors import ArchiveDamaged
from moon.paths import safe_name
from moon.vault import segments
from moon.vault.catalog import Catalog
from moon.vault.ledger import Line


class Owner(NamedTuple):
    """Whose events a segment holds; `number` is the session's in the catalog."""

    number: int
    agent: str
    session_key: str
    session_id: str


class Content:
    """What a ledger line says of a segment's events; grows event by event."""

    def __init__(self) -> None:
        self.first = self.last = ""
        self.revisions = self.malformed = 0
        self.torn = False

    def add(self, event_id: str, *, revision: bool, malformed: bool, torn: bool) -> None:
        """Take in one event, in order."""
        self.first = self.first or event_id
        self.last = event_id or self.last
        self.revisions += revision
        self.malformed += malformed
        self.torn = torn


def enter_segment(
    catalog: Catalog, owner: Owner, ordinal: int, segment: int, written: segments.Written, content: Content
) -> Line:
    """Write the ledger line of a finished segment and commit the catalog, which has its events already."""
    record = catalog.ledger.append(
        {
            "schema": "moon.archive/1",
            "kind": "archive",
            "agent": owner.agent,
            "session_key": owner.session_key,
            "session_id": owner.session_id,
            "archive_path": catalog.home.relative(written.path),
            "sha256": written.sha256,
            "events": written.events,
            "bytes": written.bytes,
            "first_event_id": content.first,
            "last_event_id": content.last,
            "archived_at": now_text(),
            "ordinal": ordinal,
            "torn": content.torn,
            "revisions": content.revisions,
            "malformed": content.malformed,
        }
    )
    catalog.add_segment(segment, owner.number, record)
    catalog.note_position()
    catalog.connection.commit()
    return record


def adopt_unnamed(catalog: Catalog, owner: Owner) -> list[str]:
    """Take in every segment of this session that no ledger line names; their SHA-256. Raises `HomeUnusable`."""
    adopted: list[str] = []
    while True:
        ordinal = catalog.next_ordinal(owner.number)
        path = _unnamed(catalog, owner, ordinal)
        if path is None:
            return adopted
        try:
            adopted.append(_adopt(catalog, owner, ordinal, path))
        except ArchiveDamaged:
            catalog.connection.rollback()
            path.replace(path.with_name(f"{path.name}.damaged"))


def _unnamed(catalog: Catalog, owner: Owner, ordinal: int) -> Path | None:
    folder = catalog.home.raw / safe_name(owner.agent)
    name = f".{safe_name(owner.session_id)}.{ordinal:05d}.jsonl"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.endswith((name, f"{name}.zst")) and not path.name.startswith("."):
            return path
    return None


def _adopt(catalog: Catalog, owner: Owner, ordinal: int, path: Path) -> str:
    sha256, events, size = segments.digest_file(path)
    segment = catalog.next_segment()
    identifier = catalog.identifier(owner.number)
    content = Content()
    for line, data in enumerate(segments.lines(path), 1):
        name, digest = identifier.identify(data)
        known = catalog.digests(owner.number, name)
        malformed = name.startswith("#") and not _is_json(data)
        event_id = "" if name.startswith("#") else name
        revision = bool(known) and bool(event_id)
        content.add(event_id, revision=revision, malformed=malformed, torn=malformed and line == events)
        catalog.add_event(owner.number, name, digest, segment, line)
    written = segments.Written(path, sha256, events, size)
    enter_segment(catalog, owner, ordinal, segment, written, content)
    return sha256


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
