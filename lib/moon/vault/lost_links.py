"""Find the link of a rollover again whose ledger line was torn or damaged: from its map, and the window it opened."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moon import schema
from moon.errors import ArchiveDamaged, MoonError
from moon.paths import Home
from moon.vault import segments
from moon.vault.catalog import Catalog
from moon.vault.standing import Line

Session = tuple[str, str, str]
# agent → the sessions of it that the store has, each with its events' bytes
StoreSessions = Callable[[str], Iterable[tuple[Session, Iterable[bytes]]]]


def lost_links(catalog: Catalog, store_sessions: StoreSessions) -> list[Line]:
    """A `link` record for each map whose window was opened and which no line of the ledger names.

    A map whose rollover is still under way has a journal, and is left to that; one that never arrived gets no link.
    """
    home = catalog.home
    linked = {str(line.get("continuity_path")) for line in catalog.ledger.links()}
    found = []
    for document in _maps(home):
        path = f"continuity/{document['rollover_id']}.json"
        if path in linked or document["rollover_id"] in _under_way(home):
            continue
        # Events are proven; what is left of a line may be what was changed in it.
        window = _in_events(catalog, document, store_sessions) or _in_torn_lines(catalog, document)
        if window:
            found.append(_link(document, window))
    return found


def _maps(home: Home) -> Iterator[dict[str, Any]]:
    for path in sorted(home.continuity.glob("*.json")):
        try:
            yield schema.read("continuity", path)
        except (MoonError, FileNotFoundError):
            continue


def _under_way(home: Home) -> set[str]:
    found = set()
    for path in home.rollovers.glob("*.json"):
        try:
            found.add(str(schema.read("rollover", path)["rollover_id"]))
        except (MoonError, FileNotFoundError):
            continue
    return found


def _in_torn_lines(catalog: Catalog, document: dict[str, Any]) -> tuple[str, str] | None:
    """(session key, session id) of the new window, from what is left of the line itself."""
    for text in _remains(catalog):
        if document["rollover_id"] not in text:
            continue
        fields = {name: _field(text, name) for name in ("to_session_key", "to_session_id")}
        if fields["to_session_id"]:
            return fields["to_session_key"] or document["session_key"], fields["to_session_id"]
    return None


def _remains(catalog: Catalog) -> Iterator[str]:
    """What was cut off the ledger at any time, what hangs torn at its end, and its unreadable lines."""
    for path in sorted(catalog.home.archives.glob("ledger.torn-*")):
        yield path.read_text("utf-8", "replace")
    yield catalog.ledger.torn().decode("utf-8", "replace")
    readable = {number for number, _ in catalog.ledger.numbered()}
    for number, (_, raw) in enumerate(catalog.ledger.raw_lines(), 1):
        if number not in readable:
            yield raw.decode("utf-8", "replace")


def _field(text: str, name: str) -> str:
    match = re.search(rf'"{name}": ?("(?:[^"\\]|\\.)*")', text)
    return str(json.loads(match[1])) if match else ""


def _in_events(catalog: Catalog, document: dict[str, Any], store: StoreSessions) -> tuple[str, str] | None:
    """The same from the transcript in which the map arrived, in the archive or in the store."""
    needle = f"# Continuity map {document['rollover_id']}".encode()
    for file in catalog.segments(document["agent"]):
        try:
            if file.archived_at >= document["created_at"] and any(needle in line for line in segments.lines(file.path)):
                return file.session_key, file.session_id
        except ArchiveDamaged:
            continue
    for (_, key, session_id), lines in store(document["agent"]):
        try:
            if any(needle in line for line in lines):
                return key, session_id
        except MoonError:
            continue
    return None


def _link(document: dict[str, Any], window: tuple[str, str]) -> Line:
    return {
        "schema": "moon.archive/1",
        "kind": "link",
        "agent": document["agent"],
        "session_key": document["session_key"],
        "from_session_id": document["from_session_id"],
        "to_session_id": window[1],
        "to_session_key": window[0] or document["session_key"],
        "boundary_event_id": document.get("boundary_event_id", ""),
        "continuity_path": f"continuity/{document['rollover_id']}.json",
        "rollover_id": document["rollover_id"],
        # All that was archived before the rollover was archived before its map was made.
        "linked_at": document["created_at"],
    }
