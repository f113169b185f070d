"""Enter finished segments into the ledger and the catalog; also those that lost their ledger line.

A segment gets its name before its ledger line is written. A crash between the two, or a ledger that was cut, leaves a
file that no line names. Such a file is never written over: it is taken in, as it is, before the session is archived on.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from moon.clock import now_text
from moon.errors import ArchiveDamaged
from moon.paths import safe_name
from moon.vault import segments
from moon.vault.catalog import Catalog
from moon.vault.standing import Line

ORDINAL = re.compile(r"[0-9]{5,}")


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

    def add_sound(self, first: str, last: str) -> None:
        """Take in a stretch of sound events that were never seen before, by the ids at its ends."""
        self.first = self.first or first
        self.last = last
        self.torn = False


def enter_segment(
    catalog: Catalog, owner: Owner, ordinal: int, segment: int, written: segments.Written, content: Content
) -> Line:
    """Write the ledger line of a finished segment and commit the catalog, which has its events already."""
    added = catalog.ledger.append(
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
    catalog.add_segment(segment, owner.number, added.record)
    catalog.note_position(added)
    catalog.connection.commit()
    return added.record


def adopt_unnamed(catalog: Catalog, owner: Owner) -> list[str]:
    """Take in every segment of this session that no ledger line names; their SHA-256. Raises `HomeUnusable`.

    Costs one look into the agent's folder a run, however many sessions there are.
    """
    unnamed = catalog.unnamed(owner.agent)
    adopted: list[str] = []
    for path in list(unnamed):
        ordinal = _ordinal_of(path, owner)
        if not ordinal:
            continue
        try:
            adopted.append(adopt_file(catalog, owner, ordinal, path))
        except ArchiveDamaged:
            catalog.connection.rollback()
            path.replace(path.with_name(f"{path.name}.damaged"))
        unnamed.remove(path)
    return adopted


def _ordinal_of(path: Path, owner: Owner) -> int:
    """Which segment of this session a file is by its name; 0 for none. The session's key may have changed since."""
    name = path.name.partition(".jsonl")[0]
    head, _, number = name.rpartition(".")
    ours = head.endswith(f".{safe_name(owner.session_id)}")
    return int(number) if ours and ORDINAL.fullmatch(number) else 0


def adopt_file(catalog: Catalog, owner: Owner, ordinal: int, path: Path) -> str:
    """Enter a file that no ledger line names, as it is; its SHA-256. Raises `ArchiveDamaged`, `HomeUnusable`."""
    sha256, events, size = segments.digest_file(path)
    if not events:
        raise ArchiveDamaged(f"archive {path} is empty", path=str(path))
    segment = catalog.next_segment()
    identifier = catalog.identifier(owner.number)
    content = Content()
    earlier: dict[str, set[bytes]] = {}
    for line, data in enumerate(segments.lines(path), 1):
        name, digest = identifier.identify(data)
        malformed = name.startswith("#") and not _is_object(data)
        event_id = "" if name.startswith("#") else name
        # Two events that share an id within one segment are two events; only what an earlier one holds is revised.
        known = earlier.setdefault(name, catalog.digests(owner.number, name)) if event_id else set()
        torn = malformed and line == events and _is_cut_short(data)
        content.add(event_id, revision=bool(known) and digest not in known, malformed=malformed, torn=torn)
        catalog.add_event(owner.number, name, digest, segment, line)
    written = segments.Written(path, sha256, events, size)
    enter_segment(catalog, owner, ordinal, segment, written, content)
    return sha256


def _is_cut_short(data: bytes) -> bool:
    """Can these bytes be the beginning of an event line, and no more than its beginning?"""
    text = data.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :]
        return text.startswith("{") and (
            not rest.strip()
            or error.msg.startswith(("Unterminated string", "Invalid \\u"))
            or any(word.startswith(rest) for word in ("true", "false", "null"))
        )
    except RecursionError:
        return False
    return False


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
