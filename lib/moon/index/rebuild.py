"""Make the index and every page anew from the archives; readers keep the old index until the new one is whole."""

from __future__ import annotations

from moon import audit
from moon.config import Config
from moon.errors import ArchiveDamaged
from moon.files import unusable
from moon.fulltext import rebuilding
from moon.index.archive_entry import carry_out
from moon.index.index_steps import Made, Step
from moon.paths import Home
from moon.projection import page_path
from moon.redact import Redactor
from moon.vault.catalog import Catalog


def rebuild(home: Home, config: Config, catalog: Catalog) -> Made:
    """Everything again; an archive that cannot be read is a problem of its own and stops nothing."""
    made = Made()
    redactor = Redactor.from_config(config.redact)
    with rebuilding(home.text_index) as index:
        for segment in catalog.segments():
            # Two sessions can have an archive of the same bytes; the index knows it once.
            step = Step(segment, index=not index.has_segment(segment.sha256), page=config.index.markdown)
            try:
                carry_out(home, index, redactor, step, made)
            except ArchiveDamaged as error:
                made.problems.append(error.message)
                continue
            if not index.findable(segment.sha256):
                made.problems.append(f"archive {segment.sha256[:12]}… was entered, but a search does not find it")
    if config.index.markdown:
        remove_stray_pages(home, catalog)
    audit.record(home, "index", "rebuilt", ids=made.archives, reason="; ".join(["asked for", *made.problems]))
    return made


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
