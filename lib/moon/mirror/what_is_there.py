"""How far a copy is, and whether this home may go on with it. Only reads.

What the record says is believed as long as the copy does not know more; else it is made anew from the headers of the
parts, for which no identity is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from moon.copies import copy_head
from moon.copies.copy_errors import CopyDamaged, CopyDiverged, CopyGone, CopyTaken, ObjectMissing
from moon.copies.copy_head import Head
from moon.copies.copy_record import CopyRecord
from moon.copies.layout import (
    PART_LIMIT,
    PartHeader,
    Stored,
    first_name,
    numbers_of,
    object_name,
    part_name,
    unpack_part,
)
from moon.copies.ledger_items import needed
from moon.copies.place import Place
from moon.errors import MoonError
from moon.host_id import Host
from moon.vault.ledger import Ledger, Read
from moon.vault.standing import Line


@dataclass
class There:
    """What is known of a copy. `known`: its objects by the first of their names, where they had to be looked up."""

    record: CopyRecord
    known: dict[str, Stored] = field(default_factory=dict)
    problems: list[MoonError] = field(default_factory=list)


class Meeting:
    """One look at the copy of one host."""

    def __init__(self, ledger: Ledger, host: Host, place: Place, sealed: bool) -> None:
        self.ledger, self.host, self.place, self.sealed = ledger, host, place, sealed

    def meet(self, record: CopyRecord | None) -> There:
        """How far the copy is. Raises `CopyTaken`, `CopyGone`, `CopyDiverged`, and what a place raises."""
        problems: list[MoonError] = []
        head = self._own_head(problems)
        if record is None or record.host != self.host.id:
            there = self.recover(head["generation"] if head else self.last_generation(), head["parts"] if head else 0)
        else:
            there = self._go_on_with(record, head)
        there.problems[:0] = problems
        self._refuse_another_ledger(there.record)
        return there

    def _go_on_with(self, record: CopyRecord, head: Head | None) -> There:
        if head is None and record.parts and not self.part_names():
            raise CopyGone(
                f"what was copied to {self.place.url} is not there any more",
                path=self.place.url,
                hint="mount the disk, or correct the URL; if it is really gone, `moon-mirror --anew` copies all again",
            )
        if record.whole not in (0, record.generation):  # a new generation was being made; it is made once more
            there = self.recover(record.whole, 0)
            there.record.renew = True
            return there
        known = (record.generation, record.parts)
        if head is not None and (head["generation"], head["parts"]) > known:
            return self.recover(head["generation"], head["parts"])
        if not record.renew and self._has_part(record.generation, record.parts + 1):
            # It was put by a run that was killed before it could note it.
            return self.recover(record.generation, record.parts)
        return There(record)

    def _own_head(self, problems: list[MoonError]) -> Head | None:
        try:
            head = copy_head.read_head(self.place, self.host.id)
        except CopyDamaged as error:
            problems.append(error)
            return None
        if head is not None:
            self._refuse_another_writer(head["writer"], head["updated_at"], head["name"])
        return head

    def _refuse_another_writer(self, writer: str, when: str, name: str = "another machine") -> None:
        if writer not in (self.host.writer, *self.host.took_over):
            raise CopyTaken(f"another home copies as {self.host.id} since {when} (on {name})", path=self.place.url)

    def recover(self, generation: int, parts: int) -> There:
        """Read the headers of the parts of a generation; `parts`: how many there have to be at least."""
        there = There(CopyRecord(self.place.url, self.host.id, generation=max(1, generation)))
        if not generation:
            return there
        there.record.whole = generation
        last = max((number for each, number in self.part_names() if each == generation), default=0)
        for number in range(1, max(last, parts) + 1):
            try:
                _learn(there, self.part(generation, number))
            except (ObjectMissing, CopyDamaged) as error:
                there.problems.append(_damaged(error, part_name(generation, number), self.place.url))
                there.record.renew = True
        self._find_missing(there)
        return there

    def part(self, generation: int, number: int) -> PartHeader:
        """The header of a part. Raises `ObjectMissing`, `CopyDamaged`, `CopyTaken`."""
        name = part_name(generation, number)
        header, _ = unpack_part(self.place.get(f"{self.host.id}/{name}", PART_LIMIT), name, self.host.id)
        self._refuse_another_writer(header["writer"], header["made_at"])
        return header

    def _has_part(self, generation: int, number: int) -> bool:
        try:
            self.part(generation, number)
        except ObjectMissing:
            return False
        except CopyDamaged:
            return True
        return True

    def part_names(self) -> list[tuple[int, int]]:
        """(generation, number) of every part that is there."""
        prefix = f"{self.host.id}/"
        found = (numbers_of(each.name.removeprefix(prefix)) for each in self.place.list(f"{prefix}ledger"))
        return sorted(each for each in found if each is not None)

    def last_generation(self) -> int:
        """The newest generation of which a part is there; 0 for none."""
        return max((generation for generation, _ in self.part_names()), default=0)

    def _find_missing(self, there: There) -> None:
        """Which archives the parts do not name, and which objects nobody needs any more."""
        record = there.record
        now = needed(records_of(lines_of(self.ledger, 0, record.ledger_end)))
        names = {object_name(self.host.id, item, self.sealed): item for item in now.everything()}
        record.missing = sorted(
            item.path for name, item in names.items() if name not in there.known and item in now.here
        )
        unneeded = (each.name for first, each in there.known.items() if first[:9] == "archives/" and first not in names)
        record.remove = sorted({*record.remove, *unneeded})

    def _refuse_another_ledger(self, record: CopyRecord) -> None:
        if record.ledger_end and not record.renew and self.ledger.hash_before(record.ledger_end) != record.tip:
            raise CopyDiverged(
                f"the copy holds another ledger than {self.ledger.path}: its line that ends at byte "
                f"{record.ledger_end} is not in it",
                path=self.place.url,
            )


def _learn(there: There, header: PartHeader) -> None:
    """Take a part that is there into account."""
    record = there.record
    record.parts, record.ledger_end, record.tip = header["number"], header["end"], header["tip"]
    for stored in header["objects"]:
        first = first_name(stored.name)
        there.known[first] = stored
        record.objects, record.bytes = record.objects + 1, record.bytes + stored.bytes
        if stored.name != first:
            record.odd[first] = stored.name
    for name in header["gone"]:
        held = there.known.get(first_name(name))
        if held is not None and held.name == name:
            del there.known[first_name(name)]
        record.remove.append(name)


def _damaged(error: MoonError, name: str, url: str) -> CopyDamaged:
    return CopyDamaged(
        f"{name} of the copy at {url}: {error.message}",
        path=f"{url}/{name}",
        hint="the ledger is put there anew at the next run; objects that are there stay",
    )


def lines_of(ledger: Ledger, start: int, end: int | None = None) -> Iterator[Read]:
    """The ledger's lines from one byte offset to another."""
    for line in ledger.read(start):
        if end is not None and line.end > end:
            return
        yield line


def records_of(lines: Iterable[Read]) -> list[Line]:
    """The lines that count."""
    return [line.record for line in lines if line.record is not None]
