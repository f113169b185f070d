"""Let index, pages, sentence vectors and QMD hold nothing that the archive does not hold any more.

Nothing has to be handed in: what is no part of the archive goes. So a run that was cut short is simply run again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from moon.config import Config
from moon.errors import MoonError
from moon.files import unusable
from moon.fulltext import IndexCorrupt, IndexMissing, IndexVersion, TextIndex, open_reader, open_writer, vectors
from moon.fulltext.index_database import remove
from moon.index.indexer import SET_ASIDE, Indexer
from moon.index.qmd_collection import pages_go, update_collection
from moon.index.rebuild import rebuild, remove_stray_pages
from moon.index.vector_making import update_vectors
from moon.paths import Home
from moon.qmd import index_files
from moon.vault.catalog import Catalog

# Indexes that are not in use: one that was damaged, one that is being made.
BESIDE = (SET_ASIDE, ".next", ".new")


@dataclass
class Cleared:
    """How much went, and what could not be cleared yet."""

    rows: int = 0
    pages: int = 0
    vectors: int = 0
    problems: list[MoonError] = field(default_factory=list)


def clear(home: Home, config: Config, catalog: Catalog, *, thorough: bool = True) -> Cleared:
    """Bring everything that can be searched in line with the archive. Raises `MoonError` where the index cannot be.

    Without `thorough`, bytes of what went may be left in free pages, and nothing is written anew for them.
    """
    done = Cleared()
    for ending in BESIDE:
        remove(home.text_index.with_name(home.text_index.name + ending))
    done.rows = _clear_index(home, config, catalog, thorough)
    done.vectors = _clear_vectors(home)
    done.pages = _clear_pages(home, config, catalog)
    with contextlib.suppress(IndexMissing), open_reader(home.text_index) as index:
        update_vectors(home, config, index)
    told = update_collection(home, config)
    if told["outcome"] == "failed" or (told["outcome"] in ("absent", "off") and index_files(config.qmd)):
        done.problems.append(_qmd_keeps(told.get("reason", ""), index_files(config.qmd)))
    return done


def _clear_index(home: Home, config: Config, catalog: Catalog, thorough: bool) -> int:
    """Take out the rows of all that is no part of the archive, enter what is left of it; how many rows went."""
    if not home.text_index.exists():
        return 0
    try:
        rows = _take_out(home, catalog)
    except (IndexVersion, IndexCorrupt):
        # Words of an index of other rules cannot be taken out one by one, and a damaged one is no good anyway.
        remove(home.text_index)
        rebuild(home, config, catalog)
        return 0
    indexer = Indexer(home, config, catalog)
    with contextlib.closing(indexer):
        indexer.add_the_rest()
        if thorough:
            indexer.index.purge()
        else:
            indexer.index.finish()
    return rows


def _take_out(home: Home, catalog: Catalog) -> int:
    standing = {sha for file in catalog.segments() for sha in (file.sha256, *file.parts)}
    with open_writer(home.text_index) as index:
        return sum(index.forget_segment(sha) for sha in index.segment_shas() - standing)


def _clear_vectors(home: Home) -> int:
    """Remove the vectors of rows that are gone; how many. All of them where they cannot be told apart."""
    if not home.vectors.exists():
        return 0
    try:
        with open_reader(home.text_index) as index:
            return vectors.keep_only(vectors.Vectors(home.vectors), vectors.texts_of(index))
    except (MoonError, ImportError):
        known = vectors.count(home.vectors)
        vectors.remove(home.vectors)
        return known


def _clear_pages(home: Home, config: Config, catalog: Catalog) -> int:
    """Remove the pages of files that are gone, and what killed writers left of pages."""
    if not home.markdown.is_dir():
        return 0
    pages_go(home)
    for path in home.markdown.rglob(".*.tmp"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(path, error) from error
    return remove_stray_pages(home, catalog)


def _qmd_keeps(reason: str, files: list[Path]) -> MoonError:
    place = str(files[0]) if files else ""
    return MoonError(
        f"QMD's index may hold it still{f' in {place}' if place else ''}: {reason}",
        path=place,
        code="qmd_keeps",
        hint="the next `moon-index --all` clears it once QMD answers; or delete that file: `qmd` makes it anew",
    )


def count_rows(index: TextIndex, shas: set[str]) -> int:
    """How many rows of the index are of these archives."""
    return sum(index.segment_rows(sha) for sha in shas & index.segment_shas())
