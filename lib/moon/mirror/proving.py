"""Read a copy back and say what is wrong with it. What this home can put again is put again by the next run."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from moon.clock import now_text
from moon.copies import copy_head
from moon.copies.copy_errors import CopyDamaged, CopyFailed, CopyKeyMissing, ObjectMissing
from moon.copies.copy_record import CopyRecord
from moon.copies.layout import HEAD, OBJECT_LIMIT, Item, Stored, first_name, object_name
from moon.copies.ledger_items import needed
from moon.copies.place import Place
from moon.copies.sealing import Seal
from moon.errors import MoonError
from moon.host_id import Host
from moon.mirror.restoring import opened, read_copy
from moon.mirror.what_is_there import Meeting
from moon.output import tracked
from moon.text import counted, readable_size
from moon.vault.ledger import Ledger

READERS = 8
AT_ONCE = 32


@dataclass
class Proof:
    """What was read back. `content`: also opened and held against the ledger, not only against what was put."""

    parts: int = 0
    objects: int = 0
    of: int = 0
    bytes: int = 0
    content: bool = False
    strays: int = 0
    errors: list[MoonError] = field(default_factory=list)

    def words(self) -> str:
        """One line for people."""
        how = "opened and held against the ledger" if self.content else "as they were put (no identity to open them)"
        state = f"{len(self.errors)} damaged" if self.errors else f"all {how}"
        words = f"{counted(self.parts, 'part')} and {self.objects} of {counted(self.of, 'object')} read back"
        words += f", {readable_size(self.bytes)}; {state}"
        return words + (f"; {counted(self.strays, 'object')} that nothing names" if self.strays else "")


def prove(ledger: Ledger, host: Host, place: Place, seal: Seal, record: CopyRecord, share: float, seed: int) -> Proof:
    """Read every part and a share of the objects (0 < share ≤ 1, drawn by `seed`); `record` learns what to put anew.

    Raises `CopyTaken`, `CopyGone`, `CopyDiverged`, and what a place raises.
    """
    meeting = Meeting(ledger, host, place, seal.sealed)
    there = meeting.recover(record.whole or record.generation, record.parts)
    proof = Proof(parts=there.record.parts, of=len(there.known), content=_opens(seal))
    proof.errors += there.problems
    if proof.content and not there.problems:
        proof.errors += read_copy(place, host.id, seal).problems
    if proof.errors:
        record.renew = True
    if there.record.parts:
        _prove_head(record, place, host, proof)
    now = needed(ledger.lines())
    items = {object_name(host.id, item, seal.sealed): item for item in now.everything()}
    _note_absent(record, items, there.known, proof)
    chosen = _chosen(list(there.known.values()), share, seed)
    check = _Check(place, host.id, seal if proof.content else None, items)
    damaged = check.all(chosen, proof)
    _put_anew(record, damaged, {first: item for first, item in items.items() if item in now.here})
    proof.strays = _strays(place, host.id, {each.name for each in there.known.values()} | set(record.remove))
    record.verified_at = now_text()
    return proof


def _prove_head(record: CopyRecord, place: Place, host: Host, proof: Proof) -> None:
    """Others find a host, and how far it is, by its head."""
    try:
        if copy_head.read_head(place, host.id) is not None:
            return
        path = f"{place.url}/{host.id}/{HEAD}"
        proof.errors.append(CopyDamaged(f"{path} is not there", path=path, hint="the next run puts it again"))
    except CopyDamaged as error:
        proof.errors.append(error)
    record.head_at = ""


def _opens(seal: Seal) -> bool:
    try:
        seal.open(seal.close(b""), "a probe")
    except CopyKeyMissing:
        return False
    except CopyFailed:
        return False
    return True


def _chosen(objects: list[Stored], share: float, seed: int) -> list[Stored]:
    count = len(objects) if share >= 1 else max(1, round(len(objects) * share))
    return random.Random(seed).sample(sorted(objects), min(count, len(objects)))  # noqa: S311


def _note_absent(record: CopyRecord, items: dict[str, Item], known: dict[str, Stored], proof: Proof) -> None:
    """Archives that stand within what was copied, and that no part names."""
    absent = {item.path for first, item in items.items() if first not in known} & set(record.missing)
    for path in sorted(absent):
        proof.errors.append(CopyDamaged(f"{path} is not in the copy", path=path, hint="the next run copies it"))


@dataclass
class _Check:
    place: Place
    host: str
    seal: Seal | None
    items: dict[str, Item]

    def all(self, chosen: Sequence[Stored], proof: Proof) -> list[Stored]:
        """Those that are damaged or gone."""
        damaged = []
        groups = [chosen[number : number + AT_ONCE] for number in range(0, len(chosen), AT_ONCE)]
        with ThreadPoolExecutor(READERS) as readers:
            for group in tracked(groups, f"reading back, {AT_ONCE} objects each"):
                for stored, error in zip(group, readers.map(self._one, group), strict=True):
                    proof.objects += 1
                    proof.bytes += stored.bytes
                    if error is not None:
                        proof.errors.append(error)
                        damaged.append(stored)
        return damaged

    def _one(self, stored: Stored) -> MoonError | None:
        item = self.items.get(first_name(stored.name))
        try:
            if self.seal is not None and item is not None:
                opened(self.place, self.host, self.seal, item, stored)
            else:
                data = self.place.get(f"{self.host}/{stored.name}", min(stored.bytes, OBJECT_LIMIT))
                if hashlib.sha256(data).hexdigest() != stored.sha256:
                    raise CopyDamaged(f"{stored.name} is not what was put there", path=stored.name)
        except (CopyDamaged, ObjectMissing, CopyKeyMissing) as error:
            what = f" ({item.path})" if item else ""
            return CopyDamaged(
                f"{stored.name}{what}: {error.message}", path=f"{self.place.url}/{self.host}/{stored.name}"
            )
        return None


def _put_anew(record: CopyRecord, damaged: Iterable[Stored], items: dict[str, Item]) -> None:
    """Have the next run put these again, under another name."""
    names = {each.name for each in damaged}
    paths = {items[first_name(name)].path for name in names if first_name(name) in items}
    record.missing = sorted({*record.missing, *paths})
    record.notes = {path: note for path, note in record.notes.items() if note.object not in names}
    if names:
        record.head_at = ""


def _strays(place: Place, host: str, named: set[str]) -> int:
    prefix = f"{host}/"
    kinds = ("archives/", "notes/")
    names = (each.name.removeprefix(prefix) for kind in kinds for each in place.list(f"{prefix}{kind.rstrip('/')}"))
    return sum(1 for name in names if name not in named)
