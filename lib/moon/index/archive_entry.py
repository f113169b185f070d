"""One archive into the text index and onto its page: read once, its text redacted before it goes into either."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from moon import projection, text
from moon.errors import ArchiveDamaged
from moon.files import atomic_writer, write_all
from moon.fulltext import MessageRow, SegmentSource, TextIndexWriter
from moon.fulltext.index_filling import HEAD_CHARS, TAIL_CHARS
from moon.index.index_steps import Made, Step
from moon.index.qmd_collection import pages_change
from moon.openclaw.events import Piece, parse
from moon.paths import Home
from moon.projection import Message, page_path
from moon.vault import segments
from moon.vault.catalog import Segment

if TYPE_CHECKING:
    from moon.redact import Redactor

# So much of the archives is entered at once: FTS5 writes its words when that ends, and in small portions it takes twice
# as long.
BYTES_AT_ONCE = 4_000_000
# Longer than any secret.
BEYOND_CHARS = 120_000


def portions(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """The steps in portions: each that makes a page by itself, the others several at once."""
    portion: list[Step] = []
    size = 0
    for step in steps:
        if step.page or portion and size + step.segment.bytes > BYTES_AT_ONCE:
            yield from [portion] if portion else []
            portion, size = [], 0
        if step.page:
            yield [step]
        else:
            portion.append(step)
            size += step.segment.bytes
    yield from [portion] if portion else []


def carry_out(home: Home, index: TextIndexWriter, redactor: Redactor, portion: list[Step], made: Made) -> None:
    """Do a portion of steps; a damaged archive is a problem of its own and stops no other. Raises the errors of the
    index.
    """
    if len(portion) > 1:
        try:
            _enter_together(home, index, redactor, [step.segment for step in portion], made)
            return
        except ArchiveDamaged:
            pass  # nothing of the portion was entered: one by one
    for step in portion:
        try:
            _do(home, index, redactor, step, made)
        except ArchiveDamaged as error:
            made.problems.append(error.message)


def _enter_together(home: Home, index: TextIndexWriter, redactor: Redactor, found: list[Segment], made: Made) -> None:
    found = list({each.sha256: each for each in found}.values())
    for each in found:
        if index.has_segment(each.sha256):  # but no search finds it
            index.forget_segment(each.sha256)
    made.messages += sum(
        index.add_segments(
            (index_source(source_of(home, each)), rows_of(read_messages(each, redactor))) for each in found
        )
    )
    made.archives += [each.sha256 for each in found]


def _do(home: Home, index: TextIndexWriter, redactor: Redactor, step: Step, made: Made) -> None:
    """Do one step in one pass over the archive. Raises `ArchiveDamaged` and the errors of the index."""
    segment = step.segment
    messages = read_messages(segment, redactor)
    source = source_of(home, segment)
    with contextlib.ExitStack() as stack:
        if step.page:
            pages_change(home)
            descriptor = stack.enter_context(atomic_writer(page_path(home, segment.path)))
            messages = _written(messages, descriptor, source)
        if step.index:
            if index.has_segment(segment.sha256):  # but no search finds it
                index.forget_segment(segment.sha256)
            made.messages += index.add_segment(index_source(source), rows_of(messages))
        for _ in messages:
            pass  # the rest of the page: all of it when the index needs nothing
    made.archives += [segment.sha256] if step.index else []
    made.pages += step.page


def read_messages(segment: Segment, redactor: Redactor) -> Iterator[Message]:
    """Every event of an archive that says something, redacted; lines that are no event are passed over. Raises
    `ArchiveDamaged`, behind the last one where the archive is not as it was archived.
    """
    for number, line in enumerate(segments.sound_lines(segment.path, segment.sha256), 1):
        event = parse(line)
        if event is None or not event.pieces:
            continue
        pieces = tuple([Piece(role, _clean(said, redactor), tool) for role, said, tool in event.pieces])
        yield Message(number, event.id, event.role, event.timestamp, pieces)


def _clean(said: str, redactor: Redactor) -> str:
    """A text as it may be kept. Of one so long that its middle is neither indexed nor shown, beginning and end alone:
    each is looked through a good way further, and cut where no secret can be left in half.
    """
    if len(said) <= HEAD_CHARS + TAIL_CHARS + 4 * BEYOND_CHARS:
        return redactor.redact(text.lines(said)).text
    head, tail = said[: HEAD_CHARS + 2 * BEYOND_CHARS], said[-TAIL_CHARS - 2 * BEYOND_CHARS :]
    return f"{_clean(head, redactor)[:-BEYOND_CHARS]}\n{_clean(tail, redactor)[BEYOND_CHARS:]}"


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


def index_source(source: projection.Source) -> SegmentSource:
    """The archive as the text index names it."""
    return SegmentSource(source.sha256, source.agent, source.session_key, source.session_id, source.archive_path)
