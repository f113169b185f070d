"""Rebuild a session's transcript from ledger and archives alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from moon.errors import ArchiveDamaged, SessionUnknown
from moon.vault import segments
from moon.vault.catalog import Catalog, Segment

Place = tuple[int, int]


@dataclass(frozen=True)
class Restored:
    """What was rebuilt. `revised` counts events that OpenClaw changed after they were first archived; `damaged` names
    the archives that no longer hold what the ledger says, so that what was rebuilt from them is not exact.
    """

    agent: str
    session_key: str
    session_id: str
    events: int
    revised: int
    damaged: tuple[ArchiveDamaged, ...]

    def as_detail(self) -> dict[str, str | int]:
        """The entry in a report's details."""
        return {
            "agent": self.agent,
            "session_key": self.session_key,
            "session_id": self.session_id,
            "events": self.events,
            "revised": self.revised,
            "damaged": len(self.damaged),
        }


def find_archived(catalog: Catalog, name: str, agent: str = "") -> list[tuple[str, str, str]]:
    """(agent, key, session id) of each archived transcript of that key or id, oldest first. Raises `SessionUnknown`."""
    found = [each for each in catalog.sessions() if name in (each[1], each[2]) and agent in ("", each[0])]
    if found:
        return found
    from moon.schema import nearest

    close = nearest(name, [text for each in catalog.sessions() for text in each[1:] if text])
    raise SessionUnknown(
        f"no archive of a session {name!r}",
        path=str(catalog.home.ledger),
        hint=f"did you mean {close}?" if close else "`moon-status` lists the sessions that have archives",
    )


def restore(catalog: Catalog, agent: str, session_id: str, write: Callable[[bytes], object]) -> Restored:
    """Write the transcript as JSONL, exact bytes, in the order the events were first seen.

    An event that came back with changed bytes stands at its first place with its latest bytes; two under one id that
    stood in the transcript at the same time are two. A line that was torn
    when archived is left out once its whole line is there, and ends without a newline when it is still the last.
    Raises `ArchiveDamaged`, `SessionUnknown`.
    """
    number = catalog.find_session(agent, session_id)
    if number is None:
        raise SessionUnknown(f"no archive of session {session_id!r}", path=str(catalog.home.ledger))
    latest, superseded = _revisions(catalog, number)
    found = list(catalog.segments(agent, session_id))
    by_ordinal = {segment.ordinal: segment for segment in found}
    moved = _Lines(by_ordinal)
    events = 0
    for position, segment in enumerate(found):
        for line, data in enumerate(segments.lines(segment.path), 1):
            here = (segment.ordinal, line)
            if here in superseded:
                continue
            torn = segment.torn and line == segment.events
            if torn and _completed(found[position + 1 :], data):
                continue
            write(moved.read(*latest[here]) if here in latest else data)
            events += 1
            if not torn or position < len(found) - 1:
                write(b"\n")
    key = catalog.session_key(number)
    return Restored(agent, key, session_id, events, len(latest), tuple(_damage(found)))


def _damage(found: list[Segment]) -> Iterator[ArchiveDamaged]:
    for segment in found:
        if segments.digest_file(segment.path)[0] != segment.sha256:
            yield ArchiveDamaged(
                f"archive {segment.path} does not hold the bytes that were archived",
                path=str(segment.path),
                hint="restore this file from a backup; what was rebuilt from it is not exact",
            )


def _revisions(catalog: Catalog, number: int) -> tuple[dict[Place, Place], set[Place]]:
    """Where the latest bytes of each revised event lie, by its first place; and every later place."""
    first: dict[str, Place] = {}
    latest: dict[Place, Place] = {}
    superseded: set[Place] = set()
    for name, ordinal, line in catalog.revisions(number):
        start = first.setdefault(name, (ordinal, line))
        if start[0] != ordinal:
            latest[start] = (ordinal, line)
            superseded.add((ordinal, line))
    return latest, superseded


def _completed(later: list[Segment], fragment: bytes) -> bool:
    """Does the line after a torn one begin with what was torn?"""
    for segment in later:
        for data in segments.lines(segment.path):
            return data.startswith(fragment) and data != fragment
    return False


class _Lines:
    """Reads single lines of other segments; revisions are few."""

    def __init__(self, by_ordinal: dict[int, Segment]) -> None:
        self._by_ordinal = by_ordinal

    def read(self, ordinal: int, line: int) -> bytes:
        for number, data in enumerate(segments.lines(self._by_ordinal[ordinal].path), 1):
            if number == line:
                return data
        return b""
