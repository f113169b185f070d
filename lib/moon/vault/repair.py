"""Mend the archive: what is damaged or missing is made anew from proven bytes, and what nobody has is said to be lost.

Every step leaves an archive that is no worse than before, and a second run finds nothing left to do:

1. files that no ledger line names are taken in; damaged ones go to the quarantine;
2. a damaged or missing file is made anew, under its name and with its hash, from store, copy, or what is left of it;
3. where that cannot be done, the segments that are still whole get a file of their own, and each one that is not is
   *retired*: a ledger line says what it was and how much of it is lost, and what is left of it keeps its place;
4. what was set aside is made anew in the same way, or said to be lost;
5. damage of the ledger itself, once all of that is done, is accounted for by a line that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moon.clock import now_text
from moon.errors import ArchiveDamaged, MoonError
from moon.files import sync_folder, unusable, write_atomic
from moon.vault import segments
from moon.vault.catalog import Catalog, Part, Segment
from moon.vault.following import enter_file, read_in, rebuild
from moon.vault.lost_asides import lost_asides, make_anew
from moon.vault.packing import enter_pack, holds
from moon.vault.recovery import Recovered, Recovery
from moon.vault.segments import SegmentWriter, pack_path
from moon.vault.standing import Line, Standing
from moon.vault.verify import check_file

if TYPE_CHECKING:
    from moon.documents import Kept, LedgerDamage

SCHEMA = "moon.archive/1"


@dataclass
class Repaired:
    """What was done, or with a dry run would be. `sessions`: those whose store has to be archived again."""

    remade: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    lost: int = 0
    adopted: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    accounted: int = 0
    words: list[str] = field(default_factory=list)
    problems: list[MoonError] = field(default_factory=list)
    sessions: list[tuple[str, str, str]] = field(default_factory=list)

    def changed(self) -> bool:
        """Was there anything to do?"""
        return bool(self.remade or self.retired or self.adopted or self.aside or self.linked or self.accounted)


class Repair:
    """One run over one archive, under the cycle lock. `dry_run`: look and say, and change nothing.

    `unread`: why OpenClaw's store, or a part of it, could not be looked into; what it may hold is not written off then.
    `force`: retire all the same, also where no archive is there at all, which looks like a disk that is not mounted.
    """

    def __init__(
        self, catalog: Catalog, recovery: Recovery, *, dry_run: bool, unread: str = "", force: bool = False
    ) -> None:
        self.catalog = catalog
        self.home = catalog.home
        self.recovery = recovery
        self.dry_run = dry_run
        self.unread = "" if force else unread
        self.force = force
        self.done = Repaired()
        self.lost_asides: list[LedgerDamage] = []

    def mend_files(self) -> None:
        """Make every file of the archive what the ledger says, or say what is lost. Raises `HomeUnusable`."""
        standing = self.catalog.ledger.standing()
        if not self.dry_run and _measures(standing) != {
            self.home.relative(each.path): (each.sha256, each.events, each.bytes) for each in self.catalog.segments()
        }:
            rebuild(
                self.catalog
            )  # the catalog is damaged, or a line that took something out; the ledger is what counts
        files = list(self.catalog.segments())
        self.force = self.force or any(file.path.exists() for file in files)
        for file in files:
            path = self.home.relative(file.path)
            record, members = standing.files.get(path), standing.members.get(path, [])
            if record is not None and check_file(self.home, record, members):
                self._mend(file)
        for path in [] if self.dry_run else self.catalog.unentered():
            enter_file(self.catalog, self.home.root / path)

    def _mend(self, file: Segment) -> None:
        if not self._may_be_opened(file.path):
            return
        owner = (file.agent, file.session_key, file.session_id)
        name = self.home.relative(file.path)
        copy = self.recovery.copies.find(file.sha256)
        parts = self.catalog.parts(file.path)
        members = [part.as_member() for part in parts]
        if file.parts and holds(file.path, members):
            self.done.words.append(f"{name}: sound, but not its line in the ledger; named in it again")
            self.done.adopted.append(file.path.name)
            if not self.dry_run:
                enter_pack(self.catalog, file, file.path, members)
            return
        found = [] if copy else self.recovery.find(owner, file.path, parts)
        if copy or all(each.whole for each in found):
            sources = [str(copy)] if copy else list(dict.fromkeys(each.source for each in found))
            self.done.words.append(f"{name}: made anew from {', '.join(sources)}")
            self.done.remade.append(file.sha256)
            if not self.dry_run:
                lines = segments.lines(copy) if copy else (data for each in found for data in each.lines)
                self._write(file.path, lines, parts)
            return
        self._retire(file, found)

    def _may_be_opened(self, path: Path) -> bool:
        """Is the file gone or damaged, and not only out of reach?"""
        try:
            with path.open("rb"):
                return True
        except FileNotFoundError:
            return True
        except OSError as error:
            self.done.problems.append(unusable(path, error))
            return False

    def _write(self, path: Path, lines: Iterable[bytes], parts: Sequence[Part]) -> None:
        write_lines(path, lines, replace=True)
        if not holds(path, [part.as_member() for part in parts]):
            raise unusable(path, OSError(5, "it did not read back as it was archived"))

    def _must_wait(self, name: str) -> bool:
        """Could the store still have what is to be written off? Then it stays as it is, as a problem."""
        if self.unread:
            self.done.problems.append(
                ArchiveDamaged(
                    f"{name} cannot be made anew, and is left as it is: {self.unread}",
                    path=name,
                    hint="repair again once OpenClaw's store can be read, or name a copy with --from; "
                    "if it is gone for good, `moon-archive --repair --force` says what is lost",
                )
            )
        return bool(self.unread)

    def _retire(self, file: Segment, found: Sequence[Recovered]) -> None:
        """Save what is whole, write off what is not, and keep the damaged file aside."""
        if self._must_wait(self.home.relative(file.path)):
            return
        if not self.force:
            raise ArchiveDamaged(
                f"no archive is there at all, and neither the store nor a copy has {file.path.name} whole",
                path=str(self.home.raw),
                hint="mount the disk or bring the folder back; if it is really gone, `moon-archive --repair --force`",
            )
        for run in _runs(found):
            if not self.dry_run and len(found) > 1:
                self._rescue(file, run)
        for each in found:
            if not each.whole:
                self._write_off(file, each)
        self.done.sessions.append((file.agent, file.session_key, file.session_id))
        if not self.dry_run:
            put_aside(self.catalog, file.path, "damaged; the ledger says what of it is lost")

    def _rescue(self, file: Segment, run: Sequence[Recovered]) -> None:
        members = [each.part.as_member() for each in run]
        numbers = (members[0]["ordinal"], members[-1]["ordinal"])
        path = pack_path(self.home.raw, file.agent, file.session_key, file.session_id, *numbers)
        write_lines(path, (data for each in run for data in each.lines), replace=True)
        enter_pack(self.catalog, file, path, members)

    def _write_off(self, file: Segment, found: Recovered) -> None:
        part = found.part
        lost = part.events - len(found.lines) - found.elsewhere
        self.done.words.append(
            f"{part.path} of {file.session_key or file.session_id}: neither the store nor a copy has it whole; "
            f"of {part.events} events {len(found.lines)} are kept"
            + (f", {found.elsewhere} are archived anew" if found.elsewhere else "")
            + f", {lost} {'is' if lost == 1 else 'are'} lost"
        )
        self.done.retired.append(part.sha256)
        self.done.lost += lost
        if self.dry_run:
            return
        retired: Line = {
            "schema": SCHEMA,
            "kind": "retired",
            "agent": file.agent,
            "session_key": file.session_key,
            "session_id": file.session_id,
            "lost": lost,
            "retired_at": now_text(),
            "reason": "neither the store nor a copy has it whole",
        }
        record: Line = {**retired, **part.as_member()}
        if found.lines:
            record["kept"] = self._keep(part, found.lines)
        enter_line(self.catalog, record)

    def _keep(self, part: Part, lines: list[bytes]) -> Kept:
        """Write what is left of a segment beside its name."""
        own = self.home.root / part.path
        stem, _, _ = own.name.partition(".jsonl")
        path = own.with_name(f"{stem}-kept.jsonl")
        written = write_lines(path, lines, replace=True)
        return {
            "archive_path": self.home.relative(path),
            "sha256": written.sha256,
            "events": written.events,
            "bytes": written.bytes,
        }

    def mend_asides(self) -> None:
        """Make what was set aside anew, or remember that it is lost. Raises `HomeUnusable`."""
        for each in lost_asides(self.home, self.catalog.ledger):
            record, name = each.record, self.home.relative(each.path)
            if each.accounted or not self._may_be_opened(each.path):
                continue
            stored = self.recovery.stored((record["agent"], record["session_key"], record["session_id"]))
            source = make_anew(each, stored, self.recovery.copies.folder, dry_run=self.dry_run)
            if source:
                self.done.remade.append(record["sha256"])
                self.done.words.append(f"{name}: made anew from {source}")
                continue
            if self._must_wait(name):
                continue
            self.lost_asides += each.entries
            self.done.retired.append(record["sha256"])
            self.done.lost += len(each.entries)
            self.done.words.append(f"{name}: neither the store nor a copy has it; it is lost")

    def account(self) -> None:
        """Name the damage of the ledger that is left, and what is lost of the quarantine, in a line of the ledger."""
        ledger = self.catalog.ledger
        entries = [each.as_entry() for each in ledger.complaints() if each.mends()]
        entries += [*ledger.doubled_entries(), *self.lost_asides]
        entries = [each for number, each in enumerate(entries) if each not in entries[:number]]
        if not entries:
            return
        self.done.accounted = len(entries)
        self.done.words.append(f"the ledger: {len(entries)} damages accounted for, in a line that names them")
        if self.dry_run:
            return
        told: Line = {"schema": SCHEMA, "kind": "mended", "agent": "", "session_key": "", "lines": entries}
        enter_line(self.catalog, {**told, "mended_at": now_text()})


def _measures(standing: Standing) -> dict[str, tuple[str, int, int]]:
    return {path: (record["sha256"], record["events"], record["bytes"]) for path, record in standing.files.items()}


def enter_line(catalog: Catalog, record: Line) -> None:
    """Add a line to the ledger and let the catalog follow. Raises `HomeUnusable`."""
    added = catalog.ledger.append(record)
    read_in(catalog, added.record)
    catalog.note_position(added)
    catalog.connection.commit()


def write_lines(path: Path, lines: Iterable[bytes], *, replace: bool) -> segments.Written:
    """A file of these events, read back. Raises `HomeUnusable`, `ArchiveDamaged`."""
    writer = SegmentWriter(path, replace=replace)
    try:
        for data in lines:
            writer.add(data)
        return writer.finish()
    finally:
        writer.abandon()


def _runs(found: Sequence[Recovered]) -> list[list[Recovered]]:
    """The whole segments, in stretches that no other one interrupts: those become a file each."""
    runs: list[list[Recovered]] = [[]]
    for each in found:
        if each.whole:
            runs[-1].append(each)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def put_aside(catalog: Catalog, path: Path, reason: str) -> Path | None:
    """Move a file that is no part of the archive to the quarantine, with a word of why; None where there is none."""
    if not path.exists():
        return None
    name, number = path.name, 0
    while (target := catalog.home.quarantine / (f"{name}.{number}" if number else name)).exists():
        number += 1
    write_atomic(target.with_name(f"{target.name}.txt"), f"{catalog.home.relative(path)}\n{reason}\n")
    try:
        path.replace(target)
    except OSError as error:
        raise unusable(path, error) from error
    sync_folder(target.parent)
    sync_folder(path.parent)
    return target
