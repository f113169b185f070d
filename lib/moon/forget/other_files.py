"""Whatever else below MOON_HOME holds a text, or belongs to a session that is forgotten: logs, leftovers, caches.

What Moon wrote for a while only is removed; of logs the words go, not the lines. What is not Moon's to change (your
configuration, your own notes, names of sessions in the ledger) is named.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from moon.errors import ArchiveDamaged, MoonError
from moon.files import read_bounded, unusable, write_all, write_atomic
from moon.log_parts import parts
from moon.paths import Home, safe_name
from moon.text import dump_json
from moon.text_match import TextMatch, folded
from moon.vault import segments

FORGOTTEN = "[forgotten]"
BLOCK = 1 << 20
# What is derived from the archive and made anew by its own step, or holds the archive itself.
HANDLED = ("archives/raw/", "archives/md/", "index/", "distillations/", "continuity/", "memory/")
LEFTOVER = (".invalid", ".damaged")


class Found(NamedTuple):
    """A file that holds it. `action`: `remove`, `clean` (the words only), or why it stays."""

    path: Path
    action: str

    @property
    def size(self) -> int:
        """Its bytes."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0


def find_leftovers(home: Home, sessions: Iterable[tuple[str, str, str]]) -> list[Found]:
    """Damaged or unfinished files, put aside once, that by their names belong to these (agent, key, session id)."""
    stems = {(safe_name(agent), safe_name(session_id)) for agent, _, session_id in sessions}
    journals = {home.rollover_journal(agent, key).stem for agent, key, _ in sessions}
    ids = {session_id for _, session_id in stems}
    found = [path for path in _files(home.quarantine) if _session_of(path) in ids]
    found += [
        path
        for path in _files(home.raw)
        if path.name.endswith(LEFTOVER) and (path.parent.name, _session_of(path)) in stems
    ]
    found += [path for path in _files(home.rollovers) if path.name.partition(".json.")[0] in journals]
    return [Found(path, "remove") for path in sorted(found)]


def _session_of(path: Path) -> str:
    """The session id, as names have it, of an archive file by its name: `<key>.<id>.<number>.jsonl…`."""
    stem = path.name.lstrip(".").partition(".jsonl")[0].rpartition(".")[0]
    # A name that was cut or cleaned ends with a dot and a hash.
    pieces = stem.split(".")
    if len(pieces) > 2 and len(pieces[-1]) == 10:
        return ".".join(pieces[-2:])
    return pieces[-1] if len(pieces) > 1 else ""


def find_text(home: Home, match: TextMatch) -> list[Found]:
    """Every other file below MOON_HOME that holds a text, and what becomes of it."""
    found = []
    for path in _files(home.root):
        name = home.relative(path)
        if path == home.state / "forget.json" or (name.startswith(HANDLED) and not path.name.endswith(LEFTOVER)):
            continue
        if holds(path, match):
            found.append(Found(path, _action(home, path, name)))
    return found


def why_still_in(home: Home, path: Path) -> str:
    """Why a file holds the text after all was done."""
    if path.name.startswith(home.catalog.name):
        return "the catalog names sessions and events, as the ledger does"
    return "not a file of Moon's making"


def _action(home: Home, path: Path, name: str) -> str:
    if path in parts(home.audit_log) or path == home.health_file or path == home.state / "models.json":
        return "clean"
    if name.startswith(("archives/quarantine/", "state/cycles/", "state/cache/", "archives/ledger.torn-")):
        return "remove"
    if path.name.endswith((*LEFTOVER, ".tmp")) or ".corrupt-" in path.name:
        return "remove"
    if path == home.ledger:
        return "the ledger names sessions and events, and says that they were forgotten; it is never changed"
    if path == home.state_file:
        return "OpenClaw has a session of that name"
    if name.startswith("state/rollovers/"):
        return "a rollover is under way; try again when it is done"
    return "not a file of Moon's making"


def carry_out(found: Iterable[Found], match: TextMatch | None) -> list[Found]:
    """Remove or clean each; those that stay. Raises `HomeUnusable`."""
    left = []
    for each in found:
        if each.action == "remove":
            _remove(each.path)
        elif each.action == "clean" and match is not None:
            _clean(each.path, match)
        else:
            left.append(each)
    return left


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}.txt"), path.with_suffix(".txt")):
        try:
            if each == path or each.parent.name == "quarantine":
                each.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(each, error) from error


def _clean(path: Path, match: TextMatch) -> None:
    """Put a word in the place of each string that holds the text. A log is changed where it lies: others add to it."""
    if path.suffix == ".json":
        write_atomic(path, dump_json(_cleaned(json.loads(read_bounded(path)), match)))
        return
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            lines = path.read_bytes().splitlines()
            kept = [line if not match.is_in_line(line) else _cleaned_line(line, match) for line in lines]
            data = b"".join(line + b"\n" for line in kept if line)
            os.lseek(descriptor, 0, os.SEEK_SET)
            write_all(descriptor, data)
            os.ftruncate(descriptor, len(data))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unusable(path, error) from error


def _cleaned_line(line: bytes, match: TextMatch) -> bytes:
    """A line of a log without the text; nothing is left of one that is no JSON."""
    try:
        return dump_json(_cleaned(json.loads(line), match)).encode()
    except ValueError:
        return b""


def _cleaned(value: Any, match: TextMatch) -> Any:
    if isinstance(value, dict):
        return {name: _cleaned(each, match) for name, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each, match) for each in value]
    return FORGOTTEN if isinstance(value, str) and match.is_in(value) else value


def holds(path: Path, match: TextMatch) -> bool:
    """Does a file hold the text: in its lines, unpacked where it is packed, or anywhere in its bytes?"""
    try:
        if ".jsonl" in path.name:
            return any(match.is_in_line(line) for line in _lines(path))
        return any(match.is_in_line(line) for line in _blocks(path))
    except OSError:
        return False


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that may be damaged, as far as they can be read."""
    try:
        with segments.open_segment(path, ".jsonl.zst" in path.name) as stream:
            yield from stream
    except ArchiveDamaged:
        return


def _blocks(path: Path) -> Iterator[bytes]:
    """A file whole, or a long one in pieces that overlap."""
    with path.open("rb") as stream:
        before = b""
        while block := stream.read(BLOCK):
            yield before + block
            before = block[-4096:]


def still_in(folder: Path, match: TextMatch) -> Iterator[Path]:
    """The files below a folder whose bytes hold the text, as it was given or in small letters."""
    wanted = {folded(match.text).strip().encode("utf-8", "surrogatepass"), match.text.encode("utf-8", "surrogatepass")}
    for path in _files(folder):
        try:
            if any(any(each in block or each in block.lower() for each in wanted) for block in _blocks(path)):
                yield path
        except OSError:
            continue


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def in_memory(folder: Path, match: TextMatch) -> list[Path]:
    """The files of the daily memory that hold the text."""
    try:
        return [path for path in _files(folder) if path.suffix == ".md" and match.is_in(_text(path))]
    except (OSError, MoonError):
        return []


def _text(path: Path) -> str:
    return read_bounded(path).decode("utf-8", "replace")
