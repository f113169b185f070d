"""The prune station: OpenClaw compacts a session that is fully archived and at rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from moon.config import Config
from moon.cycle.station_runner import Context
from moon.errors import OpenClawFailed
from moon.guard.activity import GatewayAway, InUse, current, put_off, require_idle
from moon.guard.coverage import Coverage, NotCopiedYet, require_coverage
from moon.openclaw.gateway import Gateway, Underway
from moon.openclaw.locate import open_stores
from moon.openclaw.openclaw_command import reason_of
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.policies import for_session
from moon.prune.shrinkage import Extent, is_compacted_already, shrinkage
from moon.vault.catalog import Catalog, open_catalog

if TYPE_CHECKING:
    from moon.documents import Entry, Row


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open the catalog and a way to the gateway once; prune one session a call."""

    def handle(row: Row) -> Entry:
        if for_session(context.config, row["agent"], row["session_key"]).prune.mode == "off":
            return {"outcome": "nothing", "words": "prune.mode is off"}
        try:
            return prune(context, catalog, gateway, row)
        except (InUse, Underway, NotCopiedYet) as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint}
        except GatewayAway as error:
            return put_off(error)

    with open_catalog(context.home) as catalog, Gateway(context.config, context.home.request_lock) as gateway:
        yield handle


def prune(context: Context, catalog: Catalog, gateway: Gateway, row: Row) -> Entry:
    """Check the promises, compact, and believe only what the store shows afterwards."""
    config = for_session(context.config, row["agent"], row["session_key"])
    store, entry = current(open_stores(config), row["agent"], row["session_key"], row["session_id"])
    require_idle(config, gateway, store, entry)
    coverage = require_coverage(context.home, config, catalog, store, entry.transcript)
    if context.dry_run:
        return {"outcome": "nothing", "words": "would compact it"}
    return compact(config, gateway, row, entry, coverage)


def compact(config: Config, gateway: Gateway, row: Row, entry: SessionEntry, coverage: Coverage) -> Entry:
    """Have it compacted. OpenClaw itself refuses while a run is active, and lets new ones wait until it is done."""
    before = Extent(coverage.events, entry.used_tokens, entry.compactions)
    answer, trouble = _ask(gateway, entry)
    after = _extent(config, row)
    shrunk = shrinkage(before, after)
    if shrunk:
        return {
            "outcome": "done",
            "words": shrunk,
            "audit": {"mode": "compact"},
            "events_before": before.events,
            "events_after": after.events,
            "used_before": before.used_tokens,
            "used_after": after.used_tokens,
        }
    if is_compacted_already(answer):
        return {"outcome": "nothing", "words": reason_of(answer)}
    if any(words in f"{trouble} {reason_of(answer)}" for words in ("active run", "queued work")):
        raise InUse("a run is active")
    raise OpenClawFailed(
        f"the session did not shrink: {trouble or reason_of(answer)}",
        hint="try `openclaw sessions compact` by hand; everything in it is archived",
    )


def _ask(gateway: Gateway, entry: SessionEntry) -> tuple[dict[str, Any], str]:
    """The answer, and what went wrong; the store decides what it was worth.

    A compaction that is under way still does no harm: it deletes nothing, and a second one waits for it and then has
    nothing to do.
    """
    try:
        return gateway.compact(entry.key, entry.agent), ""
    except OpenClawFailed as error:
        return {}, error.message


def _extent(config: Config, row: Row) -> Extent:
    stores = open_stores(config)
    store, entry = current(stores, row["agent"], row["session_key"], row["session_id"])
    return Extent(count_events(store, entry), entry.used_tokens, entry.compactions)


def count_events(store: TranscriptStore, entry: SessionEntry) -> int:
    """How many events the store holds for a session now."""
    return sum(1 for _ in store.events(entry.transcript))
