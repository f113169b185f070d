"""Bring the map and the cut messages into the new window, and tie the two windows together; each once."""

from __future__ import annotations

import time

from moon.clock import now_text
from moon.errors import MoonError, OpenClawFailed
from moon.rollover.continuity_map import idempotency_key
from moon.rollover.new_window import Window
from moon.rollover.rollover_journal import Journal, remove_journal
from moon.rollover.rollover_tools import Tools, look

# How long to look for a message in the transcript after the gateway took it.
ARRIVAL_SECONDS = 20.0


def deliver_map(tools: Tools, journal: Journal) -> Window:
    """Send the map as a turn of the new window, unless it is there; believe only the transcript."""
    text = (tools.context.home.continuity / f"{journal.rollover_id}.md").read_text(encoding="utf-8")
    heading = f"# Continuity map {journal.rollover_id}"
    return _deliver(tools, journal, text, idempotency_key(journal.rollover_id), heading, what="map")


def send_cut_messages(tools: Tools, journal: Journal) -> int:
    """Send each message that lost its answer as a turn of its own; how many there are.

    A turn of Moon's has the owner's rights, so what somebody else wrote in a group is only named in the map.
    """
    owners = [each for each in journal.cut if each.is_owner]
    for each in owners:
        _deliver(tools, journal, each.turn, each.key, each.turn, what="message that was cut off", deliver=True)
    return len(owners)


def _deliver(
    tools: Tools, journal: Journal, text: str, key: str, mark: str, *, what: str, deliver: bool = False
) -> Window:
    window = look(tools, journal)
    if window is not None and window.has_turn(key, mark):
        return window
    trouble = ""
    try:
        tools.gateway.send_turn(journal.target_key, journal.agent, text, key, deliver=deliver)
    except MoonError as error:
        trouble = error.message
    window = await_turn(tools, journal, key, mark, 2.0 if trouble else ARRIVAL_SECONDS)
    if window is None or not window.has_turn(key, mark):
        raise OpenClawFailed(
            f"the new window is open, but the {what} did not arrive: {trouble or 'it is not in the transcript'}",
            hint=f"it is delivered at a later tick; meanwhile the map is in continuity/{journal.rollover_id}.md",
        )
    return window


def await_turn(tools: Tools, journal: Journal, key: str, mark: str, seconds: float) -> Window | None:
    """Look for a message in the transcript until it is there or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        window = look(tools, journal)
        if (window is not None and window.has_turn(key, mark)) or time.monotonic() >= deadline:
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
