"""The exact original of an event: its bytes as they lie in the archive."""

from __future__ import annotations

from moon.errors import ArchiveDamaged, IndexUnusable, MoonError
from moon.fulltext import EventPlace, SearchIndex, open_reader
from moon.openclaw.events import event_id
from moon.paths import Home
from moon.vault import segments
from moon.vault.ledger import Ledger
from moon.vault.places import locate_line

LEAST_CHARS = 4
SHORT_CHARS = 8
SHOWN = 3


class EventUnknown(MoonError):
    """No archive holds an event of that id."""

    code = "event_unknown"


def originals(home: Home, event: str, session: str | None = None) -> list[bytes]:
    """Each distinct version of an event, oldest first. Raises `EventUnknown`, `ArchiveDamaged`."""
    found: dict[bytes, None] = {}
    damage = None
    for path, line in dict.fromkeys((each.archive_path, each.line) for each in event_places(home, event, session)):
        try:
            found[_line(home, path, line)] = None
        except ArchiveDamaged as error:
            damage = error
    if damage and not found:
        raise damage
    return list(found)


def event_places(home: Home, event: str, session: str | None = None) -> list[EventPlace]:
    """Where an event lies, given its id or the beginning of it. Raises `EventUnknown`."""
    places = _indexed(home, event, session) or _searched(home, event, session)
    if not places:
        raise EventUnknown(
            f"no archived event {event!r}" + (f" in session {session!r}" if session else ""),
            hint="ids are in the `event_id` of recall's results, and in `moon-recall --session KEY`"
            + ("; what was forgotten on purpose has none" if Ledger(home.ledger).standing().tombstones else ""),
        )
    return places


def whole_id(index: SearchIndex, event: str) -> str:
    """The event id that begins so, where there is exactly one; else the text as it is. Raises `EventUnknown`."""
    return _only(event, index.events_beginning(event, SHOWN + 1) if len(event) >= LEAST_CHARS else [])


def short_id(index: SearchIndex, event: str) -> str:
    """The shortest beginning of an event id, from eight characters on, that no other indexed event has."""
    try:
        for size in range(SHORT_CHARS, len(event)):
            if index.events_beginning(event[:size], 2) == [event]:
                return event[:size]
    except IndexUnusable:
        pass
    return event


def _only(event: str, found: list[str]) -> str:
    if event in found or not found:
        return event
    if len(found) > 1:
        shown = ", ".join(found[:SHOWN])
        raise EventUnknown(f"several archived events begin with {event!r}", hint=f"give more of the id: {shown}, …")
    return found[0]


def _indexed(home: Home, event: str, session: str | None) -> list[EventPlace]:
    try:
        with open_reader(home.text_index) as index:
            found = index.locate_event(whole_id(index, event))
    except IndexUnusable:
        return []
    return [each for each in found if session in (None, each.session_key, each.session_id)]


def _searched(home: Home, event: str, session: str | None) -> list[EventPlace]:
    """Read the archives themselves: for events without text, or where there is no index."""
    found: dict[str, list[EventPlace]] = {}
    needle = event.encode()
    for record in Ledger(home.ledger).archives():
        if session not in (None, record["session_key"], record["session_id"]):
            continue
        agent, key, session_id, path = (
            str(record[each]) for each in ("agent", "session_key", "session_id", "archive_path")
        )
        try:
            for number, line in enumerate(segments.lines(home.root / path), 1):
                name = event_id(line) if needle in line else ""
                if name == event or (len(event) >= LEAST_CHARS and name.startswith(event)):
                    found.setdefault(name, []).append(EventPlace(agent, key, session_id, path, number, ""))
        except ArchiveDamaged:
            continue
    return found.get(_only(event, list(found)), [])


def _line(home: Home, path: str, wanted: int) -> bytes:
    file, place = locate_line(home, path, wanted)
    for number, line in enumerate(segments.lines(file), 1):
        if number == place:
            return line
    raise ArchiveDamaged(
        f"archive {path} has no line {wanted}", path=path, hint="`moon-archive --verify` checks all archives"
    )
