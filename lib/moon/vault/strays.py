"""Files among the archives that no ledger line names, and what is left of files that are no part of it any more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from moon.errors import ArchiveDamaged
from moon.openclaw.events import parse
from moon.paths import safe_name
from moon.vault import segments
from moon.vault.catalog import Catalog, Identifier, Segment
from moon.vault.packing import enter_pack, holds, remove_files, remove_left_over
from moon.vault.repair import Repaired, enter_line, put_aside
from moon.vault.segment_entry import Owner, adopt_file
from moon.vault.tombstones import lost_tombstones

if TYPE_CHECKING:
    from moon.documents import LedgerLine

NUMBERS = re.compile(r"(?P<first>[0-9]{5,})(-(?P<last>[0-9]{5,}))?(-kept)*")
Session = tuple[str, str, str]


def take_in_strays(catalog: Catalog, known: Iterable[Session], done: Repaired, *, dry_run: bool) -> None:
    """Enter each unnamed file that holds something, and put every other one aside.

    `known`: (agent, session key, session id) of the sessions that the store lists. Raises `HomeUnusable`.
    """
    _name_tombstones_again(catalog, done, dry_run)
    if not dry_run:
        remove_left_over(catalog)
    standing = catalog.ledger.standing()
    sessions = [*catalog.sessions(), *known]
    for path in sorted(catalog.home.raw.glob("*/*.jsonl*")):
        name = catalog.home.relative(path)
        if path.name.startswith(".") or name in standing.files:
            continue
        if name not in standing.named:
            _take_in(catalog, path, sessions, done, dry_run)
        elif name in standing.forgotten:
            _let_go(path, name, done, dry_run)
        elif name not in standing.where:
            _aside(catalog, path, "the ledger says that its events lie elsewhere or are lost", done, dry_run)


def _take_in(catalog: Catalog, path: Path, sessions: list[Session], done: Repaired, dry_run: bool) -> None:
    if catalog.has_path(catalog.home.relative(path)):
        _name_again(catalog, path, done, dry_run)
        return
    try:
        _, events, _ = segments.digest_file(path)
        is_new = path.name.endswith((".jsonl", ".jsonl.zst")) and events > 0
    except ArchiveDamaged:
        is_new = False
    agent, key, session_id = owner_of(path, sessions)
    if not is_new or _is_archived(catalog, path, agent, session_id):
        _aside(catalog, path, "unnamed, and damaged or archived elsewhere", done, dry_run)
        return
    done.words.append(f"{catalog.home.relative(path)}: taken in, for {key or session_id}")
    done.adopted.append(path.name)
    if dry_run:
        return
    owner = Owner(catalog.session(agent, key, session_id), agent, key, session_id)
    match = NUMBERS.match(_number(path))
    first, last = (int(match["first"]), int(match["last"] or 0)) if match else (catalog.next_ordinal(owner.number), 0)
    if not (last and _enter_as_pack(catalog, owner, path, first, last)):
        adopt_file(catalog, owner, first, path)


def _name_again(catalog: Catalog, path: Path, done: Repaired, dry_run: bool) -> None:
    """A file that the catalog knows and no readable line names: its line was damaged after it was read in."""
    file = next((each for each in catalog.segments() if each.path == path), None)
    if file is None:
        return
    done.words.append(f"{catalog.home.relative(path)}: named in the ledger again")
    done.adopted.append(path.name)
    if dry_run:
        return
    parts = catalog.parts(path)
    if file.parts:
        enter_pack(catalog, file, path, [part.as_member() for part in parts])
        return
    record: LedgerLine = {
        "schema": "moon.archive/1",
        "kind": "archive",
        "agent": file.agent,
        "session_key": file.session_key,
        "session_id": file.session_id,
    }
    enter_line(catalog, {**record, **parts[0].as_member()})


def _aside(catalog: Catalog, path: Path, reason: str, done: Repaired, dry_run: bool) -> None:
    done.words.append(f"{catalog.home.relative(path)}: put aside, {reason}")
    done.aside.append(path.name)
    if not dry_run:
        put_aside(catalog, path, reason)


def _name_tombstones_again(catalog: Catalog, done: Repaired, dry_run: bool) -> None:
    """What was forgotten on purpose stays forgotten, also where the line that said so was damaged."""
    for record in lost_tombstones(catalog.ledger):
        done.words.append(f"{record['session_key'] or record['session_id']}: forgotten on purpose; named in it again")
        done.adopted.append(record["forgotten_at"])
        if not dry_run:
            enter_line(catalog, record)


def _let_go(path: Path, name: str, done: Repaired, dry_run: bool) -> None:
    """Remove what was forgotten on purpose: a crash left it over, or an older copy brought it back."""
    done.words.append(f"{name}: removed, it was forgotten on purpose")
    done.aside.append(path.name)
    if not dry_run:
        remove_files([path])


def _number(path: Path) -> str:
    return path.name.partition(".jsonl")[0].rpartition(".")[2]


def owner_of(path: Path, sessions: Iterable[Session]) -> Session:
    """Whose events a file holds: by its name, by its first line, or by what the name still says."""
    folder = path.parent.name
    stem = path.name.partition(".jsonl")[0].rpartition(".")[0]
    for agent, key, session_id in sessions:
        if safe_name(agent) == folder and stem.endswith(f".{safe_name(session_id)}"):
            return agent, key, session_id
    try:
        header = parse(next(segments.lines(path), b""))
    except ArchiveDamaged:
        header = None
    if header is not None and stem.endswith(f".{safe_name(header.id)}"):
        return folder, "", header.id
    return folder, "", stem.rpartition(".")[2] or stem


def _is_archived(catalog: Catalog, path: Path, agent: str, session_id: str) -> bool:
    """Is every line of a file archived elsewhere already?"""
    number = catalog.find_session(agent, session_id)
    if number is None:
        return False
    identifier = Identifier()
    for data in segments.lines(path):
        name, digest = identifier.identify(data)
        if digest not in catalog.digests(number, name):
            return False
    return True


def _enter_as_pack(catalog: Catalog, owner: Owner, path: Path, first: int, last: int) -> bool:
    """Enter a pack whose line was lost, where it holds the segments of its name by the hashes that the ledger has."""
    parts = catalog.parts_between(owner.number, first, last)
    members = [part.as_member() for part in parts]
    if not members or not holds(path, members):
        return False
    pack = Segment(*owner[1:], first, "", path, 0, 0, torn=False, archived_at="")
    enter_pack(catalog, pack, path, members)
    return True
