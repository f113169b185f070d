"""Reading on: the messages around an event, and a whole conversation, redacted and printable.

Both come from the archives, so that a long message is whole and indented as it was; the index only says which messages
stand beside each other. A document of them is `moon.conversation/1`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TypedDict

from moon.clock import format_ms
from moon.config import Redact
from moon.errors import ArchiveDamaged
from moon.fulltext import Place, SearchIndex, StoredRow
from moon.openclaw.events import Event, parse
from moon.paths import Home
from moon.recall.original import EventUnknown, event_places, originals, whole_id
from moon.redact import Redactor
from moon.text import escape_json, lines, one_line
from moon.vault import segments
from moon.vault.catalog import Catalog
from moon.vault.places import locate_line
from moon.vault.restore import find_archived, restore


class Message(TypedDict):
    """One readable part of an event: a text, a tool call, a tool's result."""

    event_id: str
    session_id: str
    role: str
    tool: str | None
    timestamp: str | None
    text: str


class Conversation(TypedDict):
    """`moon.conversation/1`. `event_id` is the event that was asked for, None for a whole conversation."""

    schema: str
    session_key: str
    event_id: str | None
    messages: list[Message]
    degraded: list[str]


def conversation(session_key: str, event: str | None, messages: list[Message], degraded: Iterable[str]) -> Conversation:
    """The document of some messages."""
    return {
        "schema": "moon.conversation/1",
        "session_key": session_key,
        "event_id": event,
        "messages": messages,
        "degraded": list(degraded),
    }


def said(event: Event | None, session_id: str, redactor: Redactor) -> Iterator[Message]:
    """What an event says, part by part; nothing for a line that is no event or says nothing."""
    for piece in event.pieces if event else ():
        text = redactor.redact(lines(piece.text)).text
        yield _message(event, session_id, one_line(piece.role), one_line(piece.tool or ""), text)


def _message(event: Event | None, session_id: str, role: str, tool: str, text: str) -> Message:
    return {
        "event_id": event.id if event else "",
        "session_id": session_id,
        "role": role,
        "tool": tool or None,
        "timestamp": event.timestamp if event else None,
        "text": text,
    }


def indexed_around(index: SearchIndex, event: str, before: int, after: int, session: str | None) -> Conversation:
    """An event with those around it as an index holds them, where the archives lie elsewhere. Raises `EventUnknown`."""
    event = whole_id(index, event)
    own = index.event_rows(event, session)
    if not own:
        raise EventUnknown(f"no machine has sent an event {event!r}", hint="ids are in the `event_id` of results")
    rows = [*beside(index, own[0], before, after=False), *own, *beside(index, own[-1], after, after=True)]
    places = index.places(row.segment for row in rows)
    messages = [_indexed(row, places[row.segment]) for row in rows]
    host = places[own[0].segment].host
    note = f"archives: they lie on {host}; messages are shown as they were indexed, long ones in parts"
    return conversation(places[own[0].segment].session_key, event, messages, [note])


# --- around an event --------------------------------------------------------------------------------------------------


class Around:
    """Reads the messages around events of one home."""

    def __init__(self, home: Home, index: SearchIndex, redactor: Redactor) -> None:
        self.home = home
        self.index = index
        self.redactor = redactor

    def read(self, event: str, before: int, after: int, session: str | None = None) -> Conversation:
        """An event, by its id or the beginning of it, with so many events before and after it that say something.
        Raises `EventUnknown`, `ArchiveDamaged`, `IndexUnusable`.
        """
        event = whole_id(self.index, event)
        own = self.index.event_rows(event, session)
        if not own:
            return self._alone(event, session)
        rows = [
            *beside(self.index, own[0], before, after=False),
            *own,
            *beside(self.index, own[-1], after, after=True),
        ]
        places = self.index.places(row.segment for row in rows)
        messages: list[Message] = []
        degraded: dict[str, None] = {}
        with contextlib.closing(_Files(self.home)) as files:
            for line in _by_line(rows):
                place = places[line[0].segment]
                try:
                    found = parse(files.line(place.archive_path, line[0].line))
                    messages += said(found, place.session_id, self.redactor)
                except ArchiveDamaged as error:
                    degraded[f"archives: {error.message}; messages are shown as they were indexed"] = None
                    messages += [_indexed(row, place) for row in line]
        return conversation(places[own[0].segment].session_key, event, messages, degraded)

    def _alone(self, event: str, session: str | None) -> Conversation:
        """An event that the index does not have: it says nothing, or is not indexed yet."""
        place = event_places(self.home, event, session)[-1]
        data = originals(self.home, event, session)[-1]
        found = parse(data)
        messages = list(said(found, place.session_id, self.redactor))
        if not messages:
            text = self.redactor.redact(escape_json(data.decode("utf-8", "replace"))).text
            messages = [_message(found, place.session_id, one_line(found.type if found else ""), "", text)]
        note = "index: it does not hold this event, so that the messages around it are not known"
        return conversation(place.session_key, found.id if found else event, messages, [note])


def beside(index: SearchIndex, row: StoredRow, count: int, *, after: bool) -> list[StoredRow]:
    """The rows of `count` events before or after a row; a long message has many rows."""
    wanted = 2 * count
    while count:
        rows = index.around(row.id, wanted, after=after)
        events = list(dict.fromkeys(each.event_id for each in (rows if after else reversed(rows))))
        if len(events) > count or len(rows) < wanted:
            near = {*events[:count]} - {row.event_id}
            return [each for each in rows if each.event_id in near]
        wanted *= 4
    return []


class _Files:
    """Reads lines of archives; one behind the last in the same file costs only what lies between."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._file: Path | None = None
        self._number = 0
        self._stream: Iterator[bytes] = iter(())

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self._stream, Generator):
            self._stream.close()

    def line(self, path: str, wanted: int) -> bytes:
        """A line of an archive, as an index names it. Raises `ArchiveDamaged`."""
        file, line = locate_line(self.home, path, wanted)
        if file != self._file or line <= self._number:
            self.close()
            self._file, self._number, self._stream = file, 0, segments.lines(file)
        for data in self._stream:
            self._number += 1
            if self._number == line:
                return data
        self._file = None
        raise ArchiveDamaged(f"archive {path} has no line {wanted}", path=path)


def _by_line(rows: Iterable[StoredRow]) -> list[list[StoredRow]]:
    """The rows of each line of an archive together, in order."""
    found: dict[tuple[int, int], list[StoredRow]] = {}
    for row in rows:
        found.setdefault((row.segment, row.line), []).append(row)
    return list(found.values())


def _indexed(row: StoredRow, place: Place) -> Message:
    return {
        "event_id": row.event_id,
        "session_id": place.session_id,
        "role": one_line(row.role),
        "tool": one_line(row.tool) or None,
        "timestamp": format_ms(row.at) if row.at else None,
        "text": lines(row.text),
    }


# --- a whole conversation ---------------------------------------------------------------------------------------------


class Transcripts:
    """Everything archived of one session, by its key or id. `degraded` names what could not be read."""

    def __init__(self, catalog: Catalog, section: Redact, name: str, agent: str | None = None) -> None:
        """Raises `SessionUnknown`."""
        self.degraded: list[str] = []
        self._catalog = catalog
        self._redactor = Redactor.from_config(section)
        self._found = find_archived(catalog, name, agent or "")
        self.session_key = self._found[-1][1] or name

    def read(self, take: Callable[[Message], object]) -> None:
        """Hand on what was said, in the order of `moon-archive --restore`, one event in memory at a time."""
        for agent, _, session_id in self._found:
            done = restore(self._catalog, agent, session_id, functools.partial(self._take, session_id, take))
            self.degraded += [f"archives: {each.message}; {each.hint}" for each in done.damaged]

    def _take(self, session_id: str, take: Callable[[Message], object], data: bytes) -> None:
        if data != b"\n":  # lines and what ends them come one by one
            for message in said(parse(data), session_id, self._redactor):
                take(message)
