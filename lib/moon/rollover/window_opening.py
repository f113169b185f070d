"""Ask for the new window, find out what became of the request, and see who was cut off by it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from moon.clock import now_ms, parse_ms
from moon.errors import DestructionRefused, OpenClawFailed
from moon.guard.activity import InUse, require_no_run
from moon.openclaw.gateway import GatewayRefused, GatewayUnreachable, NoAnswer
from moon.openclaw.locate import open_stores
from moon.openclaw.pending_inputs import pending_inputs
from moon.openclaw.transcript_store import SessionEntry, Transcript, TranscriptStore
from moon.rollover.continuity_map import idempotency_key
from moon.rollover.cut_messages import SLACK_MS, CutMessage, collided, cut_messages, interrupted
from moon.rollover.map_making import add_cut_messages
from moon.rollover.new_window import Line, Window, events_behind, is_last, is_turn
from moon.rollover.rollover_journal import OPENED, Journal, may_be_underway, remove_journal, write_journal
from moon.rollover.rollover_tools import Tools, find, open_one

# How long the gateway may be at a reset: it lets work drain for 15 seconds, and waits for hooks and child runtimes.
SETTLE_SECONDS = 60.0
# How long to wait for a run that began in the new window just now.
REST_SECONDS = 20.0
POLL_SECONDS = 0.25
# A message that was taken shows as a run only after 20 to 50 milliseconds, more on a busy machine.
QUIET_SECONDS = 0.5


def open_window(tools: Tools, journal: Journal) -> Journal:
    """Write the intent, look once more, and ask for the new window. Raises `InUse`, `OpenClawFailed`.

    The last look and the request go over one connection, with nothing in between. What is raised before the request
    goes out takes the intent back; afterwards it stays until the store shows what has become of it.
    """
    home = tools.context.home
    if not journal.boundary_event_id:
        raise DestructionRefused("the session has no event for a window to begin behind", path=journal.session_key)
    with tools.gateway.acting():
        journal = replace(journal, requested_at=now_ms())
        write_journal(home, journal)
        try:
            require_untouched(tools, journal)
            require_no_run(tools.gateway, journal.session_key)
        except Exception:
            remove_journal(home, journal)
            raise
        trouble, is_over = request(tools, journal)
    if open_one(tools, journal) is not None:
        return journal
    if is_over:
        remove_journal(home, journal)
    raise OpenClawFailed(
        f"no new window was opened: {trouble or 'the store shows none'}",
        hint="nothing was lost; the next tick tries again" if is_over else "it may come yet; the next tick looks again",
    )


def require_untouched(tools: Tools, journal: Journal) -> None:
    """Raise `InUse` if anything was added to the session since it was found archived."""
    old = find(tools, journal.agent, journal.session_key)
    if old is None or not is_last(*old, journal.boundary_event_id):
        raise InUse("new messages arrived while the map was made")
    if any(each.state == "queued" for each in pending_inputs(old[0], journal.session_key)):
        raise InUse("a message waits for its run")


def request(tools: Tools, journal: Journal) -> tuple[str, bool]:
    """Ask; what went wrong, and whether it is certain that nothing is under way any more."""
    try:
        if journal.mode == "reset":
            tools.gateway.reset(journal.session_key, journal.from_session_id)
        else:
            tools.gateway.create_child(journal.session_key, journal.agent, journal.target_key)
    except (GatewayRefused, GatewayUnreachable) as error:
        return error.message, True
    except NoAnswer as error:
        return error.message, False
    except OpenClawFailed as error:
        # The command could not be started at all.
        return error.message, True
    return "", False


def settle(tools: Tools, journal: Journal) -> Journal | None:
    """What became of a request whose end nobody saw: the journal when the window is there, None when it never came.

    Raises `InUse` or `Underway` while it may come yet.
    """
    if open_one(tools, journal) is not None:
        return journal
    if may_be_underway(journal, tools.context.config.openclaw.timeout_seconds + SETTLE_SECONDS):
        raise InUse("a new window was asked for and may be opened still", hint="a later tick looks again")
    # A command that outlived its station holds the lock; only when it is free has the last word been spoken.
    with tools.gateway.acting():
        if open_one(tools, journal) is not None:
            return journal
        remove_journal(tools.context.home, journal)
    return None


def note_opened(tools: Tools, journal: Journal) -> Journal:
    """The window is there: find the messages that it cut off, put them into the map, and note the step."""
    await_rest(tools, journal)
    cut = find_cut(tools, journal) if journal.mode == "reset" else []
    journal = replace(journal, step=OPENED, cut=tuple(cut))
    if cut:
        add_cut_messages(tools, journal)
    write_journal(tools.context.home, journal)
    return journal


def await_rest(tools: Tools, journal: Journal) -> None:
    """Wait until nothing runs in the new window, and for a while nothing did.

    Raises `InUse` when a run takes long, `GatewayAway`.
    """
    deadline = time.monotonic() + REST_SECONDS
    quiet_since = None
    while True:
        try:
            require_no_run(tools.gateway, journal.target_key)
        except InUse:
            quiet_since = None
            if time.monotonic() >= deadline:
                raise
        else:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since >= QUIET_SECONDS:
                return
        time.sleep(min(POLL_SECONDS, QUIET_SECONDS))


def note_collisions(tools: Tools, journal: Journal) -> Journal:
    """Find messages whose runs failed because the map's turn began beside them, and note them as cut off too."""
    if journal.mode != "reset":
        return journal
    await_rest(tools, journal)
    window = open_one(tools, journal)
    lines = window.lines if window is not None else ()
    map_key = idempotency_key(journal.rollover_id)
    arrived = next((line for line in lines if is_turn(line, map_key)), None)
    until = (parse_ms(arrived.get("timestamp")) or 0) + SLACK_MS if arrived else 0
    known = {each.key for each in journal.cut}
    new = tuple(each for each in collided(journal.rollover_id, lines, until) if each.key not in known)
    if new:
        journal = replace(journal, cut=journal.cut + new)
        write_journal(tools.context.home, journal)
    return journal


def find_cut(tools: Tools, journal: Journal) -> list[CutMessage]:
    """The messages without an answer, from the transcript and from what OpenClaw took and interrupted."""
    found = find(tools, journal.agent, journal.session_key)
    window = open_one(tools, journal)
    if found is None or window is None:
        return []
    opened_at = opened_when(window, journal)
    pending = interrupted(pending_inputs(found[0], journal.session_key), journal.requested_at, opened_at)
    old = end_of_old_window(tools, journal, *found)
    return cut_messages(journal.rollover_id, old, window.lines, opened_at, pending)


def end_of_old_window(tools: Tools, journal: Journal, store: TranscriptStore, entry: SessionEntry) -> Sequence[Line]:
    """The events between the boundary and the new window."""
    old = Transcript(journal.agent, journal.session_key, journal.from_session_id)
    located = (store, old)
    if entry.session_id != journal.from_session_id:
        located = open_stores(tools.context.config).locate(old) or located
    behind = events_behind(*located, journal.boundary_event_id)
    opening = next((place for place, line in enumerate(behind) if line.get("type") == "reset"), len(behind))
    return behind[:opening]


def opened_when(window: Window, journal: Journal) -> int:
    """When the new window was opened, in milliseconds: by its first event, else by the request."""
    first = window.lines[0] if window.lines else {}
    return parse_ms(first.get("timestamp")) or journal.requested_at
