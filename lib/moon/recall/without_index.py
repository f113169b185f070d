"""Recall without an index: the newest archives are read into one in memory, so that an answer does not depend on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from moon.errors import ArchiveDamaged, IndexUnusable, MoonError
from moon.fulltext import MessageRow, SegmentSource, TextIndex, TextIndexWriter
from moon.fulltext.index_database import in_memory
from moon.openclaw.events import parse
from moon.paths import Home
from moon.redact import redact
from moon.text import lines
from moon.vault import segments
from moon.vault.ledger import Ledger

if TYPE_CHECKING:
    from moon.documents import LedgerLine

MAX_SECONDS = 8.0
MAX_BYTES = 64 << 20


def index_of_archives(home: Home, error: IndexUnusable) -> tuple[TextIndex, tuple[str, ...]]:
    """(an index in memory of the newest archives, what to say about it)."""
    index = TextIndexWriter(Path(":memory:"), in_memory())
    said = [f"embedded: {error.message}; {error.hint}"]
    try:
        records = list(Ledger(home.ledger).archives())
    except MoonError as damage:
        return index, (*said, f"archives: {damage.message}")
    read, problems = _read_newest(home, records, index)
    if records:
        said.append(f"embedded: read {read} of {len(records)} archives directly instead")
    return index, (*said, *problems)


def _read_newest(home: Home, records: list[LedgerLine], index: TextIndexWriter) -> tuple[int, list[str]]:
    deadline = time.monotonic() + MAX_SECONDS
    budget = MAX_BYTES
    chosen: list[LedgerLine] = []
    for record in reversed(records):
        budget -= record["bytes"]
        if budget < 0 and chosen:
            break
        chosen.append(record)
    read = 0
    problems = []
    for record in reversed(chosen):
        if time.monotonic() > deadline:
            break
        source = SegmentSource(
            record["sha256"], record["agent"], record["session_key"], record["session_id"], record["archive_path"]
        )
        try:
            index.add_segment(source, _rows(home.root / source.archive_path))
            read += 1
        except ArchiveDamaged as damage:
            problems.append(f"archives: {damage.message}")
    index.finish()
    return read, problems


def _rows(path: Path) -> Iterator[MessageRow]:
    for number, line in enumerate(segments.lines(path), 1):
        event = parse(line)
        if event is None:
            continue
        for piece in event.pieces:
            yield MessageRow(event.id, number, piece.role, redact(lines(piece.text)).text, event.timestamp, piece.tool)
