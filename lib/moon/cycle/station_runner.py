"""Run one station: find its document, do its work session by session, add its record, hand on.

Two ways in. In a *chain* `moon-sample` started it under the lock with `--cycle FILE`; it then execs the next station
that has work. As a *filter* a person runs it, on a document from a pipe or a file or on sessions named by hand; it then
takes the lock itself and prints the document.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from moon import audit, output, resources
from moon.clock import now_text
from moon.config import Config
from moon.cycle import cycle_document as cycles
from moon.documents import Entry, Row, SessionRecord, StationExtra, StationRecord, UsageDocument
from moon.errors import (
    DONE,
    FAILED,
    NOTICES,
    PARTIAL,
    DestructionRefused,
    DocumentInvalid,
    LockBusy,
    MoonError,
    UsageWrong,
    unexpected,
)
from moon.files import Lock, read_bounded
from moon.health import noting
from moon.health.problems import Subject, Trouble, of_error
from moon.home_format import claim
from moon.paths import Home
from moon.remedies import hint_for

STDIN_LIMIT = 256 << 20


@dataclass
class Context:
    """What a station's work may use. `extra` goes into the station's record beside its sessions."""

    home: Home
    config: Config
    document: cycles.Document
    dry_run: bool = False
    extra: StationExtra = field(default_factory=lambda: StationExtra())


# A station's work: entered once, it gives a function that handles one session and returns its entry without the ids.
Work = Callable[[Context], AbstractContextManager[Callable[[Row], Entry]]]
Select = Callable[[Config], UsageDocument]


@dataclass(frozen=True)
class Call:
    """How a station was called. `select` makes a usage document for sessions named on the command line."""

    cycle_file: str = ""
    select: Select | None = None
    as_json: bool = False
    dry_run: bool = False
    wait_seconds: float = 0


def run(station: str, work: Work, home: Home, config: Config, call: Call) -> int:
    """Do a station's work and return the exit code; in a chain, go on with the next station instead of returning."""
    if call.dry_run:
        document = _find_document(config, call)
        do_work(station, work, Context(home, config, document, dry_run=True))
        _print(document, station, call)
        return exit_code(document, station)
    data = None if call.cycle_file or call.select else _read_stdin()
    lock = take_lock(home, call.wait_seconds)
    document = _find_document(config, call, data)
    chained = lock.inherited and bool(call.cycle_file)
    try:
        do_work(station, work, Context(home, config, document))
    except Exception as error:
        rows = cycles.sessions_due(document, station)
        noting.note_crash(home, config, station, error, [Subject(*_ids(row).values()) for row in rows])
        raise
    if chained:
        return _hand_on(home, config, document, station, lock)
    cycles.finish(document)
    text = cycles.write(home, document)
    note_cycle(home, config, document)
    lock.release()
    _print(document, station, call, text)
    return exit_code(document, station)


def run_together(steps: list[tuple[str, Work]], home: Home, config: Config, call: Call) -> int:
    """Do several stations' work on one document in one process, under one lock, and return the exit code."""
    lock = None if call.dry_run else take_lock(home, call.wait_seconds)
    document, text = _find_document(config, call), ""
    for station, work in steps:
        do_work(station, work, Context(home, config, document, dry_run=call.dry_run))
    if lock is not None:
        cycles.finish(document)
        text = cycles.write(home, document)
        note_cycle(home, config, document)
        lock.release()
    _print(document, "", call, text)
    return exit_code(document)


def take_lock(home: Home, wait_seconds: float) -> Lock:
    """The cycle lock, after waiting for it that long at most. Raises `LockBusy`."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            lock = Lock.take(home.lock_file)
        except LockBusy:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
            continue
        claim(home)
        return lock


def _find_document(config: Config, call: Call, data: bytes | None = None) -> cycles.Document:
    if call.cycle_file:
        try:
            return cycles.parse(read_bounded(Path(call.cycle_file)), call.cycle_file)
        except FileNotFoundError as error:
            raise UsageWrong(f"no document at {call.cycle_file}", path=call.cycle_file) from error
    if call.select is not None:
        return cycles.new_cycle(call.select(config), "manual")
    return cycles.parse(_read_stdin() if data is None else data, "standard input")


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageWrong(
            "a document is needed",
            hint="pipe in `moon-sample --no-exec`, give --cycle FILE, or name sessions (see --help)",
        )
    data = sys.stdin.buffer.read(STDIN_LIMIT)
    if not data.strip():
        raise DocumentInvalid(
            "standard input is empty",
            hint="the command before this one in the pipe printed nothing; run it alone to see",
        )
    return data


def do_work(station: str, work: Work, context: Context) -> None:
    """Handle every session that is due and put the station's record into the document."""
    document = context.document
    started_at, sessions = now_text(), list[SessionRecord]()
    with work(context) as handle:
        for row in output.tracked(cycles.sessions_due(document, station), f"{station}, session"):
            sessions.append(_one(station, handle, row, context))
    record: StationRecord = {
        "station": station,
        "started_at": started_at,
        "finished_at": now_text(),
        "sessions": sessions,
        **context.extra,
    }
    cycles.set_record(document, record)


def _one(station: str, handle: Callable[[Row], Entry], row: Row, context: Context) -> SessionRecord:
    """One session; an error in it is part of the record and no reason to stop the rest."""
    started = time.monotonic()
    try:
        done = handle(row)
    except Exception as error:
        if _is_damage(error):
            raise
        failure = error if isinstance(error, MoonError) else unexpected(error)
        if failure.code == "unexpected" and os.environ.get("MOON_DEBUG"):
            raise
        outcome = "refused" if isinstance(failure, DestructionRefused) else "failed"
        done = {"outcome": outcome, "code": failure.code, "reason": failure.message, "hint": failure.hint}
    entry = cast(SessionRecord, {**_ids(row), **{name: value for name, value in done.items() if name != "audit"}})
    if not context.dry_run and entry["outcome"] != "nothing":
        audit.record(
            context.home,
            station,
            entry["outcome"],
            cycle_id=context.document["cycle_id"],
            agent=entry["agent"],
            session_key=entry["session_key"],
            session_id=entry["session_id"],
            duration_ms=int((time.monotonic() - started) * 1000),
            ids=entry.get("archives") or entry.get("ids") or [],
            reason=entry.get("reason", ""),
            **done.get("audit", {}),
        )
    return entry


def _ids(row: Row) -> dict[str, str]:
    """Whose row it is."""
    return {"agent": row["agent"], "session_key": row["session_key"], "session_id": row["session_id"]}


def note_cycle(home: Home, config: Config, document: cycles.Document) -> None:
    """Keep what the cycle showed for `moon-status`."""
    asked = cycles.record_of(document, "distill") is not None
    noting.note_cycle(home, config, document, _provider_troubles(home, config) if asked else [])


def _provider_troubles(home: Home, config: Config) -> list[Trouble]:
    """The providers of models that failed when they were asked last."""
    from moon.model.provider_state import read_circuits

    try:
        circuits = read_circuits(home)
    except MoonError as error:
        return [of_error("distill", error.as_dict())]
    return [
        Trouble("distill", code, f"{name}: {failed.get('reason', '')}", hint_for(code), path=name)
        for name, failed in circuits.items()
        if name in config.distill.providers and (code := failed.get("code"))
    ]


def _is_damage(error: Exception) -> bool:
    """Is what all sessions share damaged, so that to go on with the next one is no use?"""
    return (type(error).__module__, type(error).__name__) == ("sqlite3", "DatabaseError")


def _hand_on(home: Home, config: Config, document: cycles.Document, station: str, lock: Lock) -> int:
    """Go on with the next station that has work, or end the cycle."""
    following = cycles.next_station(document, station)
    if not following:
        cycles.finish(document)
    cycles.write(home, document)
    if following:
        start_station(home, following, document, lock)
    note_cycle(home, config, document)
    output.say(summary(document))
    if (config.copies or config.index.engine == "postgresql") and document["origin"] == "timer":
        copy_what_is_new(lock)
    return exit_code(document)


def copy_what_is_new(lock: Lock) -> None:
    """Become moon-mirror, without the lock: a cycle has just added to the archive. Does not return."""
    lock.release()
    with contextlib.suppress(output.OutputGone):
        output.flush()
    program = resources.program("mirror")
    with contextlib.suppress(OSError):
        os.execv(program, [str(program), "--timer"])


def start_station(home: Home, station: str, document: cycles.Document, lock: Lock) -> None:
    """Become that station, with the lock held on. Does not return."""
    lock.hand_on()
    with contextlib.suppress(output.OutputGone):
        output.flush()
    program = resources.program(station)
    try:
        os.execv(program, [str(program), "--cycle", str(cycles.cycle_path(home, document["cycle_id"]))])
    except OSError as error:
        raise MoonError(
            f"cannot start {program}: {error.strerror}",
            path=str(program),
            hint="the installation is incomplete; the next tick takes the cycle up again",
        ) from error


def entries(document: cycles.Document, station: str = "") -> list[tuple[str, SessionRecord]]:
    """(station, session entry) of every record, or of one station's."""
    return [
        (record["station"], entry)
        for record in document["stations"]
        if station in ("", record["station"])
        for entry in record["sessions"]
    ]


def exit_code(document: cycles.Document, station: str = "") -> int:
    """0 unless something failed, was refused or could not be read; then 3 if anything was done all the same, else 1."""
    outcomes = {entry["outcome"] for _, entry in entries(document, station)}
    if not outcomes & {"failed", "refused"}:
        return PARTIAL if any(each["code"] not in NOTICES for each in document["usage"].get("problems", [])) else DONE
    return PARTIAL if outcomes & {"done", "nothing", "deferred"} else FAILED


def summary(document: cycles.Document, station: str = "") -> str:
    """`archive: 3 done; prune: 1 deferred`: one line for the journal."""
    counts: dict[str, dict[str, int]] = {}
    for name, entry in entries(document, station):
        per = counts.setdefault(name, {})
        per[entry["outcome"]] = per.get(entry["outcome"], 0) + 1
    parts = [f"{name}: " + ", ".join(f"{n} {what}" for what, n in per.items()) for name, per in counts.items()]
    return "; ".join(parts) or "nothing to do"


def describe(document: cycles.Document, station: str = "") -> list[str]:
    """A line in words for each session a station worked on."""
    found = []
    for name, entry in entries(document, station):
        label = entry["session_key"] or entry["session_id"]
        words = entry.get("words") or entry.get("reason", "")
        found.append(f"{name} {label}: {entry['outcome']}" + (f", {words}" if words else ""))
        if entry.get("hint"):
            found.append(f"  hint: {entry['hint']}")
    for problem in document["usage"].get("problems", []):
        label = "note" if problem["code"] in NOTICES else "passed over"
        found += [f"{label}: {problem['message']}", f"  hint: {problem['hint']}"]
    return found


def _print(document: cycles.Document, station: str, call: Call, text: str = "") -> None:
    """JSON for a pipe, words for a terminal; words go to stderr where stdout carries the document."""
    words = describe(document, station) or [f"{station}: nothing to do"]
    if not call.as_json and output.is_terminal():
        output.tell(*words)
        return
    from moon import schema

    output.put(text or schema.dump("cycle", document))
    output.say(*words)
