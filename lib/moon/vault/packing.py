"""Join small files of the archive into packs, and lose nothing on the way.

In this order: the pack is written beside its name and read back; every old hash is made again from the pack's own
bytes; the ledger says so, durably; the catalog follows; only then the old files go. Whatever is cut short at any
moment: before the line, the old files are the archive, and the pack is used by the next run; behind it, the pack is the
archive, and what was left over of the old files goes at the next run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moon.clock import local_date, now_ms, now_text
from moon.documents import Member
from moon.errors import ArchiveDamaged, MoonError
from moon.files import remove_abandoned, sync_folder, unusable
from moon.text import counted
from moon.vault import segments
from moon.vault.catalog import Catalog, Segment
from moon.vault.following import read_pack
from moon.vault.pack_plan import PACK_BYTES, archived_day, plan_packs
from moon.vault.segments import SegmentWriter, pack_path
from moon.vault.standing import Line

# What one run of the archive station joins at most, so that no tick becomes long; the next one goes on.
BYTES_A_RUN = 64 << 20
PACKS_A_RUN = 50


@dataclass
class Packed:
    """What was joined. `packs` are the SHA-256 of the new files."""

    packs: list[str] = field(default_factory=list)
    joined: int = 0
    events: int = 0
    left: int = 0
    problems: list[MoonError] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        words = f"{counted(self.joined, 'archive')} with {counted(self.events, 'event')} joined into {len(self.packs)}"
        words += f"; {counted(self.left, 'pack')} left for the next run" if self.left else ""
        return words + "".join(f"; {problem.message}" for problem in self.problems)


def pack_past_days(catalog: Catalog, zone_name: str, *, bounded: bool) -> Packed:
    """Join what the days before today have left in small files, and remove what killed writers left anywhere.

    Costs nothing once a day is done.

    `bounded`: at most as much as one tick may take. A group with a damaged file is left as it is, and named.
    """
    packed = Packed()
    today = local_date(now_ms(), zone_name).isoformat()
    if bounded and catalog.packed_until() == today:
        return packed
    remove_left_over(catalog)
    remove_abandoned(catalog.home.root)
    groups = plan_past_days(catalog, zone_name, today)
    room = BYTES_A_RUN
    for number, group in enumerate(groups):
        room -= sum(file.bytes for file in group)
        if bounded and (number >= PACKS_A_RUN or (room < 0 and number)):
            packed.left = len(groups) - number
            return packed
        try:
            record = join(catalog, group)
        except ArchiveDamaged as error:
            packed.problems.append(error)
            continue
        packed.packs.append(record["sha256"])
        packed.joined += len(group)
        packed.events += record["events"]
    catalog.note_packed_until(today)
    return packed


def plan_past_days(catalog: Catalog, zone_name: str, today: str) -> list[list[Segment]]:
    """The groups of files to join."""
    return plan_packs(catalog.segments(), archived_day(zone_name), today, catalog.links, PACK_BYTES)


def join(catalog: Catalog, files: Sequence[Segment]) -> Line:
    """Let one pack take the place of these files of one session; its ledger line. Raises `ArchiveDamaged`."""
    record = join_members(catalog, files[0], [_stretch(catalog, file) for file in files])
    remove_files(file.path for file in files)
    return record


# A stretch of a file: the path, the lines before it, and the segments in it that follow each other.
Stretch = tuple[Path, int, list[Member]]


def _stretch(catalog: Catalog, file: Segment) -> Stretch:
    return file.path, 0, [part.as_member() for part in catalog.parts(file.path)]


def join_members(catalog: Catalog, owner: Segment, stretches: Sequence[Stretch]) -> Line:
    """Write these segments into one pack and enter it. Raises `ArchiveDamaged` before anything is recorded."""
    members = [member for _, _, found in stretches for member in found]
    numbers = (members[0]["ordinal"], members[-1]["ordinal"])
    path = pack_path(catalog.home.raw, owner.agent, owner.session_key, owner.session_id, *numbers)
    if any(source == path for source, _, _ in stretches):
        raise ArchiveDamaged(
            f"{path} would have to be joined into itself, and is left as it is",
            path=str(path),
            hint="a ledger line about it was damaged once; nothing is lost, these archives only stay apart",
        )
    if not (path.exists() and holds(path, members)):
        if path.exists():
            path.replace(path.with_name(f"{path.name}.damaged"))
        _write(path, stretches)
    if not holds(path, members):
        raise ArchiveDamaged(
            f"{path} does not hold what was joined",
            path=str(path),
            hint="the disk may be failing; the old files are untouched, and nothing was recorded",
        )
    return enter_pack(catalog, owner, path, members)


def _write(path: Path, stretches: Sequence[Stretch]) -> None:
    writer = SegmentWriter(path)
    try:
        for source, skipped, members in stretches:
            lines = segments.lines(source)
            for _ in zip(range(skipped), lines, strict=False):
                pass
            for member in members:
                _copy(lines, member, source, writer)
        writer.finish()
    finally:
        writer.abandon()


def _copy(lines: Iterator[bytes], member: Member, source: Path, writer: SegmentWriter) -> None:
    total = hashlib.sha256()
    for _, data in zip(range(member["events"]), lines, strict=False):
        total.update(data + b"\n")
        writer.add(data)
    if total.hexdigest() != member["sha256"]:
        raise ArchiveDamaged(
            f"archive {source} does not hold what was archived, and is left as it is",
            path=str(source),
            hint="`moon-archive --repair` mends it where it can; then it is joined with the others",
        )


def holds(path: Path, members: Sequence[Member]) -> bool:
    """Does a file hold exactly these segments, by the hashes that the ledger has of each?"""
    try:
        whole, parts = segments.digest_parts(path, [member["bytes"] for member in members])
    except ArchiveDamaged:
        return False
    wanted = [(member["sha256"], member["events"], member["bytes"]) for member in members]
    return parts == wanted and whole[2] == sum(member["bytes"] for member in members)


def enter_pack(catalog: Catalog, owner: Segment, path: Path, members: list[Member]) -> Line:
    """Write the ledger line of a finished pack and let the catalog follow; its record. Raises `HomeUnusable`."""
    sha256, events, size = segments.digest_file(path)
    added = catalog.ledger.append(
        {
            "schema": "moon.archive/1",
            "kind": "pack",
            "agent": owner.agent,
            "session_key": owner.session_key,
            "session_id": owner.session_id,
            "archive_path": catalog.home.relative(path),
            "sha256": sha256,
            "events": events,
            "bytes": size,
            "first_event_id": next((each["first_event_id"] for each in members if each["first_event_id"]), ""),
            "last_event_id": next((each["last_event_id"] for each in members[::-1] if each["last_event_id"]), ""),
            "archived_at": members[-1]["archived_at"],
            "ordinal": members[0]["ordinal"],
            "torn": members[-1]["torn"],
            "packed_at": now_text(),
            "segments": members,
        }
    )
    read_pack(catalog, added.record)
    catalog.note_position(added)
    catalog.connection.commit()
    return added.record


def remove_left_over(catalog: Catalog) -> int:
    """Remove files whose segments lie in a pack that reads back; how many there were."""
    whole: dict[Path, bool] = {}
    removed = 0
    for agent in {agent for agent, _, _ in catalog.sessions()}:
        for path, pack in catalog.left_over(agent):
            if pack not in whole:
                whole[pack] = holds(pack, [part.as_member() for part in catalog.parts(pack)])
            if whole[pack]:
                remove_files([path])
                removed += 1
    return removed


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files, durably; those that are gone already are no error. Raises `HomeUnusable`."""
    folders = set()
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(path, error) from error
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)
