"""Cold storage of OpenClaw 2026.9: a transcript at rest for long, moved out of its database into a file.

`sessions/cold/<sha256>.jsonl.zst` beside the database's folder, or a blob in its row. Inside, a JSON object a line: a
header, then `{"kind":"event","row":{"seq","event_json","created_at"}}` in order, then what OpenClaw needs to take it
back. Never written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from moon.errors import MoonError, StoreForeign
from moon.files import read_bounded
from moon.openclaw.transcript_store import StoredEvent
from moon.openclaw.unpacking import Unpackable, unpacked_lines

TABLE = "session_transcript_cold_archives"
COLUMNS = "storage, archive_name, archive_sha256, event_count, raw_bytes, archive_blob"
NAME = re.compile(r"[a-f0-9]{64}\.jsonl\.zst")
# OpenClaw keeps a transcript in its database when these bounds (64 MiB for both) do not hold it.
PACKED_LIMIT = 256 << 20
UNPACKED_LIMIT = 512 << 20


class ColdArchive(NamedTuple):
    """What the database says of a transcript in cold storage; `blob` is None where it lies in a file."""

    path: Path
    sha256: str
    events: int
    raw_bytes: int
    blob: bytes | None


def from_row(database: Path, row: tuple[object, ...]) -> ColdArchive:
    """A row of the table (`COLUMNS`). Raises `StoreForeign` for a name that could lead elsewhere."""
    storage, name, sha256, events, raw_bytes, blob = row
    named = name.decode("utf-8", "replace") if isinstance(name, bytes) else ""
    if not NAME.fullmatch(named):
        raise StoreForeign(f"{database} names a cold archive {named!r}", path=str(database))
    folder = database.parent.parent / "sessions" if database.parent.name == "agent" else database.parent
    return ColdArchive(
        folder / "cold" / named,
        sha256.decode("ascii", "replace") if isinstance(sha256, bytes) else "",
        events if isinstance(events, int) else 0,
        raw_bytes if isinstance(raw_bytes, int) else 0,
        blob if storage == b"sqlite" and isinstance(blob, bytes) else None,
    )


def events(cold: ColdArchive) -> Iterator[StoredEvent]:
    """The transcript's events in order. Raises `StoreForeign` where the archive is gone or not what its row says."""
    packed = cold.blob if cold.blob is not None else _read(cold)
    if hashlib.sha256(packed).hexdigest() != cold.sha256:
        raise _broken(cold, "is not what OpenClaw wrote: its SHA-256 differs")
    count = size = 0
    try:
        for line in unpacked_lines(packed, UNPACKED_LIMIT):
            record = json.loads(line)
            if record["kind"] == "event":
                data = record["row"]["event_json"].encode()
                count += 1
                size += len(data)
                yield StoredEvent(data)
    except (Unpackable, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise _broken(cold, f"cannot be read: {error}") from error
    if (count, size + max(count - 1, 0)) != (cold.events, cold.raw_bytes):
        raise _broken(cold, f"holds {count} events, not the {cold.events} that are recorded")


def _read(cold: ColdArchive) -> bytes:
    try:
        return read_bounded(cold.path, PACKED_LIMIT)
    except FileNotFoundError as error:
        raise _broken(cold, "is gone") from error
    except MoonError as error:
        raise _broken(cold, f"cannot be read: {error.message}") from error


def _broken(cold: ColdArchive, what: str) -> StoreForeign:
    return StoreForeign(
        f"the cold archive {cold.path} {what}",
        path=str(cold.path),
        hint="OpenClaw cannot read it either: restore this file from a backup; what Moon archived before is kept",
    )
