"""What goes into the text index and what comes out of it."""

from __future__ import annotations

from typing import NamedTuple

from moon.errors import IndexUnusable


class IndexMissing(IndexUnusable):
    """There is no index yet."""

    code = "index_missing"


class IndexVersion(IndexUnusable):
    """The index was written by another version of Moon."""

    code = "index_version"


class IndexCorrupt(IndexUnusable):
    """The file is damaged, or is no index at all."""

    code = "index_corrupt"


class IndexBusy(IndexUnusable):
    """Another process has been writing to the index for longer than we wait."""

    code = "index_busy"


class SegmentSource(NamedTuple):
    """One archive segment. `sha256` is the ledger's, `archive_path` is relative to MOON_HOME."""

    sha256: str
    agent: str
    session_key: str
    session_id: str
    archive_path: str


class MessageRow(NamedTuple):
    """One searchable piece of one event, already redacted. Several pieces of an event share its `event_id`."""

    event_id: str
    line: int
    role: str
    text: str
    timestamp: str | None = None
    tool: str | None = None


class Filters(NamedTuple):
    """What a search is limited to; None or empty means everything. Times are milliseconds, `until` is exclusive.
    `host`: a machine, where an index holds several.
    """

    agent: str | None = None
    session: str | None = None
    roles: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    host: str | None = None

    @property
    def plain(self) -> bool:
        """Is at most the agent or the machine limited, which costs nothing?"""
        return not (self.session or self.roles or self.tools or self.since is not None or self.until is not None)


class StoredRow(NamedTuple):
    """One row of the index: a message, or a part of a long one. `at` is in milliseconds, 0 when unknown; `language` is
    the one that its words were stemmed by, "" when unknown.
    """

    id: int
    event_id: str
    line: int
    role: str
    tool: str
    at: int
    segment: int
    text: str
    language: str = ""


class Kind(NamedTuple):
    """What many rows have in common."""

    role: str
    tool: str
    language: str


class Shape(NamedTuple):
    """What is known of a row without its text. `event` is the same for rows of the same event, and only good for that;
    `size` is how many words the whole message has.
    """

    role: str
    event: str | bytes
    size: int


class Place(NamedTuple):
    """Where a segment's messages come from; `host` only where an index holds several machines."""

    agent: str
    session_key: str
    session_id: str
    archive_path: str
    host: str = ""


class EventPlace(NamedTuple):
    """Where one event lies in the archives."""

    agent: str
    session_key: str
    session_id: str
    archive_path: str
    line: int
    role: str
    timestamp: str | None = None
