"""Pack old archives tighter: what nobody adds to any more is compressed once with more effort.

The bytes in the archive stay the same, and with them its hash, name and line in the ledger; only the file is another.
It takes the old one's place in one step, after it was read back. A file that was packed tight says so itself: its zstd
frame names the length of its content, which the quick compression of the archive station cannot know. So a run that is
cut short, or out of time, leaves nothing to remember.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moon.errors import ArchiveDamaged, MoonError
from moon.text import counted, readable_size
from moon.vault import segments
from moon.vault.catalog import Catalog, Segment
from moon.vault.packing import join
from moon.vault.segments import SegmentWriter

# A plain file of less is not worth the line in the ledger that its new name takes.
LEAST_PLAIN = 16 << 10


@dataclass
class Cooled:
    """What was packed tighter: files, their bytes before and after, and how many are left for the next run."""

    files: int = 0
    before: int = 0
    after: int = 0
    left: int = 0
    problems: list[MoonError] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        words = f"{counted(self.files, 'archive')} packed tighter, {readable_size(self.before - self.after)} less"
        return words + (f"; {self.left} left for the next run" if self.left else "")


def cool(catalog: Catalog, before: str, seconds: float) -> Cooled:
    """Pack tighter what was archived before that time (RFC 3339), the oldest first, for so many seconds.

    A damaged archive is left as it is, and named. Raises `HomeUnusable` (full disk).
    """
    done = Cooled()
    deadline = time.monotonic() + seconds
    waiting = list(warm(catalog.segments(), before))
    for number, file in enumerate(waiting):
        if time.monotonic() >= deadline:
            done.left = len(waiting) - number
            break
        try:
            _cool_file(catalog, file, done)
        except ArchiveDamaged as error:
            done.problems.append(error)
    return done


def warm(files: Iterable[Segment], before: str) -> Iterator[Segment]:
    """The files that are old enough and not packed tight yet."""
    for file in files:
        is_packed = file.path.suffix == ".zst"
        if file.archived_at < before and (is_warm(file.path) if is_packed else file.bytes >= LEAST_PLAIN):
            yield file


def is_warm(path: Path) -> bool:
    """Was this file compressed in a hurry? Not when it cannot be read."""
    import zstandard

    try:
        with path.open("rb") as stream:
            return zstandard.get_frame_parameters(stream.read(32)).content_size == zstandard.CONTENTSIZE_UNKNOWN
    except (OSError, zstandard.ZstdError):
        return False


def _cool_file(catalog: Catalog, file: Segment, done: Cooled) -> None:
    before = file.path.stat().st_size if file.path.exists() else 0
    path = file.path
    if path.suffix != ".zst":
        # Only a name with `.zst` may hold compressed bytes: a pack of one.
        path = catalog.home.root / join(catalog, [file])["archive_path"]
    _compress(path, file.bytes, file.sha256)
    done.files += 1
    done.before += before
    done.after += path.stat().st_size


def _compress(path: Path, size: int, sha256: str) -> None:
    """Write a file anew with all the effort there is. Raises `ArchiveDamaged`, `HomeUnusable`."""
    writer = SegmentWriter(path, replace=True, tight_bytes=size)
    try:
        for line in segments.lines(path):
            writer.add(line)
        writer.finish(sha256)
    finally:
        writer.abandon()
