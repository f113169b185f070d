"""Read every archive back and hold it against the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from moon.errors import ArchiveDamaged, MoonError
from moon.output import tracked
from moon.paths import Home
from moon.text import counted
from moon.vault import segments
from moon.vault.ledger import Ledger
from moon.vault.lost_asides import lost_asides
from moon.vault.standing import Line, Standing

if TYPE_CHECKING:
    from moon.documents import Member

HINT = "`moon-archive --repair` makes it anew from the store or a copy, and says what is lost"


@dataclass
class Verified:
    """What was read, every damage that was found, and what is no damage but worth saying."""

    segments: int = 0
    events: int = 0
    bytes: int = 0
    retired: int = 0
    forgotten: int = 0
    errors: list[MoonError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        amount = f"{counted(self.segments, 'archive')}, {counted(self.events, 'event')}, {counted(self.bytes, 'byte')}"
        state = f"{len(self.errors)} damaged" if self.errors else "all as recorded"
        words = f"{amount} read back; {state}"
        return (
            words
            + (f"; {counted(self.retired, 'event')} retired" if self.retired else "")
            + (f"; {counted(self.forgotten, 'event')} forgotten on purpose" if self.forgotten else "")
            + "".join(f"; {note}" for note in self.notes)
        )


def verify(home: Home) -> Verified:
    """Check the chain of the ledger, then hash and count each archive and each segment in a pack. Only reads."""
    found = Verified()
    ledger = Ledger(home.ledger)
    complaints = ledger.complaints()
    standing = ledger.standing()
    for complaint in complaints:
        if not complaint.mended:
            found.errors.append(ArchiveDamaged(f"ledger: {complaint.words}", path=str(home.ledger), hint=HINT))
    if ledger.torn():
        found.notes.append(
            "the last line of the ledger is cut short and does not count; `moon-archive --repair` looks into it"
        )
    for record in tracked(standing.in_order(), "reading back, archive"):
        found.errors += check_file(home, record, standing.members[record["archive_path"]])
        found.segments += 1
        found.events += record["events"]
        found.bytes += record["bytes"]
    found.errors += unnamed_files(home, standing)
    asides = lost_asides(home, ledger)
    found.errors += (each.complaint() for each in asides if not each.accounted)
    found.retired = standing.lost() + sum(len(each.entries) for each in asides if each.accounted)
    found.forgotten = sum(record["events"] for record in standing.tombstones)
    found.notes += _notes(standing, sum(each.mended for each in complaints))
    return found


def _notes(standing: Standing, mended: int) -> Iterator[str]:
    if mended:
        yield f"{mended} damages of the ledger are accounted for"
    if standing.doubled:
        lines = ", ".join(map(str, standing.doubled[:5]))
        yield f"{len(standing.doubled)} ledger lines name an archive a second time and do not count (line {lines})"


def unnamed_files(home: Home, standing: Standing) -> list[ArchiveDamaged]:
    """A complaint for each file among the archives that no ledger line names."""
    files = (path for path in sorted(home.raw.glob("*/*.jsonl*")) if not path.name.startswith("."))
    return [
        ArchiveDamaged(
            f"{home.relative(path)} is not in the ledger",
            path=str(path),
            hint="`moon-archive --repair` takes it in, or puts it aside where it is damaged",
        )
        for path in files
        if home.relative(path) not in standing.named
    ]


def check_file(home: Home, record: Line, members: list[Member]) -> list[ArchiveDamaged]:
    """Re-read one file; a complaint for each thing in it that is not what the ledger says."""
    path = home.root / record["archive_path"]
    try:
        whole, parts = segments.digest_parts(path, [member["bytes"] for member in members])
    except ArchiveDamaged as error:
        return [ArchiveDamaged(error.message, path=error.path, hint=HINT)]
    if whole != (record["sha256"], record["events"], record["bytes"]):
        return [_differs(record, whole, path)]
    return [
        ArchiveDamaged(
            f"archive {record['archive_path']} does not hold {member['archive_path']} as it was archived",
            path=str(path),
            hint=HINT,
        )
        for member, part in zip(members, parts, strict=True)
        if part != (member["sha256"], member["events"], member["bytes"])
    ]


def _differs(record: Line, whole: tuple[str, int, int], path: Path) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"archive {record['archive_path']} of {record['session_key'] or record['session_id']} "
        f"holds {whole[1]} events in {whole[2]} bytes with hash {whole[0][:12]}…, "
        f"not the {record['events']} in {record['bytes']} with {record['sha256'][:12]}… that were archived",
        path=str(path),
        hint=HINT,
    )
