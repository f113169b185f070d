"""The index station: every archive of the due sessions into the text index, a Markdown page each, then QMD."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from moon.cycle.cycle_document import session_record
from moon.cycle.station_runner import Context
from moon.errors import MoonError
from moon.index.index_steps import entry_of
from moon.index.indexer import Indexer, IndexRenewing
from moon.index.qmd_collection import update_collection
from moon.index.vector_making import update_vectors
from moon.text import counted
from moon.vault.catalog import Catalog, Segment, open_catalog

if TYPE_CHECKING:
    from moon.documents import Entry, Row


@contextlib.contextmanager
def work(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """Open the index once; one session a call; at the end whatever else the index lacks, and QMD."""
    with open_catalog(context.home) as catalog:
        if context.dry_run:
            yield lambda row: _announce(_wanted(catalog, row))
            return
        indexer = Indexer(context.home, context.config, catalog)

        def handle(row: Row) -> Entry:
            found = _wanted(catalog, row)
            archived = session_record(context.document, "archive", row)
            fresh = archived.get("archives", []) if archived else []
            # What is destructive comes only after every archive was looked for, and so does what is asked for by name.
            is_plain = set(row["due"]) == {"archive", "index"}
            try:
                made, findable = indexer.add(found, fresh if is_plain else None)
            except IndexRenewing as error:
                return {"outcome": "deferred", "code": error.code, "reason": error.message, "hint": error.hint}
            return entry_of(made, found, findable, fresh)

        with contextlib.closing(indexer):
            yield handle
            _finish(context, indexer)


def _wanted(catalog: Catalog, row: Row) -> list[Segment]:
    """The archives of a row's session; only those it names, where it names some."""
    named = row.get("archives")
    found = catalog.segments(row["agent"], row["session_id"])
    return [each for each in found if named is None or each.sha256 in named]


def _announce(found: list[Segment]) -> Entry:
    return {"outcome": "nothing", "words": f"would index what is missing of {counted(len(found), 'archive')}"}


def _finish(context: Context, indexer: Indexer) -> None:
    """What concerns no single session. A failure here is noted; but an index made anew must be whole."""
    try:
        rest = indexer.add_the_rest()
        indexer.index.finish()
        if rest.archives or rest.pages or rest.problems:
            context.extra["other_sessions"] = rest.describe()
        cycle_id = context.document["cycle_id"]
        context.extra["vectors"] = update_vectors(context.home, context.config, indexer.index, cycle_id)
    except IndexRenewing as error:
        context.extra["renewing"] = error.message
    except MoonError as error:
        if indexer.replaced:
            raise
        context.extra["other_sessions"] = f"failed: {error.message}"
    if indexer.replaced:
        context.extra["rebuilt"] = indexer.replaced
    context.extra["qmd"] = update_collection(context.home, context.config, context.document["cycle_id"])
