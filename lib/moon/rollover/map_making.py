"""Write the continuity map of a session, and give the intent that goes with it."""

from __future__ import annotations

import os
from typing import cast

from moon import schema
from moon.clock import now_text
from moon.documents import ContinuityMap
from moon.files import write_atomic
from moon.openclaw.transcript_store import SessionEntry
from moon.policies import for_session
from moon.redact import Redactor
from moon.rollover import map_sources as collect
from moon.rollover.continuity_map import Facts, build_map, render, with_cut_messages
from moon.rollover.rollover_journal import Journal
from moon.rollover.rollover_tools import Tools


def make_map(tools: Tools, entry: SessionEntry, boundary_event_id: str) -> Journal:
    """Write the map of what lies before the boundary; the intent is not on the disk yet."""
    context, home = tools.context, tools.context.home
    stamp = now_text().replace("-", "").replace(":", "").replace(".", "")
    journal = Journal(
        rollover_id=f"{stamp}-{os.urandom(3).hex()}",
        agent=entry.agent,
        session_key=entry.key,
        from_session_id=entry.session_id,
        boundary_event_id=boundary_event_id,
        mode=for_session(context.config, entry.agent, entry.key).rollover.mode,
    )
    found = collect.segments_of_window(tools.catalog, entry.agent, entry.key, entry.session_id)
    distillations = collect.distillations_of(home, found)
    facts = Facts(
        rollover_id=journal.rollover_id,
        agent=entry.agent,
        session_key=entry.key,
        from_session_id=entry.session_id,
        boundary_event_id=boundary_event_id,
        created_at=now_text(),
        distillations=distillations,
        archives=collect.archive_references(home, found),
        memory_files=collect.memory_files(distillations),
    )
    redactor = Redactor.from_config(context.config.redact)
    limit = for_session(context.config, entry.agent, entry.key).rollover.max_tokens
    document = build_map(facts, limit, lambda text: redactor.redact(text).text)
    _write(tools, document)
    return journal


def add_cut_messages(tools: Tools, journal: Journal) -> None:
    """Write the map anew, with the messages that are still to be answered."""
    path = tools.context.home.continuity / f"{journal.rollover_id}.json"
    redactor = Redactor.from_config(tools.context.config.redact)
    named = [(each.text, each.is_owner) for each in journal.cut]
    document = cast(ContinuityMap, schema.read("continuity", path))
    _write(tools, with_cut_messages(document, named, lambda text: redactor.redact(text).text))


def _write(tools: Tools, document: ContinuityMap) -> None:
    place = tools.context.home.continuity / document["rollover_id"]
    schema.write("continuity", document, place.with_name(f"{place.name}.json"))
    write_atomic(place.with_name(f"{place.name}.md"), render(document))
