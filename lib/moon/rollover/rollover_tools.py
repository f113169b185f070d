"""What every step of a rollover needs, and how it looks into the store."""

from __future__ import annotations

from dataclasses import dataclass

from moon.cycle.station_runner import Context
from moon.openclaw.gateway import Gateway
from moon.openclaw.locate import open_stores
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.rollover.new_window import Window, look_behind
from moon.rollover.rollover_journal import Journal
from moon.vault.catalog import Catalog


@dataclass(frozen=True)
class Tools:
    """Carried through all steps."""

    context: Context
    catalog: Catalog
    gateway: Gateway


def find(tools: Tools, agent: str, session_key: str) -> tuple[TranscriptStore, SessionEntry] | None:
    """The session as the store has it now, whatever its id has become. Raises what kept a store from being read."""
    stores = open_stores(tools.context.config)
    for store, entry in stores.sessions():
        if (entry.agent, entry.key) == (agent, session_key):
            return store, entry
    if stores.problems:
        # It may well be in the store that cannot be read: nothing follows from its absence.
        raise stores.problems[0]
    return None


def look(tools: Tools, journal: Journal) -> Window | None:
    """What the store says of the window that the map goes into; None when there is no such session."""
    found = find(tools, journal.agent, journal.target_key)
    return None if found is None else look_behind(*found, journal.from_session_id, journal.boundary_event_id)


def open_one(tools: Tools, journal: Journal) -> Window | None:
    """The new window, if it is there."""
    window = look(tools, journal)
    return window if window is not None and window.is_new else None
