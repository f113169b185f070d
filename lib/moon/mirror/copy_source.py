"""The bytes of a file of the archive, proven to be what the ledger says before they are copied."""

from __future__ import annotations

import hashlib
import io

from moon.copies.layout import Item
from moon.errors import ArchiveDamaged
from moon.paths import Home

BLOCK = 1 << 20


def proven_bytes(home: Home, item: Item) -> bytes:
    """The stored bytes of a file of the archive. Raises `ArchiveDamaged` where they are not what was archived."""
    path = home.root / item.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(item, str(path), error.strerror or str(error)) from error
    problem = what_differs(data, item)
    if problem:
        raise _damaged(item, str(path), problem)
    return data


def what_differs(data: bytes, item: Item) -> str:
    """Why these stored bytes are not the item; empty when they are."""
    digest = hashlib.sha256()
    if not item.path.endswith(".zst"):
        digest.update(data)
    else:
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_size=BLOCK) as reader:
                while block := reader.read(BLOCK):
                    digest.update(block)
        except zstandard.ZstdError as error:
            return f"it does not decompress: {error}"
    return "" if digest.hexdigest() == item.sha256 else "it is not what was archived"


def _damaged(item: Item, path: str, why: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"{item.path} cannot be copied: {why}",
        path=path,
        hint="`moon-archive --repair` makes it anew where it can; the next run copies it then",
    )
