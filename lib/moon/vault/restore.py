"""Rebuild a session's transcript from ledger and archives alone."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from moon.errors import ArchiveDamaged, SessionUnknown
from moon.vault import segments
from moon.vault.catalog import Catalog, Part, Segment
from moon.vault.standing import Line

# (segment, line)
Place = tuple[int, int]
# Changed events of more bytes than this wait in a temporary file.
SPOOL_BYTES = 8 << 20


@dataclass(frozen=True)
class Restored:
    """What was rebuilt. `revised` counts events that OpenClaw changed after they were first archived; `damaged` names
    the archives that no longer hold what the ledger says, so that what was rebuilt from them is not exact. `set_aside`
    are the SHA-256 of what could be no line: it lies in `archives/quarantine/` and is not in what was rebuilt.
    """

    agent: str
    session_key: str
    session_id: str
    events: int
    revised: int
    damaged: tuple[ArchiveDamaged, ...]
    set_aside: tuple[str, ...] = ()

    def as_detail(self) -> dict[str, Any]:
        """The entry in a report's details."""
        return {
            "agent": self.agent,
            "session_key": self.session_key,
            "session_id": self.session_id,
            "events": self.events,
            "revised": self.revised,
            "damaged": len(self.damaged),
            "set_aside": list(self.set_aside),
        }


def find_archived(catalog: Catalog, name: str, agent: str = "") -> list[tuple[str, str, str]]:
    """(agent, key, session id) of each archived transcript of that key or id, oldest first. Raises `SessionUnknown`."""
    found = [each for each in catalog.sessions() if name in (each[1], each[2]) and agent in ("", each[0])]
    tombstone = None if any(_holds_something(catalog, each) for each in found) else _tombstone(catalog, found)
    if tombstone is not None:
        when, why = tombstone["forgotten_at"][:10], tombstone["reason"]
        raise SessionUnknown(
            f"all that was archived of {name} was forgotten on {when} ({why})",
            path=str(catalog.home.ledger),
            hint="it is gone from here for good; a copy or OpenClaw itself may have it still",
        )
    if found:
        return found
    from moon.schema import nearest

    close = nearest(name, [text for each in catalog.sessions() if agent in ("", each[0]) for text in each[1:] if text])
    raise SessionUnknown(
        f"no archive of a session {name!r}" + (f" of agent {agent!r}" if agent else ""),
        path=str(catalog.home.ledger),
        hint=f"did you mean {close}?" if close else "`moon-archive --list` names the sessions that have archives",
    )


def _holds_something(catalog: Catalog, session: tuple[str, str, str]) -> bool:
    agent, _, session_id = session
    number = catalog.find_session(agent, session_id) or 0
    return any(True for _ in catalog.segments(agent, session_id)) or bool(catalog.set_aside(number))


def _tombstone(catalog: Catalog, sessions: Collection[tuple[str, str, str]]) -> Line | None:
    """The last line that says that something of these sessions was forgotten on purpose."""
    owners = {(agent, session_id) for agent, _, session_id in sessions}
    last = None
    for record in catalog.ledger.lines() if owners else ():
        if record.get("kind") == "forgotten" and (record["agent"], record["session_id"]) in owners:
            last = record
    return last


def restore(catalog: Catalog, agent: str, session_id: str, write: Callable[[bytes], object]) -> Restored:
    """Write the transcript as JSONL, exact bytes, in the order the events were first seen.

    An event that came back with changed bytes stands at its first place with its latest bytes; two under one id that
    stood in the transcript at the same time are two. A line that was torn
    when archived is left out once its whole line is there, and ends without a newline when it is still the last.
    Every archive is read once, and once before where a later one changed something.
    What cannot be read is left out and named. Raises `SessionUnknown`.
    """
    number = catalog.find_session(agent, session_id)
    if number is None:
        raise SessionUnknown(f"no archive of session {session_id!r}", path=str(catalog.home.ledger))
    files = sorted(catalog.segments(agent, session_id), key=lambda file: file.ordinal)
    damaged: list[ArchiveDamaged] = []
    with _Revisions(catalog, number, files) as revised, _Writer(write) as writer:
        repeated = catalog.repeated(number)
        for part, line, data in _lines(catalog, files, damaged):
            here = (part.number, line)
            known = repeated.get(part.number)
            if here in revised.superseded or (known is not None and line not in known):
                continue
            writer.add(revised.latest(here, data), torn=part.torn and line == part.events)
    key = catalog.session_key(number)
    aside = tuple(sorted(digest.hex() for digest in catalog.set_aside(number)))
    return Restored(agent, key, session_id, writer.events, len(revised.places), tuple(damaged), aside)


def _lines(catalog: Catalog, files: list[Segment], damaged: list[ArchiveDamaged]) -> Iterator[tuple[Part, int, bytes]]:
    """Every line of these files once, with its segment and its line there; damage is noted and the rest goes on."""
    for file in files:
        total = hashlib.sha256()
        try:
            stream = segments.lines(file.path)
            for part in catalog.parts(file.path):
                for line, data in zip(range(1, part.events + 1), stream, strict=False):
                    total.update(data + b"\n")
                    yield part, line, data
            if any(True for _ in stream) or total.hexdigest() != file.sha256:
                raise ArchiveDamaged(f"archive {file.path} does not hold what was archived", path=str(file.path))
        except ArchiveDamaged as error:
            hint = "`moon-archive --repair` mends it where it can; what was rebuilt from it is not exact"
            damaged.append(ArchiveDamaged(error.message, path=error.path, hint=hint))


class _Writer:
    """Writes lines; a torn one is held back until it shows whether the next line is the whole of it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.events = 0
        self._write = write
        self._torn: bytes | None = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._torn is not None and error is None:
            self._write(self._torn)  # still the last line, and still without its end
            self.events += 1

    def add(self, data: bytes, *, torn: bool) -> None:
        """Write a line, after the torn one before it unless this is the whole of that."""
        held, self._torn = self._torn, data if torn else None
        if held is not None and not (data.startswith(held) and data != held):
            self._put(held)
        if not torn:
            self._put(data)

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._write(b"\n")
        self.events += 1


class _Revisions:
    """The latest bytes of each event that came back changed, by its first place; collected in one pass.

    `superseded`: the later places, whose lines are left out. Two events under one id in one segment are two events.
    """

    def __init__(self, catalog: Catalog, number: int, files: list[Segment]) -> None:
        self.places: dict[Place, Place] = {}
        self.superseded: set[Place] = set()
        self._kept: dict[Place, tuple[int, int]] = {}
        self._spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 (closed in __exit__)
        first: dict[str, Place] = {}
        for name, segment, line in catalog.revisions(number):
            start = first.setdefault(name, (segment, line))
            if start[0] != segment:
                self.places[start] = (segment, line)
                self.superseded.add((segment, line))
        self._collect(catalog, files)

    def _collect(self, catalog: Catalog, files: list[Segment]) -> None:
        wanted = set(self.places.values())
        holding = {segment for segment, _ in wanted}
        for file in files:
            parts = catalog.parts(file.path) if wanted else []
            if not any(part.number in holding for part in parts):
                continue
            for part, line, data in _lines(catalog, [file], []):
                if (part.number, line) in wanted:
                    self._kept[part.number, line] = (self._spool.tell(), len(data))
                    self._spool.write(data)

    def __enter__(self) -> _Revisions:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def latest(self, here: Place, data: bytes) -> bytes:
        """The latest bytes of the event that stands there first; `data` where it never changed."""
        found = self._kept.get(self.places.get(here, here)) if here in self.places else None
        if found is None:
            return data
        self._spool.seek(found[0])
        return self._spool.read(found[1])
