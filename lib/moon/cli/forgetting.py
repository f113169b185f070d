"""Forget in every place: each step clears its own, in an order in which a run that is cut short can go on.

First the ledger says so and the archive lets go; everything else is derived from that, or found again by what was
asked for, which stands in `state/forget.json` until nothing is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from moon import audit
from moon.config import Config
from moon.cycle import session_states as states
from moon.cycle.session_states import Owed
from moon.distill.archive_distiller import memory_folder
from moon.distill.forgetting import Memory, find_records, forget_records
from moon.documents import ContinuityMap, DistillationRecord
from moon.errors import DestructionRefused, IndexUnusable, MoonError, StoreAbsent
from moon.files import remove_abandoned
from moon.forget import archives, other_files
from moon.forget.other_files import Found
from moon.forget.plan import Plan, make_plan
from moon.forget.request import Request, remove_note, write_note
from moon.fulltext import open_reader
from moon.index.forgetting import clear, count_rows
from moon.openclaw.locate import open_stores
from moon.output import progress
from moon.paths import Home
from moon.projection import page_path
from moon.qmd import index_files
from moon.rollover import forgetting as maps
from moon.sampling import quiet
from moon.text_match import TextMatch
from moon.vault.catalog import Catalog
from moon.vault.forgetting import remove_what_was_forgotten
from moon.vault.tombstones import copy_tombstones


class Place(TypedDict):
    """How much goes from one place."""

    place: str
    items: int
    bytes: int


@dataclass
class Survey:
    """Everything that is to go, place by place, before anything does."""

    plan: Plan
    memory: Memory
    maps: list[maps.FoundMap]
    files: list[Found]
    places: list[Place] = field(default_factory=list)

    def has_work(self) -> bool:
        """Is there anything to do?"""
        return bool(
            self.plan.with_work() or self.memory.records or self.maps or any(_goes(each) for each in self.files)
        )


@dataclass
class Outcome:
    """What was done. `left`: files that still hold the text, and why."""

    problems: list[MoonError] = field(default_factory=list)
    left: list[Found] = field(default_factory=list)


def _goes(found: Found) -> bool:
    return found.action in ("remove", "clean")


def survey(home: Home, config: Config, catalog: Catalog, request: Request) -> Survey:
    """Look everywhere and change nothing. Raises `SessionUnknown`, `DestructionRefused` during a rollover."""
    try:
        stores, unread = open_stores(config), None
    except StoreAbsent as error:
        stores, unread = None, error
    plan = make_plan(catalog, stores, request)
    if unread is not None:
        plan.problems.append(unread)
    refuse_during_rollover(home, plan)
    match = TextMatch(request.match) if request.match else None
    is_gone = _Gone(plan, request, match, _forgotten_hashes(catalog))
    memory = find_records(home, is_gone.record)
    found_maps = maps.find_maps(home, is_gone.map, match.is_in if match else None)
    files = other_files.find_text(home, match) if match else []
    if request.is_whole:
        files += other_files.find_leftovers(home, [each.owner for each in plan.sessions if each.is_whole])
    found = Survey(plan, memory, found_maps, files)
    found.places = _places(home, config, found)
    return found


def refuse_during_rollover(home: Home, plan: Plan) -> None:
    """A rollover that is under way still needs its map and its messages. Raises `DestructionRefused`."""
    busy = set(maps.under_way(home))
    for each in plan.with_work():
        if (each.agent, each.session_key) in busy:
            raise DestructionRefused(
                f"a rollover of {each.session_key} is under way",
                path=each.session_key,
                code="rollover_under_way",
                hint="try again when the next tick has finished it, see `moon-status`",
            )


class _Gone:
    """Which records and maps go, by what was forgotten of their sessions."""

    def __init__(
        self, plan: Plan, request: Request, match: TextMatch | None, forgotten: dict[tuple[str, str], set[str]]
    ) -> None:
        self._whole = {(each.agent, each.session_id) for each in plan.sessions if each.is_whole}
        self._touched = {(each.agent, each.session_id): each.hashes() for each in plan.sessions}
        for owner, hashes in forgotten.items():
            self._touched.setdefault(owner, set()).update(hashes)
        self._request = request
        self._match = match

    def record(self, record: DistillationRecord) -> bool:
        """Was it made of something that goes, or does it say what is to be forgotten?"""
        owner = record.get("agent", ""), record.get("session_id", "")
        if owner in self._whole:
            return True
        made_of = record.get("archives", [record["archive_sha256"]])
        if not self._touched.get(owner, set()).isdisjoint(made_of):
            return True
        return self._match is not None and self._match.is_in_value(record)

    def map(self, document: ContinuityMap) -> bool:
        """Is it of a window all of which goes?"""
        owner = document.get("agent", ""), document["from_session_id"]
        if owner in self._whole:
            return True
        in_scope = owner in self._touched and not self._request.match
        return in_scope and bool(self._request.before) and document["created_at"] < self._request.before


def _forgotten_hashes(catalog: Catalog) -> dict[tuple[str, str], set[str]]:
    """What the ledger says was taken out with all that was made of it, by agent and session id."""
    found: dict[tuple[str, str], set[str]] = {}
    for record in catalog.ledger.lines():
        if record.get("kind") == "forgotten" and record["scope"] == "all":
            hashes = {each["sha256"] for each in record["gone"]} | {record.get("sha256", "")} - {""}
            found.setdefault((record["agent"], record["session_id"]), set()).update(hashes)
    return found


def _places(home: Home, config: Config, found: Survey) -> list[Place]:
    """How much goes from where."""
    cuts = [cut for each in found.plan.sessions for cut in each.cuts]
    pages = [path for cut in cuts if (path := page_path(home, cut.file.path)).exists()]
    places: list[Place] = [
        _place("archives", sum(cut.events for cut in cuts), sum(cut.size for cut in cuts)),
        _place("set aside", sum(len(each.asides) for each in found.plan.sessions), 0),
        _place("index", _rows(home, {sha for each in found.plan.sessions for sha in each.hashes()}), 0),
        _place("pages", len(pages), sum(path.stat().st_size for path in pages)),
        _place("QMD", len(pages) if index_files(config.qmd) else 0, 0),
        _place("distillations", len(found.memory.records), found.memory.bytes),
        _place("memory", found.memory.blocks, 0),
        _place("maps", len(found.maps), sum(each.size for each in found.maps)),
        _place(
            "logs and leftovers",
            sum(_goes(each) for each in found.files),
            sum(each.size for each in found.files if _goes(each)),
        ),
    ]
    return [each for each in places if each["items"]]


def _place(name: str, items: int, size: int) -> Place:
    return {"place": name, "items": items, "bytes": size}


def _rows(home: Home, hashes: set[str]) -> int:
    try:
        with open_reader(home.text_index) as index:
            return count_rows(index, hashes)
    except IndexUnusable:
        return 0


def carry_out(home: Home, config: Config, catalog: Catalog, request: Request) -> tuple[Survey, Outcome]:
    """Do it, under the cycle lock; what goes wrong for one archive stops no other. Raises `MoonError`."""
    found = survey(home, config, catalog, request)
    quiet.forget(str(home.root))  # first, so that the next tick looks, and finds the note
    write_note(home, request)
    done = Outcome(list(found.plan.problems))
    match = TextMatch(request.match) if request.match else None
    remove_abandoned(home.root)
    remove_what_was_forgotten(catalog)
    done.problems += archives.carry_out(catalog, request, found.plan.with_work())
    copy_tombstones(catalog.ledger)
    _owe_distillation(home, request, found)
    progress("clearing index and pages …")
    done.problems += clear(home, config, catalog).problems
    progress("clearing memory and maps …")
    forget_records(home, config, found.memory)
    maps.forget_maps(found.maps)
    _let_go_of_state(home, found)
    done.left += other_files.carry_out(found.files, match)
    progress("")
    if match is not None:
        done.left += _still_there(home, config, match, done.left)
    remove_note(home)
    _record(home, request, found, done)
    return found, done


def _owe_distillation(home: Home, request: Request, found: Survey) -> None:
    """What was distilled together with what goes is distilled again without it."""
    if request.is_whole:
        return
    state, _ = states.load(home)
    for agent, key, session_id in found.memory.sessions:
        known = state.owed.get((agent, session_id), Owed(agent, key, session_id, ()))
        if "distill" not in known.stations:
            state.owed[agent, session_id] = known._replace(stations=(*known.stations, "distill"))
    if found.memory.sessions:
        states.save(home, state)


def _let_go_of_state(home: Home, found: Survey) -> None:
    """Nothing is owed to a conversation that is forgotten."""
    whole = {(each.agent, each.session_id) for each in found.plan.with_work() if each.is_whole}
    state, _ = states.load(home)
    before = states.as_document(state)
    for owner in whole:
        state.owed.pop(owner, None)
    for key, session in list(state.sessions.items()):
        if (session.agent, session.session_id) in whole:
            state.sessions[key] = session._replace(undistilled=False)
    if states.as_document(state) != before:
        states.save(home, state)


def _still_there(home: Home, config: Config, match: TextMatch, known: list[Found]) -> list[Found]:
    """A last look at the bytes of everything that Moon keeps."""
    memory = other_files.in_memory(memory_folder(home, config).resolve(), match)
    named = {each.path for each in known} | {home.state / "forget.json", *memory}
    found = [Found(path, "written there by others than Moon") for path in memory]
    others = (path for path in other_files.still_in(home.root, match) if path not in named)
    return [*found, *(Found(path, other_files.why_still_in(home, path)) for path in others)]


def _record(home: Home, request: Request, found: Survey, done: Outcome) -> None:
    """One audit line a session, and none without anything done."""
    for each in found.plan.with_work():
        audit.record(
            home,
            "forget",
            "failed" if done.problems else "done",
            agent=each.agent,
            session_key=each.session_key,
            session_id=each.session_id,
            ids=[cut.file.sha256 for cut in each.cuts],
            reason=request.words(),
            events=each.events,
        )
