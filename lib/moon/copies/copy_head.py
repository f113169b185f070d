"""The head of a host's copy: a small object that says how far it is. Nothing in it is secret, and nothing needs it.

It is read by `moon-status --fleet` and `moon-mirror --list`; a restore goes by the parts of the ledger themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from moon import schema
from moon.copies.copy_errors import CopyDamaged, CopyFailed, ObjectMissing
from moon.copies.layout import HEAD, HEAD_LIMIT
from moon.copies.place import Place
from moon.errors import MoonError

SCHEMA = "moon.copy_head/1"
READERS = 16


class Head(TypedDict):
    """`generation`, `parts`: the ledger that counts. `behind`: ledger lines that were not copied yet when this was
    written. `heartbeat`: when the host's timer looked last. `problems`: codes alone, no words.
    """

    schema: str
    host: str
    name: str
    writer: str
    version: str
    sealed: bool
    updated_at: str
    heartbeat: str | None
    generation: int
    parts: int
    ledger_bytes: int
    tip: str
    objects: int
    bytes: int
    behind: int
    missing: int
    problems: list[str]


def read_head(place: Place, host: str) -> Head | None:
    """A host's head; None where there is none. Raises `CopyDamaged` for what is none, and what a place raises."""
    try:
        data = place.get(f"{host}/{HEAD}", HEAD_LIMIT)
    except ObjectMissing:
        return None
    try:
        document = schema.parse("copy_head", data, path=f"{place.url}/{host}/{HEAD}")
    except MoonError as error:
        raise CopyDamaged(
            f"{host}/{HEAD} is no head of a copy: {error.message}", path=f"{place.url}/{host}/{HEAD}"
        ) from error
    head: Head = document  # type: ignore[assignment]
    if head["host"] != host:
        raise CopyDamaged(f"{host}/{HEAD} is the head of {head['host']}", path=f"{place.url}/{host}/{HEAD}")
    return head


def write_head(place: Place, head: Head) -> None:
    """Put it in place of the one before."""
    schema.check("copy_head", head)
    place.replace(f"{head['host']}/{HEAD}", json.dumps(head, indent=1).encode() + b"\n")


def read_heads(place: Place) -> Iterator[tuple[str, Head | CopyFailed]]:
    """Every host that has a copy there, with its head or why it cannot be read; other folders are passed over."""
    names = list(place.folders())

    def read(name: str) -> Head | CopyFailed | None:
        try:
            return read_head(place, name)
        except CopyFailed as error:
            return error

    with ThreadPoolExecutor(READERS) as readers:
        for name, head in zip(names, readers.map(read, names), strict=True):
            if head is not None:
                yield name, head
