"""Make archives findable: rows into the text index, a Markdown page beside. All of it can be made again at any time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moon import audit
from moon.config import Config
from moon.errors import MoonError
from moon.files import unusable
from moon.fulltext import (
    IndexBusy,
    IndexCorrupt,
    IndexVersion,
    Moved,
    TextIndexWriter,
    open_next,
    open_writer,
    take_place,
)
from moon.fulltext.index_database import BESIDE
from moon.index.archive_entry import carry_out, index_source, portions, source_of
from moon.index.index_steps import Made, Step, plan_steps
from moon.index.qmd_collection import makes_pages, pages_change
from moon.paths import Home
from moon.projection import page_path
from moon.vault.catalog import Catalog, Segment

if TYPE_CHECKING:
    from moon.redact import Redactor

SET_ASIDE = ".set-aside"
# How long one attempt waits for another writer. Only `moon-index` writes, under the cycle lock, so this is rare.
BUSY_SECONDS = 5.0
# How long one run works at a new index that will take the place of one of another version.
RENEWAL_SECONDS = 60.0


class IndexRenewing(MoonError):
    """The index is being made anew, and this run's time for that is over."""

    code = "index_renewing"


class Indexer:
    """The text index of one home, open for one run of the station; `catalog` says which archives there are.

    An index that is damaged is set aside and made anew from the archives, at once. One of another version, or whose
    words were made by other rules, answers on while a new one is made beside it, in as many runs as that takes.
    """

    def __init__(self, home: Home, config: Config, catalog: Catalog) -> None:
        self.home = home
        self.config = config
        self.catalog = catalog
        self.makes_pages = makes_pages(config)
        self.replaced = ""
        self._busy: IndexBusy | IndexRenewing | None = None
        self._index: TextIndexWriter | None = None

    @functools.cached_property
    def redactor(self) -> Redactor:
        """Made when there is a text to redact."""
        from moon.redact import Redactor

        return Redactor.from_config(self.config.redact)

    @property
    def index(self) -> TextIndexWriter:
        """The open index. Raises `IndexBusy`, `IndexRenewing`, `IndexMissing` (full disk, no permission)."""
        if self._index is None:
            try:
                self._index = open_writer(self.home.text_index, timeout=BUSY_SECONDS)
            except IndexVersion as error:
                self._renew(error)
                self._index = open_writer(self.home.text_index, timeout=BUSY_SECONDS)
        return self._index

    def close(self) -> None:
        """Let go of the file."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def add(self, found: list[Segment], fresh: Collection[str] | None = None) -> tuple[Made, set[str]]:
        """Enter what is missing; what was made, and which of the archives a search finds now. Raises `MoonError`.

        With `fresh`, an archive that the index has is looked for by a search only when it is one of these: a session
        of years has hundreds, and each tick that brings a message would look for all of them.
        """

        def is_findable(each: Segment) -> bool:
            if fresh is None or each.sha256 in fresh:
                return self.is_findable(each)
            return self.index.has_segment(each.sha256)

        attempt = 0
        while self._busy is None:
            attempt += 1
            try:
                made = self._feed(found, is_findable)
                return made, {each.sha256 for each in found if is_findable(each)}
            except IndexBusy as error:
                self.close()
                if attempt >= self.config.index.attempts:
                    self._busy = error  # the other sessions of this run need not wait for it again
            except IndexRenewing as error:
                self._busy = error
            except IndexCorrupt as error:
                if self.replaced:
                    raise
                self._set_aside(error)
                self._feed(list(self.catalog.segments()), self.is_findable)
        raise self._busy

    def add_the_rest(self) -> Made:
        """Enter every other archive that the index lacks: of sessions whose turn was missed, or after a loss."""
        if self._busy is not None:
            raise self._busy
        known = self.index.segment_shas()
        if self.catalog.hashes() <= known and self._has_pages():
            return Made()
        missing = [each for each in self.catalog.segments() if each.sha256 not in known or not self.has_page(each)]
        return self.add(missing)[0] if missing else Made()

    def _has_pages(self) -> bool:
        """Are there as many pages as archives? Asking for each would take as long as all else."""
        if not self.makes_pages:
            return True
        return sum(1 for _ in self.home.markdown.glob("*/*.md")) == self.catalog.file_count()

    def _feed(self, found: Iterable[Segment], is_findable: Callable[[Segment], bool]) -> Made:
        made = Made()
        found = list(found)
        for pack in (each for each in found if each.parts):
            self._take_over(self.index, pack)
        for portion in portions(list(plan_steps(found, is_findable, self.has_page))):
            carry_out(self.home, self.index, self.redactor, portion, made)
        return made

    def _take_over(self, index: TextIndexWriter, pack: Segment) -> None:
        """Let a pack stand for the archives in it, in the index and among the pages."""
        if index.has_segment(pack.sha256):
            return
        parts = self.catalog.parts(pack.path)
        moved = [Moved(part.sha256, part.first_line) for part in parts]
        index.take_over(index_source(source_of(self.home, pack)), moved)
        pages_change(self.home)
        for part in parts:
            page_path(self.home, self.home.root / part.path).unlink(missing_ok=True)

    def is_findable(self, segment: Segment) -> bool:
        """Does a search bring this archive back?"""
        return self.index.findable(segment.sha256)

    def has_page(self, segment: Segment) -> bool:
        """Is its page there, or not wanted?"""
        return not self.makes_pages or page_path(self.home, segment.path).exists()

    def _renew(self, error: IndexVersion) -> None:
        """Make a new index beside the old one and let it take its place. Raises `IndexRenewing` when time is over."""
        deadline = time.monotonic() + RENEWAL_SECONDS
        made = Made()
        with open_next(self.home.text_index) as fresh:
            known = fresh.segment_shas()
            missing = [each for each in self.catalog.segments() if each.sha256 not in known]
            done = 0
            for portion in portions(self._steps_of_new(fresh, missing)):
                if time.monotonic() > deadline and done:
                    raise _renewing(error, len(missing) - done)
                carry_out(self.home, fresh, self.redactor, portion, made)
                done += len(portion)
            fresh.finish()
        take_place(self.home.text_index)
        self.replaced = error.message
        audit.record(self.home, "index", "rebuilt", reason="; ".join([error.message, *made.problems]))

    def _steps_of_new(self, fresh: TextIndexWriter, missing: Iterable[Segment]) -> Iterator[Step]:
        for segment in missing:
            if segment.parts:
                self._take_over(fresh, segment)  # where it was made a pack between two runs
            # Two sessions can have an archive of the same bytes; the index knows it once.
            is_new = not fresh.has_segment(segment.sha256)
            if is_new or not self.has_page(segment):
                yield Step(segment, index=is_new, page=not self.has_page(segment))

    def _set_aside(self, error: MoonError) -> None:
        self.close()
        self.replaced = error.message
        path = self.home.text_index
        aside = set_aside(path)
        reason = f"{error.message}; set aside as {aside.name} and made anew"
        audit.record(self.home, "index", "rebuilt", reason=reason)


def _renewing(error: IndexVersion, left: int) -> IndexRenewing:
    return IndexRenewing(
        f"{error.message}; a new one is being made, {left} archives are left",
        path=error.path,
        hint="the next ticks go on, and recall answers from the old one; `moon-index --rebuild` makes it at once",
    )


def set_aside(path: Path) -> Path:
    """Move an index that cannot be used out of the way; only the last such file is kept."""
    aside = path.with_name(path.name + SET_ASIDE)
    try:
        path.replace(aside)
        for suffix in BESIDE:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    return aside
