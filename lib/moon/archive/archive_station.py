"""The archive station: every due session's new events into the archive."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from moon.archive.transcript_archiver import archive_transcript
from moon.cycle.station_runner import Context, Entry, Row
from moon.openclaw.locate import open_stores
from moon.openclaw.transcript_store import Transcript
from moon.vault.catalog import open_catalog


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
