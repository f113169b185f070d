"""Which events are to go, of which sessions: from the archive and from OpenClaw's store. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from moon.clock import parse_ms
from moon.copies.ledger_items import in_copies_alone
from moon.errors import ArchiveDamaged, MoonError, SessionUnknown
from moon.files import read_bounded
from moon.forget.request import Request
from moon.openclaw.locate import Stores
from moon.openclaw.transcript_store import Transcript, TranscriptStore
from moon.output import tracked
from moon.text_match import TextMatch
from moon.vault.catalog import Catalog, Part, Segment
from moon.vault.forgetting import Cut, Doomed, all_of, find_in
from moon.vault.forgotten import NAMELESS, name_and_time
from moon.vault.standing import Line

ASIDE_BYTES = 1 << 30


class Held(NamedTuple):
    """What OpenClaw itself still has of it: where, and how many events."""

    path: str
    events: int


@dataclass
class SessionPlan:
    """What of one session goes. `names`: events of the store that must not be archived; `asides`: the SHA-256 of what
    was set aside. `is_whole`: nothing of it is left. `in_copies`: copies alone have some of it, since retention took it
    from the disk. `newest`: when the last of it happened, as far as is known (milliseconds). `is_unseen`: some of it
    could not be looked at.
    """

    agent: str
    session_key: str
    session_id: str
    is_whole: bool
    cuts: list[Cut] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    fresh: int = 0
    asides: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    in_copies: bool = False
    newest: int = 0
    is_unseen: bool = False

    @property
    def owner(self) -> tuple[str, str, str]:
        return self.agent, self.session_key, self.session_id

    @property
    def events(self) -> int:
        """How many archived events go."""
        return sum(cut.events for cut in self.cuts) + len(self.asides)

    @property
    def bytes(self) -> int:
        return sum(cut.size for cut in self.cuts)

    def has_work(self) -> bool:
        """Is there anything to be taken out, or to be kept out from now on?"""
        return bool(self.cuts or self.asides or self.fresh or self.in_copies)

    def hashes(self) -> set[str]:
        """The SHA-256 of the files and segments that lose something."""
        return {cut.file.sha256 for cut in self.cuts} | {part.sha256 for cut in self.cuts for part in cut.touched()}

    def until(self, asked: int) -> int:
        """Up to when all of it is kept out (milliseconds): no longer than it has lasted, so that what is said
        afterwards is archived, also where it was asked for with a clock that was ahead.
        """
        newest = max([self.newest, *(cut.newest for cut in self.cuts)])
        return min(asked, newest) if newest and self.is_whole and not self.is_unseen else asked


@dataclass
class Plan:
    """`problems`: what could not be looked through, so that it may hold more."""

    sessions: list[SessionPlan] = field(default_factory=list)
    problems: list[MoonError] = field(default_factory=list)

    def with_work(self) -> list[SessionPlan]:
        """The sessions in which something is to be done."""
        return [each for each in self.sessions if each.has_work()]


# What was set aside, and transcripts of OpenClaw's, by agent and session id.
Asides = dict[tuple[str, str], list[Line]]
Stored = dict[tuple[str, str], list[tuple[TranscriptStore, Transcript]]]


def make_plan(catalog: Catalog, stores: Stores | None, request: Request) -> Plan:
    """Look through every archive and transcript that is asked about. Raises `SessionUnknown`."""
    plan = Plan()
    stored = _stored(stores, plan)
    asides, past = _asides(catalog), _in_copies(catalog) if request.is_whole else {}
    sessions = _in_scope(catalog, stored, request, plan)
    for owner in tracked(sessions, "looking through, session"):
        own = _of_session(catalog, owner, stored, asides, request, plan)
        own.newest = max(own.newest, past.get((owner[0], owner[2]), 0))
        own.in_copies = (owner[0], owner[2]) in past
        own.is_unseen |= stores is None or bool(stores.problems)
        plan.sessions.append(own)
    if request.is_whole:
        plan.sessions += _maps_in_other_sessions(catalog, sessions, plan)
    return plan


def _stored(stores: Stores | None, plan: Plan) -> Stored:
    found: Stored = {}
    for store, holding in stores.holdings() if stores else ():
        own = holding.transcript
        found.setdefault((own.agent, own.session_id), []).append((store, own))
    plan.problems += stores.problems if stores else []
    return found


def _in_scope(catalog: Catalog, stored: Stored, request: Request, plan: Plan) -> list[tuple[str, str, str]]:
    """(agent, key, id) of each session that is asked about, archived or only in the store."""
    known = {(agent, session_id): (agent, key, session_id) for agent, key, session_id in catalog.sessions()}
    for (agent, session_id), found in stored.items():
        key = next((each.key for _, each in found if each.key), "")
        known.setdefault((agent, session_id), (agent, key, session_id))
    mine = [each for each in known.values() if request.agent in ("", each[0])]
    if not request.sessions:
        return mine
    for name in request.sessions:
        if all(name not in each[1:] for each in mine):
            raise SessionUnknown(
                f"neither the archive nor OpenClaw has a session {name!r}",
                path=str(catalog.home.ledger),
                hint=_nearest(name, mine),
            )
    return [each for each in mine if set(each[1:]) & set(request.sessions)]


def _nearest(name: str, known: Iterable[tuple[str, str, str]]) -> str:
    from moon.schema import nearest

    close = nearest(name, [text for each in known for text in each[1:] if text])
    return f"did you mean {close}?" if close else "`moon-archive --list` names the sessions that have archives"


def _of_session(
    catalog: Catalog, owner: tuple[str, str, str], stored: Stored, asides: Asides, request: Request, plan: Plan
) -> SessionPlan:
    agent, _, session_id = owner
    own = SessionPlan(*owner, is_whole=request.is_whole)
    for file in list(catalog.segments(agent, session_id)):
        own.cuts += _cut(catalog, own, file, request, plan)
    own.asides = [
        record["sha256"] for record in asides.get((agent, session_id), ()) if _aside_goes(catalog, record, request)
    ]
    _look_into_store(catalog, own, stored.get((agent, session_id), []), request, plan)
    return own


def _cut(catalog: Catalog, own: SessionPlan, file: Segment, request: Request, plan: Plan) -> Iterator[Cut]:
    try:
        cut = find_in(catalog, file, request.doomed(), request.until)
    except ArchiveDamaged as error:
        if request.is_whole and (parse_ms(file.archived_at) or 0) <= request.until:
            own.is_unseen = True
            yield all_of(catalog, file)
        else:
            plan.problems.append(error)
        return
    if cut.events:
        yield cut


def _asides(catalog: Catalog) -> Asides:
    """What was set aside and is still known, by agent and session id."""
    found: Asides = {}
    for record in catalog.ledger.lines():
        if record.get("kind") == "aside":
            found.setdefault((record["agent"], record["session_id"]), []).append(record)
        elif record.get("kind") == "forgotten" and record.get("digests"):
            owner = record["agent"], record["session_id"]
            gone = set(record["digests"])
            found[owner] = [each for each in found.get(owner, []) if each["sha256"] not in gone]
    return found


def _in_copies(catalog: Catalog) -> dict[tuple[str, str], int]:
    """When retention last took something from the disk that copies still have, by agent and session id."""
    tombstones = [line for line in catalog.ledger.lines() if line.get("kind") == "forgotten"]
    found: dict[tuple[str, str], int] = {}
    for each in in_copies_alone(tombstones):
        owner = each["agent"], each["session_id"]
        found[owner] = max(found.get(owner, 0), parse_ms(each["forgotten_at"]) or 0)
    return found


def _aside_goes(catalog: Catalog, record: Line, request: Request) -> bool:
    if request.before and record["archived_at"] >= request.before:
        return False
    if not request.match:
        return True
    try:
        data = read_bounded(aside_path(catalog, record["sha256"]), ASIDE_BYTES)
    except (FileNotFoundError, MoonError):
        return False
    return TextMatch(request.match).is_in_line(data)


def aside_path(catalog: Catalog, sha256: str) -> Path:
    """Where bytes lie that were set aside."""
    return catalog.home.quarantine / f"{sha256}.bin"


def _look_into_store(
    catalog: Catalog,
    own: SessionPlan,
    transcripts: list[tuple[TranscriptStore, Transcript]],
    request: Request,
    plan: Plan,
) -> None:
    """Count what OpenClaw still holds, and name what of that no time tells."""
    known = catalog.forgotten(catalog.find_session(own.agent, own.session_id) or 0)
    judge = request.doomed()
    for store, transcript in transcripts:
        events = 0
        try:
            for event in store.events(transcript):
                if not judge(_UNARCHIVED, event.data):
                    continue
                events += 1
                own.fresh += not known.covers(event.data)
                name, at = name_and_time(event.data)
                own.newest = max(own.newest, at or 0) if (at or 0) <= request.until else own.newest
                if (at is None or at > request.until) and name not in known.names:
                    own.names.add(name)
        except MoonError as error:
            own.is_unseen = True
            plan.problems.append(error)
        if events:
            own.held.append(Held(store.path_of(transcript), events))


# An event of the store lies in no segment, and only its own time says whether it came before it was asked for.
_UNARCHIVED = Part(0, 0, "", "", 0, 0, False, "9999-01-01T00:00:00.000Z", "", "", 0)


def _maps_in_other_sessions(catalog: Catalog, scope: list[tuple[str, str, str]], plan: Plan) -> Iterator[SessionPlan]:
    """A rollover may have brought the map of a session into another one: that message goes too."""
    gone = {(agent, session_id) for agent, _, session_id in scope}
    for link in catalog.ledger.links():
        target = link["agent"], str(link.get("to_session_id"))
        if (link["agent"], str(link.get("from_session_id"))) not in gone or target in gone:
            continue
        needle = f"# Continuity map {link.get('rollover_id') or Path(link['continuity_path']).stem}".encode()
        found = SessionPlan(target[0], str(link.get("to_session_key", "")), target[1], is_whole=False)
        for file in list(catalog.segments(*target)):
            try:
                cut = find_in(catalog, file, _holds(needle), 0)
            except ArchiveDamaged as error:
                plan.problems.append(error)
                continue
            found.cuts += [cut] if cut.events else []
        if found.cuts:
            yield found


def _holds(needle: bytes) -> Doomed:
    return lambda part, data: needle in data


def kept_out(own: SessionPlan) -> set[str]:
    """By which names events are kept out of the archive beside those that are cut out of it."""
    return own.names | {f"{NAMELESS}{sha256}" for sha256 in own.asides}
