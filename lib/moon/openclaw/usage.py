"""How full each session is: the snapshot rows that the threshold machine reads.

ratio = used tokens / prompt budget. Three providers in the configured order: the store read directly, the openclaw
command where a store can not be read, and an estimate from the transcript's size where there are no numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from moon.config import Config
from moon.errors import MoonError
from moon.openclaw.locate import Stores
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore, prompt_budget
from moon.policies import for_session
from moon.text import STORED_BYTES_PER_TOKEN

DEFAULT_WINDOW = 200_000


class Reading(NamedTuple):
    """One session's usage at one moment. `trusted` says whether the numbers may lead to something destructive."""

    agent: str
    session_key: str
    session_id: str
    provider: str
    used_tokens: int | None
    window_tokens: int | None
    budget_tokens: int | None
    ratio: float | None
    fresh: bool
    age_seconds: int | None
    active: bool
    trusted: bool
    doubt: str
    idle_seconds: int | None


class Measured(NamedTuple):
    """All readings, with what went wrong on the way."""

    readings: list[Reading]
    problems: list[MoonError]


def measure(config: Config, stores: Stores | None, now: int, ask_command: bool = True) -> Measured:
    """Read the usage of every session. `stores` is None where OpenClaw's state folder is not there.

    Without `ask_command` the openclaw command, which costs seconds, is not asked in place of a store that fails.
    """
    readings = []
    problems: list[MoonError] = []
    providers = config.usage.providers
    if stores is not None and "store" in providers:
        readings = [read_one(config, store, entry, now) for store, entry in stores.sessions()]
        problems += stores.problems
    if "cli" in providers and ("store" not in providers or (ask_command and (stores is None or problems))):
        known = {(each.agent, each.session_key) for each in readings}
        readings += _from_command(config, stores, now, known, problems)
    return Measured(readings, problems + (stores.notices() if stores else []))


def _from_command(
    config: Config, stores: Stores | None, now: int, known: set[tuple[str, str]], problems: list[MoonError]
) -> Iterator[Reading]:
    from moon.openclaw.openclaw_command import OpenClaw

    try:
        entries = OpenClaw(config).list_sessions()
    except MoonError as error:
        problems.append(error)
        return
    for entry in entries:
        if (entry.agent, entry.key) not in known:
            yield read_one(config, _holder(stores, entry), entry, now, provider="cli")


def _holder(stores: Stores | None, entry: SessionEntry) -> TranscriptStore | None:
    """The store with the session's transcript, where there is one that can be read."""
    try:
        return stores.store_of(entry.transcript) if stores else None
    except MoonError:
        return None


def read_one(
    config: Config, store: TranscriptStore | None, entry: SessionEntry, now: int, provider: str = "store"
) -> Reading:
    """Judge one session's numbers."""
    used, window = entry.used_tokens, entry.window_tokens
    budget = prompt_budget(window, entry.budget_tokens)
    # Right after a reset OpenClaw says, freshly, that nothing is used: that is a number, not a gap.
    known = used == 0 and entry.fresh or bool(used and budget)
    size = 0 if known or "estimate" not in config.usage.providers else _size(store, entry)
    if size:
        provider = "estimate"
        window = window or DEFAULT_WINDOW
        budget = budget or prompt_budget(window, None)
        used = size // STORED_BYTES_PER_TOKEN
    ratio = 0.0 if used == 0 else used / budget if used is not None and budget else None
    age = None if entry.updated_at is None else max(0, now - entry.updated_at) // 1000
    last = entry.interacted_at or entry.updated_at
    idle = None if last is None else max(0, now - last) // 1000
    fresh = entry.fresh and provider != "estimate"
    doubt = doubts(config, used, window, ratio, fresh, age) or _notice(store)
    return Reading(
        agent=entry.agent,
        session_key=entry.key,
        session_id=entry.session_id,
        provider=provider,
        used_tokens=used,
        window_tokens=window,
        budget_tokens=budget,
        ratio=None if ratio is None else round(ratio, 4),
        fresh=fresh,
        age_seconds=age,
        active=entry.running
        or (idle is not None and idle < for_session(config, entry.agent, entry.key).guard.idle_seconds),
        trusted=not doubt,
        doubt=doubt,
        idle_seconds=idle,
    )


def _size(store: TranscriptStore | None, entry: SessionEntry) -> int:
    """The transcript's bytes, 0 where they cannot be had."""
    try:
        return store.size(entry.transcript) if store else 0
    except MoonError:
        return 0


def _notice(store: TranscriptStore | None) -> str:
    notice = store.notice if store else None
    return notice.message if notice else ""


def doubts(
    config: Config, used: int | None, window: int | None, ratio: float | None, fresh: bool, age: int | None
) -> str:
    """Why these numbers may trigger nothing destructive; empty when they may."""
    if used is None or ratio is None:
        return "no usage is known"
    if window is not None and used > window:
        return f"{used} used tokens in a window of {window} cannot be"
    if not fresh:
        return "the numbers are not fresh"
    if age is None or age > config.usage.max_age_seconds:
        limit = config.usage.max_age_seconds
        return f"the numbers are older than usage.max_age_seconds ({limit}); a message brings new ones"
    return ""
