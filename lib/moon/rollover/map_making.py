"""Write the continuity map of a session, and give the intent that goes with it."""

from __future__ import annotations

import os
from collections.abc import Callable
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
from moon.rollover.map_lists import LISTS, gather, not_in
from moon.rollover.recall_hints import questions, try_questions
from moon.rollover.rollover_journal import Journal
from moon.rollover.rollover_tools import Tools
from moon.rollover.window_end import end_of

# What part of a map the last words of its window may take.
NOW_SHARE = 0.3


def make_map(tools: Tools, entry: SessionEntry, boundary_event_id: str) -> Journal:
    """Write the map of what lies before the boundary; the intent is not on the disk yet."""
    settings = for_session(tools.context.config, entry.agent, entry.key).rollover
    stamp = now_text().replace("-", "").replace(":", "").replace(".", "")
    journal = Journal(
        rollover_id=f"{stamp}-{os.urandom(3).hex()}",
        agent=entry.agent,
        session_key=entry.key,
        from_session_id=entry.session_id,
        boundary_event_id=boundary_event_id,
        mode=settings.mode,
    )
    redact = _redact(tools)
    document = build_map(_facts(tools, journal, settings.max_tokens, redact), settings.max_tokens, redact)
    _write(tools, document)
    return journal


def _facts(tools: Tools, journal: Journal, max_tokens: int, redact: Callable[[str], str]) -> Facts:
    """Read what the map is made from, and try its hints."""
    home, catalog, agent, key = tools.context.home, tools.catalog, journal.agent, journal.session_key
    found = collect.segments_of_window(catalog, agent, key, journal.from_session_id)
    distillations = collect.distillations_of(home, found)
    lists = gather(distillations, collect.standing_rules(home, catalog, agent, key))
    cited = {source for name in LISTS for line in lists[name] for source in line.sources}
    spoken = collect.spoken_in(found, cited, redact)
    end = end_of(spoken.last, int(max_tokens * NOW_SHARE))
    # What stands in the map with all that was said around it need not be looked for.
    unknown = not_in("\n".join(end.now), lists, ())
    return Facts(
        rollover_id=journal.rollover_id,
        agent=agent,
        session_key=key,
        from_session_id=journal.from_session_id,
        boundary_event_id=journal.boundary_event_id,
        created_at=now_text(),
        lists=lists,
        end=end,
        said=spoken.sources,
        archives=collect.archive_references(home, found),
        memory_files=collect.memory_files(distillations),
        hints=try_questions(questions(unknown), agent, journal.from_session_id),
    )


def _redact(tools: Tools) -> Callable[[str], str]:
    redactor = Redactor.from_config(tools.context.config.redact)
    return lambda text: redactor.redact(text).text


def add_cut_messages(tools: Tools, journal: Journal) -> None:
    """Write the map anew, with the messages that are still to be answered."""
    path = tools.context.home.continuity / f"{journal.rollover_id}.json"
    named = [(each.text, each.is_owner) for each in journal.cut]
    document = cast(ContinuityMap, schema.read("continuity", path))
    _write(tools, with_cut_messages(document, named, _redact(tools)))


def _write(tools: Tools, document: ContinuityMap) -> None:
    place = tools.context.home.continuity / document["rollover_id"]
    schema.write("continuity", document, place.with_name(f"{place.name}.json"))
    write_atomic(place.with_name(f"{place.name}.md"), render(document))
