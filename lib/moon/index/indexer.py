"""Make archives findable: rows into the text index, a Markdown page beside. All of it can be made again at any time.

An archive is read once, line by line, for both; its text is redacted before it goes into either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from moon import audit, projection, text
from moon.config import Config
from moon.errors import ArchiveDamaged, MoonError
from moon.files import atomic_writer, unusable, write_all
from moon.fulltext import (
    IndexBusy,
    IndexCorrupt,
    IndexVersion,
    MessageRow,
    SegmentSource,
    TextIndexWriter,
    open_writer,
)
from moon.fulltext.index_packs import Moved, take_over
from moon.index.index_steps import Made, Step, plan_steps
from moon.openclaw.events import parse
from moon.paths import Home
from moon.projection import Message, page_path
from moon.redact import Redactor
from moon.vault import segments
from moon.vault.catalog import Catalog, Segment

SET_ASIDE = ".set-aside"
# How long one attempt waits for another writer. Only `moon-index` writes, under the cycle lock, so this is rare.
BUSY_SECONDS = 5.0


class Indexer:
    """The text index of one home, open for one run of the station; `catalog` says which archives there are.

    An index that is damaged or of another version is set aside and made anew from the archives, at once.
    """

    def __init__(self, home: Home, config: Config, catalog: Catalog) -> None:
        self.home = home
        self.config = config
        self.catalog = catalog
        self.redactor = Redactor.from_config(config.redact)
        self.replaced = ""
        self._busy: IndexBusy | None = None
        self._index: TextIndexWriter | None = None

    @property
    def index(self) -> TextIndexWriter:
        """The open index. Raises `IndexBusy`, `IndexMissing` (full disk, no permission)."""
        if self._index is None:
            self._index = open_writer(self.home.text_index, timeout=BUSY_SECONDS)
        return self._index

    def close(self) -> None:
        """Let go of the file."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def add(self, found: list[Segment]) -> tuple[Made, set[str]]:
        """Enter what is missing; what was made, and which of the archives a search finds now. Raises `MoonError`."""
        attempt = 0
        while self._busy is None:
            attempt += 1
            try:
                made = self._feed(found)
                return made, {each.sha256 for each in found if self.is_findable(each)}
            except IndexBusy as error:
                self.close()
                if attempt >= self.config.index.attempts:
                    self._busy = error  # the other sessions of this run need not wait for it again
            except (IndexCorrupt, IndexVersion) as error:
                if self.replaced:
                    raise
                self._set_aside(error)
                self._feed(list(self.catalog.segments()))
        raise self._busy

    def add_the_rest(self) -> Made:
        """Enter every other archive that the index lacks: of sessions whose turn was missed, or after a loss."""
        if self._busy is not None:
            raise self._busy
        known = self.index.segment_shas()
        missing = [each for each in self.catalog.segments() if each.sha256 not in known or not self.has_page(each)]
        return self.add(missing)[0] if missing else Made()

    def _feed(self, found: Iterable[Segment]) -> Made:
        made = Made()
        found = list(found)
        for pack in (each for each in found if each.parts):
            self._take_over(pack)
        for step in list(plan_steps(found, self.is_findable, self.has_page)):
            try:
                carry_out(self.home, self.index, self.redactor, step, made)
            except ArchiveDamaged as error:
                made.problems.append(error.message)
        return made

    def _take_over(self, pack: Segment) -> None:
        """Let a pack stand for the archives in it, in the index and among the pages."""
        if self.index.has_segment(pack.sha256):
            return
        parts = self.catalog.parts(pack.path)
        moved = [Moved(part.sha256, part.first_line) for part in parts]
        take_over(self.index, _index_source(source_of(self.home, pack)), moved)
        for part in parts:
            page_path(self.home, self.home.root / part.path).unlink(missing_ok=True)

    def is_findable(self, segment: Segment) -> bool:
        """Does a search bring this archive back?"""
        return self.index.findable(segment.sha256)

    def has_page(self, segment: Segment) -> bool:
        """Is its page there, or not wanted?"""
        return not self.config.index.markdown or page_path(self.home, segment.path).exists()

    def _set_aside(self, error: MoonError) -> None:
        self.close()
        self.replaced = error.message
        path = self.home.text_index
        aside = set_aside(path)
        reason = f"{error.message}; set aside as {aside.name} and made anew"
        audit.record(self.home, "index", "rebuilt", reason=reason)


def set_aside(path: Path) -> Path:
    """Move an index that cannot be used out of the way; only the last such file is kept."""
    aside = path.with_name(path.name + SET_ASIDE)
    try:
        path.replace(aside)
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    return aside


def carry_out(home: Home, index: TextIndexWriter, redactor: Redactor, step: Step, made: Made) -> None:
    """Do one step in one pass over the archive. Raises `ArchiveDamaged` and the errors of the index."""
    segment = step.segment
    messages = read_messages(segment, redactor)
    source = source_of(home, segment)
    with contextlib.ExitStack() as stack:
        if step.page:
            descriptor = stack.enter_context(atomic_writer(page_path(home, segment.path)))
            messages = _written(messages, descriptor, source)
        if step.index:
            index.forget_segment(segment.sha256)
            made.messages += index.add_segment(_index_source(source), rows_of(messages))
        for _ in messages:
            pass  # the rest of the page: all of it when the index needs nothing
    made.archives += [segment.sha256] if step.index else []
    made.pages += step.page


def read_messages(segment: Segment, redactor: Redactor) -> Iterator[Message]:
    """Every event of an archive that says something, redacted; lines that are no event are passed over."""
    for number, line in enumerate(segments.lines(segment.path), 1):
        event = parse(line)
        if event is None or not event.pieces:
            continue
        pieces = tuple(replace(each, text=redactor.redact(text.lines(each.text)).text) for each in event.pieces)
        yield Message(number, event.id, event.role, event.timestamp, pieces)


def rows_of(messages: Iterable[Message]) -> Iterator[MessageRow]:
    """A row for each piece of each message."""
    for message in messages:
        for piece in message.pieces:
            yield MessageRow(message.event_id, message.line, piece.role, piece.text, message.timestamp, piece.tool)


def _written(messages: Iterable[Message], descriptor: int, source: projection.Source) -> Iterator[Message]:
    """Hand messages on, each after it was written to the page."""
    write_all(descriptor, projection.render_head(source).encode())
    for message in messages:
        write_all(descriptor, projection.render_message(message).encode())
        yield message


def source_of(home: Home, segment: Segment) -> projection.Source:
    """The archive as pages name it."""
    return projection.Source(
        agent=segment.agent,
        session_key=segment.session_key,
        session_id=segment.session_id,
        archive_path=home.relative(segment.path),
        sha256=segment.sha256,
        archived_at=segment.archived_at,
    )


def _index_source(source: projection.Source) -> SegmentSource:
    return SegmentSource(source.sha256, source.agent, source.session_key, source.session_id, source.archive_path)
