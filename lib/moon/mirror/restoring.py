"""Make a MOON_HOME again from a copy: files first, each proven by the ledger, and the ledger at last.

What is cut short is gone on with by the same command: files that are there and right are not fetched again, and a
folder without a ledger is no archive yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from moon.copies import copy_head
from moon.copies.copy_errors import CopyDamaged, CopyFailed, CopyGone, CopyKeyMissing, ObjectMissing
from moon.copies.copy_head import Head
from moon.copies.layout import (
    OBJECT_LIMIT,
    PART_LIMIT,
    Item,
    PartHeader,
    Stored,
    first_name,
    is_archive,
    numbers_of,
    object_name,
    part_name,
    unpack_body,
    unpack_part,
)
from moon.copies.ledger_items import needed
from moon.copies.place import Place
from moon.copies.sealing import Seal
from moon.errors import MoonError
from moon.files import make_private, unusable, write_atomic
from moon.host_id import Host, known_host, succeed, write_host
from moon.mirror.copy_source import what_differs
from moon.output import tracked
from moon.paths import Home
from moon.vault.ledger import GENESIS, Ledger, decoded, line_hash

GETTERS = 8
AT_ONCE = 32
MARK = ".restoring.json"
PAST = "past"


@dataclass
class Copied:
    """A host's copy as its parts tell it. `items`: where each file lies, by the first name of its object.

    `writers`: the homes that put the parts.
    """

    host: str
    sealed: bool
    writers: list[str] = field(default_factory=list)
    generation: int = 0
    parts: int = 0
    ledger: bytearray = field(default_factory=bytearray)
    items: dict[str, tuple[Item, Stored]] = field(default_factory=dict)
    problems: list[MoonError] = field(default_factory=list)


@dataclass
class Restored:
    """What came back. `kept`: files that were there already."""

    files: int = 0
    kept: int = 0
    bytes: int = 0
    lost: list[MoonError] = field(default_factory=list)


def hosts_of(place: Place) -> list[str]:
    """The hosts that have a copy there."""
    return [name for name, _ in copy_head.read_heads(place)]


def choose_host(place: Place, named: str) -> str:
    """The one host there is, or the one named by its id or the name of its machine. Raises `CopyFailed`."""
    heads = list(copy_head.read_heads(place))
    names = {host: head["name"] if not isinstance(head, CopyFailed) else "" for host, head in heads}
    if not names:  # lost heads; the parts are what counts
        names = {host: "" for host in place.folders() if any(True for _ in place.list(f"{host}/ledger"))}
    fits = [host for host, name in names.items() if named in (host, name)] if named else list(names)
    if not fits and named and any(True for _ in place.list(f"{named}/ledger")):
        return named  # its head is lost; the parts are what counts
    if len(fits) == 1:
        return fits[0]
    there = ", ".join(sorted(names)) or "none"
    if not names:
        raise CopyGone(f"no host has a copy at {place.url}", path=place.url, hint="look at the URL and its prefix")
    problem = f"no host {named!r} has a copy" if not fits else "several hosts have a copy"
    raise CopyFailed(f"{problem} at {place.url}", path=place.url, hint=f"say --host with one of: {there}")


def read_copy(place: Place, host: str, seal: Seal) -> Copied:
    """Read all parts of a host's ledger. Raises `CopyKeyMissing`, `CopyGone`, `CopyDamaged`, what a place raises.

    A part that is damaged ends the ledger: what lies behind it is named, and cannot be proven.
    """
    try:
        head = copy_head.read_head(place, host)
    except CopyDamaged:
        head = None
    generation, last = _newest(place, host, head)
    found = Copied(host, seal.sealed, generation=generation)
    tip = GENESIS
    for number in range(1, last + 1):
        name = part_name(generation, number)
        try:
            header, body = unpack_part(place.get(f"{host}/{name}", PART_LIMIT), name, host)
            if (header["start"], header["before"]) != (len(found.ledger), tip):
                raise CopyDamaged(f"{name} does not go on where the part before it ends", path=name)
            tip = _take(found, header, body, seal)
        except (ObjectMissing, CopyDamaged) as error:
            found.problems.append(_cut(error, name, number, last))
            break
    return found


def _newest(place: Place, host: str, head: Head | None) -> tuple[int, int]:
    """(generation, last part) to go by: the head's, or the highest where there is no head."""
    prefix = f"{host}/"
    found = [numbers_of(each.name.removeprefix(prefix)) for each in place.list(f"{prefix}ledger")]
    known = sorted(each for each in found if each is not None)
    if not known:
        raise CopyGone(f"{host} has no ledger at {place.url}", path=place.url, hint="look at the URL and its prefix")
    generation = head["generation"] if head else known[-1][0]
    last = max((number for each, number in known if each == generation), default=0)
    return generation, max(last, head["parts"] if head else 0)


def _take(found: Copied, header: PartHeader, body: bytes, seal: Seal) -> str:
    """Add a part, once it is proven: the lines of a ledger carry the hash of the line before."""
    name = part_name(header["generation"], header["number"])
    opened = unpack_body(seal.open(body, name), name)
    before = header["before"]
    for line in opened.ledger.split(b"\n")[:-1]:
        record = decoded(line)
        if record is not None and record.get("prev") != before and _is_checked(line):
            raise CopyDamaged(f"{name} holds a line that is no continuation of the ledger", path=name)
        before = line_hash(line)
    if before != header["tip"] or len(found.ledger) + len(opened.ledger) != header["end"]:
        raise CopyDamaged(f"{name} does not hold the lines that it says", path=name)
    found.ledger += opened.ledger
    for item, stored in zip(opened.items, header["objects"], strict=True):
        found.items[first_name(stored.name)] = (item, stored)
    for gone in header["gone"]:
        held = found.items.get(first_name(gone))
        if held is not None and held[1].name == gone:
            del found.items[first_name(gone)]
    found.writers.append(header["writer"])
    found.parts = header["number"]
    return before


def _is_checked(line: bytes) -> bool:
    return b', "check": "' in line


def _cut(error: MoonError, name: str, number: int, last: int) -> MoonError:
    behind = f"; parts {number} to {last} are not restored" if last > number else "; it is not restored"
    return CopyDamaged(
        f"{error.message}{behind}",
        path=name,
        hint="if the host still lives, `moon-mirror --verify` there puts the ledger anew; restore then",
    )


def restore(place: Place, copied: Copied, seal: Seal, home: Home, head: Head | None, *, past: bool = False) -> Restored:
    """Write everything into the folder, the ledger at last. `past`: see `_wanted`.

    Raises `CopyKeyMissing`, `HomeUnusable`.
    """
    make_private(home.root)
    done = Restored()
    write_atomic(home.root / MARK, json.dumps({"url": place.url, "host": copied.host}) + "\n")
    wanted = _wanted(copied, done, past)
    groups = [wanted[number : number + AT_ONCE] for number in range(0, len(wanted), AT_ONCE)]
    with ThreadPoolExecutor(GETTERS) as getters:
        for group in tracked(groups, f"fetching, {AT_ONCE} files each"):
            for size, error in getters.map(lambda each: _fetch(place, copied.host, seal, home, *each), group):
                if error is not None:
                    done.lost.append(error)
                elif size:
                    done.files, done.bytes = done.files + 1, done.bytes + size
                else:
                    done.kept += 1
    write_atomic(home.ledger, bytes(copied.ledger))
    name = head["name"] if head else copied.host
    writers = [*copied.writers, *([head["writer"]] if head else [])]
    own = known_host(home) or Host(copied.host, name, "", head["updated_at"] if head else "1970-01-01T00:00:00.000Z")
    write_host(home, succeed(own._replace(id=copied.host), writers), replace=True)
    (home.root / MARK).unlink()
    return done


def _wanted(copied: Copied, done: Restored, past: bool) -> list[tuple[Item, Stored]]:
    """Every file that stands, with its object, and the notes; what the copy does not have is lost.

    `past`: also what the host took from its disk because the copy has it, in a folder beside the archive.
    """
    records = (decoded(raw) for raw in bytes(copied.ledger).split(b"\n")[:-1])
    now = needed(record for record in records if record is not None)
    wanted = []
    for item in sorted(now.everything() if past else now.here):
        held = copied.items.get(object_name(copied.host, item, copied.sealed))
        if held is None:
            done.lost.append(_lost(item.path, "the copy never had it"))
        else:
            wanted.append(held if item in now.here else (item._replace(path=f"{PAST}/{item.path}"), held[1]))
    return wanted + [held for held in copied.items.values() if not is_archive(held[0].path)]


def _lost(path: str, why: str) -> CopyDamaged:
    return CopyDamaged(
        f"{path} is not restored: {why}",
        path=path,
        hint="restore from another copy, or `moon-archive --repair` in the restored home says what is lost",
    )


def _fetch(place: Place, host: str, seal: Seal, home: Home, item: Item, stored: Stored) -> tuple[int, MoonError | None]:
    """Bring one file back; (bytes written, why not). Raises what concerns all files alike."""
    path = _target(home, item)
    if path is None:
        return 0, _lost(item.path, "no file of a home has such a name")
    if path.is_file() and not what_differs(path.read_bytes(), item):
        return 0, None
    try:
        data = opened(place, host, seal, item, stored)
    except CopyKeyMissing:
        raise
    except (CopyDamaged, ObjectMissing) as error:
        return 0, _lost(item.path, error.message)
    try:
        write_atomic(path, data)
    except OSError as error:
        raise unusable(path, error) from error
    return len(data), None


def opened(place: Place, host: str, seal: Seal, item: Item, stored: Stored) -> bytes:
    """A file's bytes from its object, proven on the way. Raises `CopyDamaged`, `ObjectMissing`, `CopyKeyMissing`."""
    data = place.get(f"{host}/{stored.name}", min(stored.bytes, OBJECT_LIMIT))
    if hashlib.sha256(data).hexdigest() != stored.sha256:
        raise CopyDamaged(f"{stored.name} is not what was put there", path=stored.name)
    data = seal.open(data, stored.name)
    if problem := what_differs(data, item):
        raise CopyDamaged(f"{stored.name}: {problem}", path=stored.name)
    return data


def _target(home: Home, item: Item) -> Path | None:
    """Where a file belongs; None for a path that leads out of the home or to what a copy never holds."""
    parts: Sequence[str] = item.path.split("/")
    known = item.path == "moon.yaml" or parts[0] in ("archives", "memory", "distillations", "continuity", PAST)
    if not known or {"", ".", ".."} & set(parts) or "\0" in item.path or item.path == "archives/ledger.jsonl":
        return None
    return home.root.joinpath(*parts)


def refuse_what_is_used(home: Home, url: str, host: str) -> None:
    """Raise `CopyFailed` unless the folder is empty, or the same restore was cut short in it."""
    try:
        names = {path.name for path in home.root.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(home.root, error) from error
    mark = home.root / MARK
    if MARK in names and json.loads(mark.read_bytes() or b"{}") == {"url": url, "host": host}:
        return
    if names:
        raise CopyFailed(
            f"{home.root} is not empty",
            path=str(home.root),
            hint="name an empty folder; nothing was written",
            code="place_taken",
        )


def is_sound(home: Home) -> list[str]:
    """What is wrong with the chain of a ledger that was restored."""
    return Ledger(home.ledger).verify()
