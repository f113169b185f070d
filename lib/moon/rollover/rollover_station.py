"""The rollover station: a fresh window that opens with a continuity map.

    checks → map written, journal `prepared` → new window, journal `opened` → map delivered → link in the ledger

Each step first asks the store whether it has already happened, so a rollover that was cut short anywhere goes on from
there at the next tick and happens once.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from moon import schema
from moon.clock import now_text
from moon.cycle.station_runner import Context, Entry, Row
from moon.errors import MoonError, OpenClawFailed
from moon.files import write_atomic
from moon.guard.activity import GatewayAway, InUse, current, require_idle
from moon.guard.coverage import require_coverage
from moon.openclaw.locate import open_stores
from moon.openclaw.openclaw_command import OpenClaw
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.redact import Redactor
from moon.rollover import map_sources as collect
from moon.rollover.continuity_map import Facts, build_map, idempotency_key, render
from moon.rollover.new_window import Window, is_last, look_behind
from moon.rollover.rollover_journal import Journal, read_journal, remove_journal, write_journal
from moon.vault.catalog import Catalog, open_catalog

# How long to look for the map in the transcript after the gateway took it.
ARRIVAL_SECONDS = 20.0


@dataclass(frozen=True)
class Tools:
    """What every step of a rollover needs."""

    context: Context
    catalog: Catalog
    client: OpenClaw


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open the catalog once; roll one session over a call."""

    def handle(row: Row) -> Entry:
        if context.config.rollover.mode == "off":
            return {"outcome": "nothing", "words": "rollover.mode is off"}
        if context.dry_run:
            return {"outcome": "nothing", "words": f"would roll it over ({context.config.rollover.mode})"}
        try:
            return roll_over(tools, row)
        except InUse as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint}
        except GatewayAway as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint, "backoff": True}

    with open_catalog(context.home) as catalog:
        tools = Tools(context, catalog, OpenClaw(context.config))
        yield handle


def roll_over(tools: Tools, row: Row) -> Entry:
    """Begin a rollover, or go on with the one that was cut short."""
    home = tools.context.home
    journal = read_journal(home, row["agent"], row["session_key"])
    if journal is not None and journal.step == "prepared" and not is_open(tools, journal):
        # Nothing has happened yet, and the map may be out of date by now.
        remove_journal(home, journal)
        journal = None
    if journal is None and row.get("resume"):
        return {"outcome": "nothing", "words": "it was cut short before anything happened, and is no longer due"}
    # A rollover under way may have changed the session's id; one that begins is for the session that was measured.
    session_id = row["session_id"] if journal is None else ""
    found = current(open_stores(tools.context.config), row["agent"], row["session_key"], session_id)
    require_idle(tools.context.config, tools.client, *found)
    if journal is None:
        journal = prepare(tools, *found)
        open_window(tools, journal)
    write_journal(home, replace(journal, step="opened"))
    window = deliver(tools, journal)
    link(tools, journal, window)
    return {
        "outcome": "done",
        "ids": [journal.rollover_id],
        "rollover_id": journal.rollover_id,
        "to_session_key": journal.target_key,
        "to_session_id": window.session_id,
        "words": f"new window opened with continuity map {journal.rollover_id}",
    }


def find(tools: Tools, agent: str, session_key: str) -> tuple[TranscriptStore, SessionEntry] | None:
    """The session as the store has it now, whatever its id has become."""
    for store, entry in open_stores(tools.context.config).sessions():
        if (entry.agent, entry.key) == (agent, session_key):
            return store, entry
    return None


def look(tools: Tools, journal: Journal) -> Window | None:
    """What the store says of the window that the map goes into; None when there is no such session."""
    found = find(tools, journal.agent, journal.target_key)
    if found is None:
        return None
    return look_behind(*found, journal.from_session_id, journal.boundary_event_id, journal.rollover_id)


def is_open(tools: Tools, journal: Journal) -> bool:
    """Is the new window there?"""
    window = look(tools, journal)
    return window is not None and window.is_new


def prepare(tools: Tools, store: TranscriptStore, entry: SessionEntry) -> Journal:
    """Check that everything is archived, write the map, and note that the rollover is under way."""
    context, home = tools.context, tools.context.home
    coverage = require_coverage(home, tools.catalog, store, entry.transcript)
    stamp = now_text().replace("-", "").replace(":", "").replace(".", "")
    journal = Journal(
        rollover_id=f"{stamp}-{os.urandom(3).hex()}",
        agent=entry.agent,
        session_key=entry.key,
        from_session_id=entry.session_id,
        boundary_event_id=coverage.last_event_id,
        mode=context.config.rollover.mode,
    )
    found = collect.segments_of_window(tools.catalog, entry.agent, entry.key, entry.session_id)
    distillations = collect.distillations_of(home, found)
    facts = Facts(
        rollover_id=journal.rollover_id,
        agent=entry.agent,
        session_key=entry.key,
        from_session_id=entry.session_id,
        boundary_event_id=coverage.last_event_id,
        created_at=now_text(),
        distillations=distillations,
        archives=collect.archive_references(home, found),
        memory_files=collect.memory_files(distillations),
    )
    redactor = Redactor.from_config(context.config.redact)
    document = build_map(facts, context.config.rollover.max_tokens, lambda text: redactor.redact(text).text)
    schema.write("continuity", document, home.continuity / f"{journal.rollover_id}.json")
    write_atomic(home.continuity / f"{journal.rollover_id}.md", render(document))
    write_journal(home, journal)
    return journal


def open_window(tools: Tools, journal: Journal) -> None:
    """Make the new window, unless somebody wrote in the old one meanwhile. Raises `InUse`, `OpenClawFailed`."""
    old = find(tools, journal.agent, journal.session_key)
    if old is None or not is_last(*old, journal.boundary_event_id):
        remove_journal(tools.context.home, journal)
        raise InUse("new messages arrived while the map was made")
    trouble = ""
    try:
        if journal.mode == "reset":
            tools.client.reset(journal.session_key, journal.from_session_id)
        else:
            tools.client.create_child(journal.session_key, journal.agent, journal.target_key)
    except MoonError as error:
        trouble = error.message
    if not is_open(tools, journal):
        raise OpenClawFailed(
            f"no new window was opened: {trouble or 'the store shows none'}",
            hint="nothing was lost; the next tick tries again",
        )


def deliver(tools: Tools, journal: Journal) -> Window:
    """Send the map as a turn of the new window, unless it is there; believe only the transcript."""
    window = look(tools, journal)
    if window is not None and window.has_map:
        return window
    text = (tools.context.home.continuity / f"{journal.rollover_id}.md").read_text(encoding="utf-8")
    trouble = ""
    try:
        tools.client.send_turn(journal.target_key, journal.agent, text, idempotency_key(journal.rollover_id))
    except MoonError as error:
        trouble = error.message
    window = await_map(tools, journal, 2.0 if trouble else ARRIVAL_SECONDS)
    if window is None or not window.has_map:
        raise OpenClawFailed(
            f"the new window is open, but the map did not arrive: {trouble or 'it is not in the transcript'}",
            hint=f"it is delivered at a later tick; meanwhile it is in continuity/{journal.rollover_id}.md",
        )
    return window


def await_map(tools: Tools, journal: Journal, seconds: float) -> Window | None:
    """Look for the map in the transcript until it is there or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        window = look(tools, journal)
        if (window is not None and window.has_map) or time.monotonic() >= deadline:
            return window
        time.sleep(0.25)


def link(tools: Tools, journal: Journal, window: Window) -> None:
    """Tie the two windows together in the ledger, once, and end the journal."""
    ledger = tools.catalog.ledger
    if all(line.get("rollover_id") != journal.rollover_id for line in ledger.links()):
        ledger.append(
            {
                "schema": "moon.archive/1",
                "kind": "link",
                "agent": journal.agent,
                "session_key": journal.session_key,
                "from_session_id": journal.from_session_id,
                "to_session_id": window.session_id,
                "to_session_key": journal.target_key,
                "boundary_event_id": journal.boundary_event_id,
                "continuity_path": f"continuity/{journal.rollover_id}.json",
                "rollover_id": journal.rollover_id,
                "linked_at": now_text(),
            }
        )
    remove_journal(tools.context.home, journal)
