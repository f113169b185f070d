"""Read every archive back and hold it against the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from moon.errors import ArchiveDamaged, MoonError
from moon.paths import Home
from moon.vault import segments
from moon.vault.ledger import Ledger, Line, decode


@dataclass
class Verified:
    """What was read, and every damage that was found."""

    segments: int = 0
    events: int = 0
    bytes: int = 0
    errors: list[MoonError] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        read = f"{self.segments} archives, {self.events} events, {self.bytes} bytes read back"
        return f"{read}; {len(self.errors)} damaged" if self.errors else f"{read}; all as recorded"


def verify(home: Home) -> Verified:
    """Check the chain of the ledger, then hash and count each archive. Only reads."""
    found = Verified()
    ledger = Ledger(home.ledger)
    for problem in ledger.verify():
        found.errors.append(ArchiveDamaged(f"ledger: {problem}", path=str(home.ledger)))
    for record in _readable(ledger):
        try:
            check_segment(home, record)
        except ArchiveDamaged as error:
            found.errors.append(error)
        found.segments += 1
        found.events += record["events"]
        found.bytes += record["bytes"]
    found.errors += unnamed_files(home, ledger)
    return found


def unnamed_files(home: Home, ledger: Ledger) -> list[ArchiveDamaged]:
    """A complaint for each file among the archives that no ledger line names."""
    named = {record["archive_path"] for record in _readable(ledger)}
    standing = (path for path in sorted(home.raw.glob("*/*.jsonl*")) if not path.name.startswith("."))
    return [
        ArchiveDamaged(
            f"{home.relative(path)} is not in the ledger",
            path=str(path),
            hint="`moon-archive --all` takes it in again where the store still lists its session",
        )
        for path in standing
        if home.relative(path) not in named
    ]


def _readable(ledger: Ledger) -> Iterator[Line]:
    """The records of archives; lines that are no records were reported with the chain."""
    for number, (_, raw) in enumerate(ledger.raw_lines(), 1):
        with contextlib.suppress(ArchiveDamaged):
            record = decode(raw, number, ledger.path)
            if record.get("kind") == "archive":
                yield record


def check_segment(home: Home, record: Line) -> None:
    """Re-read one archive. Raises `ArchiveDamaged` when it is not what the ledger says."""
    path = home.root / record["archive_path"]
    measured = segments.digest_file(path, path.suffix == ".zst")
    if measured != (record["sha256"], record["events"], record["bytes"]):
        raise ArchiveDamaged(
            f"archive {record['archive_path']} of {record['session_key'] or record['session_id']} "
            f"holds {measured[1]} events in {measured[2]} bytes with hash {measured[0][:12]}…, "
            f"not the {record['events']} in {record['bytes']} with {record['sha256'][:12]}… that were archived",
            path=str(path),
            hint="restore this file from a backup; its events that the store still holds can be archived again",
        )
