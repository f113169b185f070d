"""One archive into the text index and onto its page: read once, its text redacted before it goes into either."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from moon import projection, text
from moon.files import atomic_writer, write_all
from moon.fulltext import MessageRow, SegmentSource, TextIndexWriter
from moon.index.index_steps import Made, Step
from moon.openclaw.events import parse
from moon.paths import Home
from moon.projection import Message, page_path
from moon.redact import Redactor
from moon.vault import segments
from moon.vault.catalog import Segment


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
            made.messages += index.add_segment(index_source(source), rows_of(messages))
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


def index_source(source: projection.Source) -> SegmentSource:
    """The archive as the text index names it."""
    return SegmentSource(source.sha256, source.agent, source.session_key, source.session_id, source.archive_path)
