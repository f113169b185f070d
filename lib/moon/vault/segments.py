"""Archive segments: files of exact event bytes, one event a line, plain or compressed with zstd. Immutable.

A segment is written beside its final name, read back from the disk, and only then takes that name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from moon.errors import ArchiveDamaged
from moon.files import make_private, sync, sync_folder, unusable, write_all
from moon.paths import safe_name

BUFFER = 1 << 20
# On days of real conversations 8 to 23 % less than level 1, on long ones 24 to 40 %, at 50 times the CPU
# (docs/decisions/0026): for what nobody waits for.
TIGHT_LEVEL = 19


class Sink(Protocol):
    """Takes bytes; gives what is ready to be stored."""

    def compress(self, data: bytes | memoryview) -> bytes | memoryview: ...

    def flush(self) -> bytes: ...


class Plain:
    """Stores bytes as they are."""

    def compress(self, data: bytes | memoryview) -> bytes | memoryview:
        return data

    def flush(self) -> bytes:
        return b""


@dataclass(frozen=True)
class Written:
    """A finished segment. `sha256` and `bytes` are of the uncompressed lines, newlines included."""

    path: Path
    sha256: str
    events: int
    bytes: int


def segment_path(raw: Path, agent: str, session_key: str, session_id: str, ordinal: int, compressed: bool) -> Path:
    """`archives/raw/<agent>/<session key>.<session id>.<ordinal>.jsonl[.zst]`, safe for any key and id."""
    return _path(raw, agent, session_key, session_id, f"{ordinal:05d}", compressed)


def pack_path(raw: Path, agent: str, session_key: str, session_id: str, first: int, last: int) -> Path:
    """`….<first ordinal>-<last ordinal>.jsonl.zst`: packs are always compressed, and no segment has such a name."""
    return _path(raw, agent, session_key, session_id, f"{first:05d}-{last:05d}", compressed=True)


def _path(raw: Path, agent: str, session_key: str, session_id: str, number: str, compressed: bool) -> Path:
    name = f"{safe_name(session_key or 'unlisted')}.{safe_name(session_id)}.{number}.jsonl"
    return raw / safe_name(agent) / (name + (".zst" if compressed else ""))


class SegmentWriter:
    """Writes one segment; nothing stands at its final name before `finish` has read it back.

    `replace`: take the place of a file that is known to be damaged, or to hold the same. Any other file is never
    written over. `tight_bytes`: the length of what comes, which is to be compressed with all the effort there is.
    """

    def __init__(self, path: Path, *, replace: bool = False, tight_bytes: int = 0) -> None:
        self.path = path
        self._replace = replace
        self.events = 0
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._stored = hashlib.sha256()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._sink = _sink(path, tight_bytes)
        self._temporary = path.with_name(f".{path.name}.tmp")
        make_private(path.parent)
        try:
            self._descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            raise unusable(path, error) from error

    def add(self, event: bytes) -> None:
        """Append one event as a line. Raises `HomeUnusable` on a full disk."""
        self.add_all([event])

    def add_all(self, events: Sequence[bytes]) -> None:
        """Append events, a line each. Raises `HomeUnusable` on a full disk."""
        self._buffer += events
        self._buffered += sum(map(len, events)) + len(events)
        self.events += len(events)
        if self._buffered >= BUFFER:
            self._drain()

    def _drain(self) -> None:
        large = self._buffered >= 2 * BUFFER
        for data in self._as_lines() if large else (b"\n".join([*self._buffer, b""]),):
            self.bytes += len(data)
            self._hash.update(data)
            self._store(self._sink.compress(data))
        self._buffer = []
        self._buffered = 0

    def _as_lines(self) -> Iterator[memoryview | bytes]:
        """The same bytes piece by piece, none of them copied: an event can be large."""
        for event in self._buffer:
            whole = memoryview(event)
            for start in range(0, len(event), BUFFER):
                yield whole[start : start + BUFFER]
            yield b"\n"

    def _store(self, data: bytes | memoryview) -> None:
        self._stored.update(data)
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise unusable(self.path, error) from error

    def finish(self, expected: str = "") -> Written:
        """Make the bytes durable, read them back, and give the file its name. Raises `ArchiveDamaged`, also where
        something else was added than `expected`, a SHA-256, says.
        """
        self._drain()
        if expected and self._hash.hexdigest() != expected:
            raise _damaged(self.path, "does not hold what was archived, and is left as it is")
        self._store(self._sink.flush())
        try:
            sync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            written = Written(self.path, self._hash.hexdigest(), self.events, self.bytes)
            self._read_back(written)
            self._refuse_to_replace()
            self._temporary.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise unusable(self.path, error) from error
        return written

    def _refuse_to_replace(self) -> None:
        """Archives are immutable: a file that stands at this name holds events that may be nowhere else."""
        if self.path.exists() and not self._replace:
            raise ArchiveDamaged(
                f"{self.path} stands already, and the ledger does not name it",
                path=str(self.path),
                hint="nothing was written over; move the file aside and look into it, then archive again",
            )

    def _read_back(self, written: Written) -> None:
        """The file holds what was stored, byte for byte; and, of a compressed one, that unpacks to what went in.

        The second is proven by the checksum over its content that zstd keeps at its end, and by the length.
        """
        stored = hashlib.sha256()
        size = 0
        try:
            with self._temporary.open("rb") as stream:
                unpacker = _unpacker(self.path)
                while block := stream.read(BUFFER):
                    stored.update(block)
                    size += unpacker(block)
        except ArchiveDamaged:
            size = -1
        if (stored.digest(), size) != (self._stored.digest(), written.bytes):
            raise ArchiveDamaged(
                f"{self.path} did not read back as it was written",
                path=str(self.path),
                hint="the disk may be failing; nothing was recorded or pruned",
            )

    def abandon(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
        self._temporary.unlink(missing_ok=True)


def _sink(path: Path, tight_bytes: int) -> Sink:
    if path.suffix != ".zst":
        return Plain()
    import zstandard

    if tight_bytes:
        tight = zstandard.ZstdCompressor(level=TIGHT_LEVEL, write_checksum=True, write_content_size=True)
        return cast(Sink, tight.compressobj(size=tight_bytes))
    # Level 1: archiving must not be held up, and higher levels gain a few percent on JSON text at twice the time.
    return cast(Sink, zstandard.ZstdCompressor(level=1, write_checksum=True).compressobj())


def _unpacker(path: Path) -> Callable[[bytes], int]:
    """Takes stored bytes and tells how many they unpack to. It raises `ArchiveDamaged` where they do not."""
    if path.suffix != ".zst":
        return len
    import zstandard

    unpacking = zstandard.ZstdDecompressor().decompressobj()

    def unpacked(block: bytes) -> int:
        try:
            return len(unpacking.decompress(block))
        except zstandard.ZstdError as error:
            raise _damaged(path, f"does not decompress: {error}") from error

    return unpacked


@contextlib.contextmanager
def open_segment(path: Path, compressed: bool | None = None) -> Iterator[IO[bytes]]:
    """The uncompressed bytes of a segment as a stream. Raises `ArchiveDamaged` where they cannot be read."""
    try:
        with path.open("rb") as stored:
            if not (path.suffix == ".zst" if compressed is None else compressed):
                yield stored
                return
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(stored, read_size=BUFFER) as reader:
                    yield io.BufferedReader(reader, BUFFER)
            except zstandard.ZstdError as error:
                raise _damaged(path, f"does not decompress: {error}") from error
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror or error}") from error


def _damaged(path: Path, what: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"archive {path} {what}",
        path=str(path),
        hint="`moon-archive --repair` mends it where it can; `moon-archive --verify` checks all of them",
    )


def lines(path: Path) -> Iterator[bytes]:
    """The events of a segment in order, exact bytes without the newline. Raises `ArchiveDamaged`."""
    with open_segment(path) as stream:
        for line in stream:
            yield line[:-1] if line.endswith(b"\n") else line


def sound_lines(path: Path, sha256: str) -> Iterator[bytes]:
    """As `lines`, and raises `ArchiveDamaged` behind the last one where they are not those that were archived: what is
    stored plain has no checksum of its own.
    """
    digest = hashlib.sha256()
    with open_segment(path) as stream:
        for line in stream:
            digest.update(line)
            yield line[:-1] if line.endswith(b"\n") else line
    if digest.hexdigest() != sha256:
        raise _damaged(path, "does not have the hash that the ledger gives")


Measure = tuple[str, int, int]


def digest_parts(path: Path, sizes: Sequence[int], compressed: bool | None = None) -> tuple[Measure, list[Measure]]:
    """(sha256, events, bytes) of a file's uncompressed content, and of each stretch of it of so many bytes.

    Raises `ArchiveDamaged` where it cannot be read; a file that is too short has short stretches.
    """
    whole, parts = _Digest(), []
    with open_segment(path, compressed) as stream:
        for size in sizes:
            part = _Digest()
            while part.bytes < size and (block := stream.read(min(BUFFER, size - part.bytes))):
                part.add(block)
                whole.add(block)
            parts.append(part.measure())
        while block := stream.read(BUFFER):
            whole.add(block)
    return whole.measure(), parts


class _Digest:
    """Hash, lines and bytes of what was read so far."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = self.bytes = 0

    def add(self, block: bytes) -> None:
        self._hash.update(block)
        self.events += block.count(b"\n")
        self.bytes += len(block)

    def measure(self) -> Measure:
        return self._hash.hexdigest(), self.events, self.bytes


def digest_file(path: Path, compressed: bool | None = None) -> Measure:
    """(sha256, events, bytes) of a segment's uncompressed content, read from the disk. Raises `ArchiveDamaged`."""
    return digest_parts(path, (), compressed)[0]
