"""The rollover station: a fresh window that opens with a continuity map.

    checks → map, intent → last look and reset, milliseconds apart → what was cut off? → map → cut messages → link

The intent is on the disk before anything is asked of OpenClaw, and from then on only the store decides what has
happened. So a rollover that was cut short anywhere goes on from there at a later tick and happens once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from moon.cycle.station_runner import Context
from moon.documents import Entry, Row
from moon.guard.activity import GatewayAway, InUse, current, put_off, require_idle
from moon.guard.coverage import NotCopiedYet, require_coverage
from moon.openclaw.gateway import Gateway, Underway
from moon.openclaw.locate import open_stores
from moon.policies import for_session
from moon.rollover.map_delivery import deliver_map, link, send_cut_messages
from moon.rollover.map_making import make_map
from moon.rollover.rollover_journal import OPENED, Journal, read_journal
from moon.rollover.rollover_tools import Tools
from moon.rollover.window_opening import note_collisions, note_opened, open_window, settle
from moon.vault.catalog import open_catalog


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open the catalog and a way to the gateway once; roll one session over a call."""

    def handle(row: Row) -> Entry:
        if for_session(context.config, row["agent"], row["session_key"]).rollover.mode == "off":
            return {"outcome": "nothing", "words": "rollover.mode is off"}
        try:
            return rehearse(tools, row) if context.dry_run else roll_over(tools, row)
        except (InUse, Underway, NotCopiedYet) as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint}
        except GatewayAway as error:
            return put_off(error)

    with open_catalog(context.home) as catalog, Gateway(context.config, context.home.request_lock) as gateway:
        tools = Tools(context, catalog, gateway)
        yield handle


def roll_over(tools: Tools, row: Row) -> Entry:
    """Begin a rollover, or go on with the one that was cut short."""
    journal = read_journal(tools.context.home, row["agent"], row["session_key"])
    if journal is not None and journal.step != OPENED:
        journal = settle(tools, journal)
    if journal is None and row.get("resume"):
        return {"outcome": "nothing", "words": "it was cut short before anything happened, and is no longer due"}
    # A rollover under way may have changed the session's id; one that begins is for the session that was measured.
    session_id = row["session_id"] if journal is None else ""
    store, entry = current(open_stores(tools.context.config), row["agent"], row["session_key"], session_id)
    require_idle(for_session(tools.context.config, entry.agent, entry.key), tools.gateway, store, entry)
    if journal is None:
        config = for_session(tools.context.config, entry.agent, entry.key)
        coverage = require_coverage(tools.context.home, config, tools.catalog, store, entry.transcript)
        journal = open_window(tools, make_map(tools, entry, coverage.last_event_id))
    return finish(tools, journal)


def finish(tools: Tools, journal: Journal) -> Entry:
    """All that comes behind the reset."""
    if journal.step != OPENED:
        journal = note_opened(tools, journal)
    window = deliver_map(tools, journal)
    journal = note_collisions(tools, journal)
    sent = send_cut_messages(tools, journal)
    link(tools, journal, window)
    again = f"; {sent} messages that were cut off were sent again" if sent else ""
    return {
        "outcome": "done",
        "ids": [journal.rollover_id],
        "audit": {"cut": len(journal.cut)},
        "rollover_id": journal.rollover_id,
        "to_session_key": journal.target_key,
        "to_session_id": window.session_id,
        "words": f"new window opened with continuity map {journal.rollover_id}{again}",
    }


def rehearse(tools: Tools, row: Row) -> Entry:
    """What `roll_over` would do; the same questions, and nothing changed."""
    journal = read_journal(tools.context.home, row["agent"], row["session_key"])
    session_id = row["session_id"] if journal is None else ""
    store, entry = current(open_stores(tools.context.config), row["agent"], row["session_key"], session_id)
    config = for_session(tools.context.config, entry.agent, entry.key)
    require_idle(config, tools.gateway, store, entry)
    if journal is not None:
        return {"outcome": "nothing", "words": f"would go on with rollover {journal.rollover_id}"}
    require_coverage(tools.context.home, config, tools.catalog, store, entry.transcript)
    return {"outcome": "nothing", "words": f"would roll it over ({config.rollover.mode})"}
