"""The archive station: every due session's new events into the archive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from moon import audit
from moon.archive.transcript_archiver import archive_transcript
from moon.cycle.station_runner import Context, Entry, Row
from moon.errors import MoonError
from moon.openclaw.locate import open_stores
from moon.openclaw.transcript_store import Transcript
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.packing import pack_past_days


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open stores and catalog once; archive one session a call."""
    stores = open_stores(context.config)

    def handle(row: Row) -> Entry:
        wanted = Transcript(row["agent"], row["session_key"], row["session_id"], row.get("place", ""))
        found = stores.locate(wanted)
        if found is None:
            return {"outcome": "nothing", "archives": [], "words": "the store holds no transcript of it"}
        store, transcript = found
        if context.dry_run:
            return {"outcome": "nothing", "words": f"would archive what is new of {store.size(transcript)} bytes"}
        done = archive_transcript(context.home, catalog, store, transcript, context.config.archive.compress_from_bytes)
        return done.as_record()

    if context.dry_run:
        yield handle
        return
    with open_catalog(context.home) as catalog:
        yield handle
        _pack(context, catalog)


def _pack(context: Context, catalog: Catalog) -> None:
    """Join what past days left in small files. It is no part of anybody's archiving: a failure is noted, no more."""
    try:
        packed = pack_past_days(catalog, context.config.timezone, bounded=True)
    except MoonError as error:
        context.extra["packed"] = f"failed: {error.message}"
        audit.record(context.home, "pack", "failed", cycle_id=context.document["cycle_id"], reason=error.message)
        return
    if packed.packs or packed.problems:
        outcome = "done" if packed.packs else "failed"
        context.extra["packed"] = packed.describe()
        audit.record(
            context.home,
            "pack",
            outcome,
            cycle_id=context.document["cycle_id"],
            ids=packed.packs,
            reason="; ".join(problem.message for problem in packed.problems),
        )
