"""Has anything but Moon changed the index file? A seal beside it tells, at the cost of a look at its size and time.

SQLite notices a page that is no page any more. It does not notice bytes that were lost within one, and then a search
finds less and says nothing. So a run of changes ends with a seal: size and time of the file, and a checksum over what
FTS5 keeps. It is broken before the next change. Who opens an index whose file does not fit its seal reads it through
once; an index without a seal is being written, or its writer was cut short, which SQLite itself makes good.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from moon.files import write_atomic


class Seal(NamedTuple):
    """What the file was when its writer left it: bytes, time of the last change, checksum of FTS5's blocks."""

    size: int
    mtime_ns: int
    words: int


def seal_path(path: Path) -> Path:
    """Where the seal of an index lies."""
    return path.with_name(f"{path.name}.seal")


def break_seal(path: Path) -> None:
    """Say that the file is about to change."""
    seal_path(path).unlink(missing_ok=True)


def put_seal(path: Path, connection: sqlite3.Connection) -> None:
    """Say that the file is as its writer left it. Everything must be in the file, nothing in a log beside it."""
    found = path.stat()
    write_atomic(
        seal_path(path), json.dumps(Seal(found.st_size, found.st_mtime_ns, words_checksum(connection))._asdict())
    )


def read_seal(path: Path) -> Seal | None:
    """The seal; None where there is none that can be read."""
    try:
        return Seal(**json.loads(seal_path(path).read_text("ascii")))
    except (OSError, ValueError, TypeError):
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
    # Only a seal that still is there was not broken by a writer in the meantime.
    if seal is not None and words_checksum(connection) != seal.words and read_seal(path) == seal:
        return "the words in it are not those that were written"
    return _changed_text(connection) if thorough else ""


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


def words_checksum(connection: sqlite3.Connection) -> int:
    """A checksum over all blocks of FTS5."""
    checksum = 0
    for number, block in connection.execute("SELECT id, block FROM words_data ORDER BY id"):
        checksum = crc32(block, crc32(number.to_bytes(8, "little"), checksum))
    return checksum


def _changed_text(connection: sqlite3.Connection) -> str:
    changed = sum(
        1
        for text, digest in connection.execute("SELECT text, digest FROM message LEFT JOIN body USING (id)")
        if text is None or crc32(text.encode()) != digest
    )
    return f"{changed} messages are not as they were written" if changed else ""
