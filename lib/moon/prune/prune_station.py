"""The prune station: OpenClaw compacts a session that is fully archived and at rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from moon.config import Config
from moon.cycle.station_runner import Context, Entry, Row
from moon.errors import MoonError, OpenClawFailed
from moon.guard.activity import GatewayAway, InUse, current, require_idle
from moon.guard.coverage import require_coverage
from moon.openclaw.locate import open_stores
from moon.openclaw.openclaw_command import OpenClaw, reason_of
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.prune.shrinkage import Extent, is_compacted_already, shrinkage
from moon.vault.catalog import Catalog, open_catalog


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open the catalog once; prune one session a call."""
    client = OpenClaw(context.config)

    def handle(row: Row) -> Entry:
        if context.config.prune.mode == "off":
            return {"outcome": "nothing", "words": "prune.mode is off"}
        if context.dry_run:
            return {"outcome": "nothing", "words": f"would {context.config.prune.mode} it"}
        try:
            return prune(context, catalog, client, row)
        except InUse as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint}
        except GatewayAway as error:
            return {"outcome": "deferred", "reason": error.message, "hint": error.hint, "backoff": True}

    with open_catalog(context.home) as catalog:
        yield handle


def prune(context: Context, catalog: Catalog, client: OpenClaw, row: Row) -> Entry:
    """Check the promises, compact, and believe only what the store shows afterwards."""
    config = context.config
    store, entry = current(open_stores(config), row["agent"], row["session_key"], row["session_id"])
    require_idle(config, client, store, entry)
    coverage = require_coverage(context.home, catalog, store, entry.transcript)
    before = Extent(coverage.events, entry.used_tokens, entry.compactions)
    lines = config.prune.max_lines if config.prune.mode == "truncate" else None
    if lines is not None and lines >= before.events:
        return {"outcome": "nothing", "words": f"{before.events} events are not more than prune.max_lines"}
    answer, trouble = _compact(client, entry, lines)
    after = _extent(config, row)
    shrunk = shrinkage(before, after)
    if shrunk:
        return {
            "outcome": "done",
            "words": shrunk,
            "audit": {"mode": config.prune.mode},
            "events_before": before.events,
            "events_after": after.events,
            "used_before": before.used_tokens,
            "used_after": after.used_tokens,
        }
    if is_compacted_already(answer):
        return {"outcome": "nothing", "words": reason_of(answer)}
    if "active run" in trouble or "active run" in reason_of(answer):
        raise InUse("a run is active")
    raise OpenClawFailed(
        f"the session did not shrink: {trouble or reason_of(answer)}",
        hint="try `openclaw sessions compact` by hand; everything in it is archived",
    )


def _compact(client: OpenClaw, entry: SessionEntry, lines: int | None) -> tuple[dict[str, object], str]:
    """The answer, and what went wrong; the store decides what it was worth."""
    try:
        return client.compact(entry.key, entry.agent, lines), ""
    except MoonError as error:
        return {}, error.message


def _extent(config: Config, row: Row) -> Extent:
    stores = open_stores(config)
    store, entry = current(stores, row["agent"], row["session_key"], row["session_id"])
    return Extent(count_events(store, entry), entry.used_tokens, entry.compactions)


def count_events(store: TranscriptStore, entry: SessionEntry) -> int:
    """How many events the store holds for a session now."""
    return sum(1 for _ in store.events(entry.transcript))
