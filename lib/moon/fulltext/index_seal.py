"""Has anything but Moon changed the index file? A seal beside it tells, at the cost of a look at its size and time.

A run of changes ends with a seal: size and time of the file. It is broken before the next change. Who opens an index
whose file does not fit its seal holds each page against its sum (`page_sums`); an index without a seal is being
written, or its writer was cut short, which SQLite itself makes good.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import NamedTuple

from moon.files import write_atomic
from moon.fulltext.page_sums import changed_page


class Seal(NamedTuple):
    """What the file was when its writer left it: bytes, time of the last change."""

    size: int
    mtime_ns: int


def seal_path(path: Path) -> Path:
    """Where the seal of an index lies."""
    return path.with_name(f"{path.name}.seal")


def break_seal(path: Path) -> None:
    """Say that the file is about to change."""
    seal_path(path).unlink(missing_ok=True)


def put_seal(path: Path) -> None:
    """Say that the file is as its writer left it. Everything must be in the file, nothing in a log beside it."""
    found = path.stat()
    write_atomic(seal_path(path), json.dumps(Seal(found.st_size, found.st_mtime_ns)._asdict()))


def read_seal(path: Path) -> Seal | None:
    """The seal; None where there is none that can be read."""
    try:
        found = json.loads(seal_path(path).read_text("ascii"))
        return Seal(found["size"], found["mtime_ns"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def damage(path: Path, connection: sqlite3.Connection, *, thorough: bool = False) -> str:
    """What is wrong with an open index, "" for nothing. Without `thorough` only a file that does not fit its seal is
    read through. Raises `sqlite3.DatabaseError` where SQLite itself notices.
    """
    seal = read_seal(path)
    if not thorough and (seal is None or _fits(path, seal)):
        return ""
    verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if verdict != "ok":
        return verdict[:200]
    page = changed_page(path) if seal is not None else None
    # Only a seal that still is there was not broken by a writer in the meantime.
    if page is not None and read_seal(path) == seal:
        return f"page {page} is not as it was written"
    return ""


def is_sealed(path: Path) -> bool:
    """Is the file as its writer left it?"""
    seal = read_seal(path)
    return seal is not None and _fits(path, seal)


def _fits(path: Path, seal: Seal) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (seal.size, seal.mtime_ns)
