"""How a copy is laid out below its prefix. Pure. docs/contracts.md has it as a format.

    <host id>/head.json                     small, replaced: how far this host is
    <host id>/ledger/<generation>/<number>  immutable parts: a line of JSON, then a stretch of the ledger
    <host id>/archives/…, <host id>/notes/… immutable objects: a file each

In a copy that is not sealed an archive has the name that it has in MOON_HOME, so that the folder can be read with plain
tools. In a sealed one no name says anything: it is a hash of host, path and content.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple, TypedDict

from moon.copies.copy_errors import CopyDamaged

PART_SCHEMA = "moon.copy_part/1"
HEAD = "head.json"
# No part and no head is larger; what an object holds is at most an archive.
PART_LIMIT = 64 << 20
HEAD_LIMIT = 1 << 20
OBJECT_LIMIT = 4 << 30
# How many names are tried for an object where one is taken already by what a killed run left.
NAMES_TRIED = 9


class Item(NamedTuple):
    """A file of MOON_HOME. `sha256`: of the uncompressed content of an archive, of the bytes of all else."""

    path: str
    sha256: str


class Stored(NamedTuple):
    """An object as it was put: its name below the host's prefix, its bytes, and the SHA-256 of them."""

    name: str
    bytes: int
    sha256: str


class PartHeader(TypedDict):
    """What everybody may read of a part. `before`, `tip`: the SHA-256 of the ledger's line before this stretch, and of
    its last one. `objects`: what was put since the part before; `gone`: objects that do not count any more.
    """

    schema: str
    host: str
    writer: str
    generation: int
    number: int
    start: int
    end: int
    before: str
    tip: str
    made_at: str
    sealed: bool
    objects: list[Stored]
    gone: list[str]
    body_sha256: str


class PartBody(NamedTuple):
    """What is sealed of a part: which file each of its objects is, and the ledger's bytes from `start` to `end`."""

    items: list[Item]
    ledger: bytes


def is_archive(path: str) -> bool:
    """Is it a part of the archive, and not a note, which changes?"""
    return path.startswith(("archives/raw/", "archives/quarantine/"))


def object_name(host: str, item: Item, sealed: bool) -> str:
    """The name of an item's object below the host's prefix."""
    kind = "archives" if is_archive(item.path) else "notes"
    if sealed:
        text = "\0".join((host, item.path, item.sha256))
        return f"{kind}/{hashlib.sha256(text.encode()).hexdigest()[:48]}.age"
    return item.path if kind == "archives" else f"notes/{item.path}~{item.sha256[:12]}"


def names_for(host: str, item: Item, sealed: bool) -> list[str]:
    """The names under which an item's object may lie, in the order in which they are tried."""
    first = object_name(host, item, sealed)
    return [first, *(f"{first}~{number}" for number in range(1, NAMES_TRIED))]


def first_name(name: str) -> str:
    """The first of the names of which this is one."""
    stem, mark, number = name.rpartition("~")
    return stem if mark and len(number) == 1 and number.isdigit() else name


def part_name(generation: int, number: int) -> str:
    """`ledger/0001/00000001`."""
    return f"ledger/{generation:04d}/{number:08d}"


def numbers_of(name: str) -> tuple[int, int] | None:
    """(generation, number) of a part's name; None for any other."""
    parts = name.split("/")
    if len(parts) != 3 or parts[0] != "ledger" or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return int(parts[1]), int(parts[2])


def pack_body(body: PartBody) -> bytes:
    """The bytes that are sealed, or stored as they are."""
    return json.dumps({"items": body.items}).encode() + b"\n" + body.ledger


def unpack_body(data: bytes, name: str) -> PartBody:
    """The same back. Raises `CopyDamaged`."""
    first, _, ledger = data.partition(b"\n")
    try:
        items = [Item(str(path), str(sha256)) for path, sha256 in json.loads(first)["items"]]
    except (ValueError, LookupError, TypeError) as error:
        raise CopyDamaged(f"{name} does not hold what a part of a ledger holds", path=name) from error
    return PartBody(items, ledger)


def pack_part(header: PartHeader, body: bytes) -> bytes:
    """A part as it is put."""
    return json.dumps({**header, "body_sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body


def unpack_part(data: bytes, name: str, host: str) -> tuple[PartHeader, bytes]:
    """A part's header, and its body as stored. Raises `CopyDamaged` where it is not that host's, or not whole."""
    first, mark, body = data.partition(b"\n")
    try:
        header: PartHeader = json.loads(first)
        header["objects"] = [Stored(str(each), int(size), str(sha)) for each, size, sha in header["objects"]]
        numbers = (int(header["generation"]), int(header["number"]))
        known = header["schema"] == PART_SCHEMA and all(header[key] is not None for key in PartHeader.__annotations__)  # type: ignore[literal-required]
    except (ValueError, LookupError, TypeError) as error:
        raise CopyDamaged(f"{name} is no part of a ledger", path=name) from error
    if not known or not mark or hashlib.sha256(body).hexdigest() != header["body_sha256"]:
        raise CopyDamaged(f"{name} is cut short, or not as it was put", path=name)
    if header["host"] != host or part_name(*numbers) != name:
        raise CopyDamaged(f"{name} holds a part of {header['host']}: {part_name(*numbers)}", path=name)
    return header, body
