"""The archive station: every due session's new events into the archive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import reduce
from typing import TYPE_CHECKING

from moon import audit
from moon.archive.transcript_archiver import Archived, archive_transcript
from moon.cycle.station_runner import Context
from moon.errors import MoonError
from moon.openclaw.locate import Stores, open_stores
from moon.openclaw.transcript_store import Transcript, TranscriptStore
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.packing import pack_past_days

if TYPE_CHECKING:
    from moon.documents import Entry, Row


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open stores and catalog once; archive one session a call, at every place where the store has something of it."""
    stores = open_stores(context.config)

    def handle(row: Row) -> Entry:
        found = list(_held_of(stores, row))
        if not found:
            return {"outcome": "nothing", "archives": [], "words": "the store holds no transcript of it"}
        if context.dry_run:
            size = sum(store.size(transcript) for store, transcript in found)
            return {"outcome": "nothing", "words": f"would archive what is new of {size} bytes"}
        limit = context.config.archive.compress_from_bytes
        done = [
            archive_transcript(context.home, catalog, store, transcript, limit, whole=compares_whole(row))
            for store, transcript in found
        ]
        return reduce(Archived.joined, done).as_entry()

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


def _held_of(stores: Stores, row: Row) -> Iterator[tuple[TranscriptStore, Transcript]]:
    """Each transcript that the row names and the stores still hold, what was left behind first."""
    for place in row.get("places") or [""]:
        found = stores.locate(Transcript(row["agent"], row["session_key"], row["session_id"], place))
        if found is not None:
            yield found


def compares_whole(row: Row) -> bool:
    """Is every event to be compared, whatever the mark says? Before anything destructive, and where a person asks."""
    return bool(row.get("whole")) or not {"prune", "rollover"}.isdisjoint(row["due"])
