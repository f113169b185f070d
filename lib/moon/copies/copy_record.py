"""What this home knows of each of its copies: state/copies/<name>.json. Derived: made anew from the copy itself.

A part of the ledger is put only after every file that its lines name, so a copy holds all that stands at `ledger_end`,
less what is `missing`. A tick and the guard read this and ask nobody.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from moon.errors import MoonError
from moon.files import read_bounded, write_atomic
from moon.paths import Home
from moon.text import dump_json

SCHEMA = "moon.copied/1"
GENESIS = "0" * 64


@dataclass
class Note:
    """A file that changes, as it was copied last."""

    bytes: int
    mtime_ns: int
    sha256: str
    object: str


@dataclass
class CopyRecord:
    """How far one copy is. Times are RFC 3339 text, empty for never.

    `parts`: how many of this generation were put. `tip`: the hash of the line before `ledger_end`. `missing`: archives
    that stand, and could not be copied or proved damaged there. `odd`: objects that do not have the first of their
    names, by it. `remove`: objects to be removed. `whole`: the generation that was finished last; another one is
    `generation` only while it is made. `renew`: begin a new one. `retry_at`: not before then, after a failure.
    """

    url: str
    host: str
    generation: int = 1
    parts: int = 0
    ledger_end: int = 0
    tip: str = GENESIS
    missing: list[str] = field(default_factory=list)
    odd: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    whole: int = 0
    renew: bool = False
    done_at: str = ""
    head_at: str = ""
    verified_at: str = ""
    failing_since: str = ""
    failures: int = 0
    retry_at: str = ""
    code: str = ""
    message: str = ""
    objects: int = 0
    bytes: int = 0


def record_file(home: Home, url: str) -> Path:
    """Where the record of the copy at that URL stands."""
    return home.state / "copies" / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"


def read_record(home: Home, url: str) -> CopyRecord | None:
    """What is known of a copy; None where nothing is, or it cannot be read."""
    try:
        document: dict[str, Any] = json.loads(read_bounded(record_file(home, url)))
        if document.pop("schema") != SCHEMA or document["url"] != url:
            return None
        notes = {str(path): Note(**each) for path, each in document.pop("notes").items()}
        return CopyRecord(**document, notes=notes)
    except (OSError, MoonError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def write_record(home: Home, record: CopyRecord) -> None:
    """Keep it. Raises `HomeUnusable`."""
    write_atomic(record_file(home, record.url), dump_json(as_document(record)) + "\n")


def as_document(record: CopyRecord) -> dict[str, Any]:
    """The `moon.copied/1` document."""
    return {"schema": SCHEMA, **asdict(record)}
