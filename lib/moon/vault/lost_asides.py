"""What was set aside and does not read back any more: found, made anew where somebody has it, else accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moon.errors import ArchiveDamaged
from moon.files import read_bounded, write_atomic
from moon.paths import Home
from moon.vault.ledger import Ledger, decoded, line_hash
from moon.vault.set_aside import reads_back
from moon.vault.standing import Line

if TYPE_CHECKING:
    from moon.documents import LedgerDamage


class LostAside(NamedTuple):
    """One file of the quarantine. `entries`: the ledger lines that name it, as a `mended` line lists them."""

    record: Line
    path: Path
    entries: list[LedgerDamage]
    accounted: bool

    def complaint(self) -> ArchiveDamaged:
        """What `--verify` says of it."""
        owner = self.record["session_key"] or self.record["session_id"]
        return ArchiveDamaged(
            f"what was set aside of {owner} is gone or changed: {self.path.stem[:12]}…",
            path=str(self.path),
            hint="`moon-archive --repair` makes it anew from the store or a copy, and says what is lost",
        )


def lost_asides(home: Home, ledger: Ledger) -> list[LostAside]:
    """Each file that the ledger names in the quarantine and that does not read back. Only reads."""
    asides: list[tuple[Line, LedgerDamage]] = []
    accounted: list[LedgerDamage] = []
    forgotten: set[tuple[str, str, str]] = set()
    before = "0" * 64
    for number, (_, raw) in enumerate(ledger.raw_lines(), 1):
        own = line_hash(raw)
        tells = any(kind in raw for kind in (b'"aside"', b'"mended"', b'"forgotten"'))
        record = (decoded(raw) if tells else None) or {}
        if record.get("kind") == "aside":
            entry: LedgerDamage = {"line": number, "what": "lost", "sha256": own, "before": before}
            asides.append((record, entry))
        elif record.get("kind") == "forgotten":
            owner = record["agent"], record["session_id"]
            forgotten |= {(*owner, digest) for digest in record.get("digests", [])}
        elif record.get("kind") == "mended":
            accounted += record["lines"]
        before = own
    named: dict[str, tuple[Line, list[LedgerDamage]]] = {}
    for record, entry in asides:
        if (record["agent"], record["session_id"], record["sha256"]) not in forgotten:
            named.setdefault(record["sha256"], (record, []))[1].append(entry)
    return [
        LostAside(record, home.quarantine / f"{sha256}.bin", entries, all(each in accounted for each in entries))
        for sha256, (record, entries) in named.items()
        if not reads_back(home, sha256)
    ]


def make_anew(lost: LostAside, stored: Iterable[bytes], copies: Path | None, *, dry_run: bool) -> str:
    """Write the bytes again from the store or a folder of copies; where they came from. Raises `HomeUnusable`."""
    sha256 = lost.path.stem
    source, data = "the store", next((each for each in stored if line_hash(each) == sha256), None)
    if data is None:
        source, data = _copied(sha256, copies)
    if data is not None and not dry_run:
        write_atomic(lost.path, data)
    return source


def _copied(sha256: str, copies: Path | None) -> tuple[str, bytes | None]:
    for path in sorted(copies.rglob(f"{sha256}.bin")) if copies else ():
        data = read_bounded(path, 1 << 30)
        if line_hash(data) == sha256:
            return str(path), data
    return "", None
