"""Make the index and every page anew from the archives; readers keep the old index until the new one is whole."""

from __future__ import annotations

from collections.abc import Iterator

from moon import audit
from moon.config import Config
from moon.files import unusable
from moon.fulltext import TextIndexWriter, rebuilding
from moon.index.archive_entry import carry_out, portions
from moon.index.index_steps import Made, Step
from moon.index.qmd_collection import makes_pages, pages_change
from moon.output import tracked
from moon.paths import Home
from moon.projection import page_path
from moon.redact import Redactor
from moon.vault.catalog import Catalog


def rebuild(home: Home, config: Config, catalog: Catalog) -> Made:
    """Everything again; an archive that cannot be read is a problem of its own and stops nothing."""
    made = Made()
    pages_change(home)
    redactor = Redactor.from_config(config.redact)
    with rebuilding(home.text_index) as index:
        for portion in portions(_steps(index, catalog, config)):
            done = len(made.archives)
            carry_out(home, index, redactor, portion, made)
            made.problems += [
                f"archive {sha256[:12]}… was entered, but a search does not find it"
                for sha256 in made.archives[done:]
                if not index.findable(sha256)
            ]
    if makes_pages(config):
        remove_stray_pages(home, catalog)
    audit.record(home, "index", "rebuilt", ids=made.archives, reason="; ".join(["asked for", *made.problems]))
    return made


def _steps(index: TextIndexWriter, catalog: Catalog, config: Config) -> Iterator[Step]:
    page = makes_pages(config)
    for segment in tracked(list(catalog.segments()), "indexing, archive"):
        # Two sessions can have an archive of the same bytes; the index knows it once.
        is_new = not index.has_segment(segment.sha256)
        if is_new or page:
            yield Step(segment, index=is_new, page=page)


def remove_stray_pages(home: Home, catalog: Catalog) -> int:
    """Remove pages that no archive has any more; their number."""
    wanted = {page_path(home, segment.path) for segment in catalog.segments()}
    removed = 0
    for path in home.markdown.rglob("*.md"):
        if path not in wanted:
            try:
                path.unlink()
            except OSError as error:
                raise unusable(path, error) from error
            removed += 1
    return removed
