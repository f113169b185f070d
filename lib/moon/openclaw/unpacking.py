"""Compressed parts of a store, unpacked within bounds.

What a zstd frame says of its own size is never believed: bytes are taken as they come, up to a bound that the caller
knows, so that a few bytes cannot make Moon take gigabytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

# zstd itself writes no window above 128 MiB unless told to; a frame that wants more is refused, not obeyed.
WINDOW_LIMIT = 128 << 20
# A block of 128 KiB takes four bytes at the least, so a piece of this size cannot become more than 32 MiB at once.
PIECE = 1 << 10


class Unpackable(Exception):
    """These bytes do not unpack; the text says why."""


def unpack_exactly(packed: bytes, size: int) -> bytes:
    """The `size` bytes that one zstd frame holds. Raises `Unpackable` when it holds fewer, more, or nothing sound."""
    data = b"".join(unpacked(packed, size))
    if len(data) != size:
        raise Unpackable(f"it holds {len(data)} bytes, {size} are recorded")
    return data


def unpacked(packed: IO[bytes] | bytes, limit: int) -> Iterator[bytes]:
    """The content of a zstd stream in pieces. Raises `Unpackable`, also when it is cut short or passes the limit."""
    import zstandard

    source = io.BytesIO(packed) if isinstance(packed, bytes) else packed
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT)
    left = limit
    frame = unpacker.decompressobj()
    try:
        while piece := source.read(PIECE):
            while piece:
                frame = unpacker.decompressobj() if frame.eof else frame
                data = frame.decompress(piece)
                piece = frame.unused_data if frame.eof else b""
                left -= len(data)
                if left < 0:
                    raise Unpackable(f"it holds more than {limit} bytes")
                yield data
    except (zstandard.ZstdError, OSError) as error:
        raise Unpackable(str(error)) from error
    if not frame.eof:
        raise Unpackable("it is cut short")


def unpacked_lines(packed: IO[bytes] | bytes, limit: int) -> Iterator[bytes]:
    """The lines of a zstd stream, with their line ends. Raises `Unpackable` like `unpacked`, after the whole lines."""
    begun: list[bytes] = []
    for data in unpacked(packed, limit):
        first, *others = data.split(b"\n")
        begun.append(first)
        for each in others:
            yield b"".join(begun) + b"\n"
            begun = [each]
    if rest := b"".join(begun):
        yield rest
