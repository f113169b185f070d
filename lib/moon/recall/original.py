"""The exact original of an event: its bytes as they lie in the archive."""

from __future__ import annotations

from moon.errors import ArchiveDamaged, IndexUnusable, MoonError
from moon.fulltext import open_reader
from moon.openclaw.events import event_id
from moon.paths import Home
from moon.vault import segments
from moon.vault.ledger import Ledger
from moon.vault.places import locate_line

LEAST_CHARS = 6
SHOWN = 3


class EventUnknown(MoonError):
    """No archive holds an event of that id."""

    code = "event_unknown"


def originals(home: Home, event: str, session: str | None = None) -> list[bytes]:
    """Each distinct version of an event, oldest first. Raises `EventUnknown`, `ArchiveDamaged`."""
    event = _whole_id(home, event)
    places = _indexed(home, event, session) or _searched(home, event, session)
    if not places:
        raise EventUnknown(
            f"no archived event {event!r}" + (f" in session {session!r}" if session else ""),
            hint="ids are in the `event_id` of recall's results; events without text are only found by their session",
        )
    found: dict[bytes, None] = {}
    damage = None
    for path, line in places:
        try:
            found[_line(home, path, line)] = None
        except ArchiveDamaged as error:
            damage = error
    if damage and not found:
        raise damage
    return list(found)


def _whole_id(home: Home, event: str) -> str:
    """The event id that begins so, where there is exactly one; else the text as it is. Raises `EventUnknown`."""
    try:
        with open_reader(home.text_index) as index:
            found = index.events_beginning(event, SHOWN + 1) if len(event) >= LEAST_CHARS else []
    except IndexUnusable:
        return event
    if event in found or not found:
        return event
    if len(found) > 1:
        shown = ", ".join(found[:SHOWN])
        raise EventUnknown(f"several archived events begin with {event!r}", hint=f"give more of the id: {shown}, …")
    return found[0]


def _indexed(home: Home, event: str, session: str | None) -> list[tuple[str, int]]:
    try:
        with open_reader(home.text_index) as index:
            found = index.locate_event(event)
    except IndexUnusable:
        return []
    wanted = [each for each in found if session in (None, each.session_key, each.session_id)]
    return list(dict.fromkeys((each.archive_path, each.line) for each in wanted))


def _searched(home: Home, event: str, session: str | None) -> list[tuple[str, int]]:
    """Read the archives themselves: for events without text, or where there is no index."""
    found = []
    needle = event.encode()
    for record in Ledger(home.ledger).archives():
        if session not in (None, record["session_key"], record["session_id"]):
            continue
        try:
            for number, line in enumerate(segments.lines(home.root / record["archive_path"]), 1):
                if needle in line and event_id(line) == event:
                    found.append((record["archive_path"], number))
        except ArchiveDamaged:
            continue
    return found


def _line(home: Home, path: str, wanted: int) -> bytes:
    file, place = locate_line(home, path, wanted)
    for number, line in enumerate(segments.lines(file), 1):
        if number == place:
            return line
    raise ArchiveDamaged(
        f"archive {path} has no line {wanted}", path=path, hint="`moon-archive --verify` checks all archives"
    )
