"""One run of copying one host to one place. Immutable objects first, then the part that names them, then the head.

What is cut short at any moment leaves objects that no part names, and a part that no head knows: the next run takes the
part in, and puts the objects again under their next names. Nothing that a part names is ever written over.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from moon import __version__
from moon.clock import now_text
from moon.config import Config
from moon.copies import copy_head
from moon.copies.copy_errors import CopyDamaged, CopyExists, CopyFailed, CopyTaken, ObjectMissing
from moon.copies.copy_head import Head
from moon.copies.copy_record import CopyRecord, Note, write_record
from moon.copies.layout import (
    PART_SCHEMA,
    Item,
    PartBody,
    PartHeader,
    Stored,
    first_name,
    names_for,
    object_name,
    pack_body,
    pack_part,
    part_name,
)
from moon.copies.ledger_items import forgotten_by, needed
from moon.copies.place import Place
from moon.copies.sealing import Seal
from moon.errors import ArchiveDamaged, MoonError
from moon.host_id import Host
from moon.mirror import copy_plan
from moon.mirror.copy_notes import Changed, changed_notes
from moon.mirror.copy_source import proven_bytes
from moon.mirror.what_is_there import Meeting, lines_of, records_of
from moon.paths import Home
from moon.vault.ledger import Ledger, line_hash
from moon.vault.standing import Line

PUTTERS = 8
# So many bytes of files are in memory at once, but for a single file that is larger.
IN_FLIGHT = 64 << 20
# A ledger in more parts than this is put anew in larger ones.
MOST_PARTS = 2000


@dataclass
class Done:
    """What a run did. `left`: ledger lines that are not copied yet, because the time was over."""

    objects: int = 0
    bytes: int = 0
    parts: int = 0
    removed: int = 0
    left: int = 0
    problems: list[MoonError] = field(default_factory=list)

    def changed(self) -> bool:
        """Was anything put or removed?"""
        return bool(self.objects or self.parts or self.removed)


class CopyRun:
    """`deadline`: the `time.monotonic()` after which no further batch is begun."""

    def __init__(self, home: Home, config: Config, host: Host, place: Place, seal: Seal, deadline: float) -> None:
        self.home, self.config, self.host, self.place, self.seal = home, config, host, place, seal
        self.deadline = deadline
        self.ledger = Ledger(home.ledger)
        self.meeting = Meeting(self.ledger, host, place, seal.sealed)
        self.record = CopyRecord(place.url, host.id)
        self.known: dict[str, Stored] = {}
        self.keeps_old = False
        self.done = Done()

    def meet(self, record: CopyRecord | None) -> None:
        """Find out how far the copy is. Raises what `Meeting.meet` does."""
        there = self.meeting.meet(record)
        self.record, self.known = there.record, there.known
        self.done.problems += there.problems

    def begin_anew(self) -> None:
        """Copy everything again beside what is there, which stays: it may hold what this home has lost."""
        self.keeps_old = True
        self.record = CopyRecord(self.place.url, self.host.id, generation=self.meeting.last_generation() + 1)

    def copy(self) -> None:
        """Copy what is new, and note what does not stand any more. Raises what a place raises, `CopyTaken`."""
        if not self.keeps_old and (self.record.renew or self.record.parts >= MOST_PARTS):
            self._renew()
        start = self.record.ledger_end
        lines = [*lines_of(self.ledger, start)]
        gone, here = set[Item](), None
        if copy_plan.takes_out(lines) or self.record.missing:
            earlier = records_of(lines_of(self.ledger, 0, start))
            now = needed([*earlier, *records_of(lines)])
            before = needed(earlier).everything()
            here, gone = now.here, before - now.everything()
            self._note_leftovers(records_of(lines), before | now.everything())
        for batch in self._with_missing(copy_plan.batches(start, lines, here), here or set()):
            if self.done.parts and time.monotonic() > self.deadline:
                break
            self._copy_batch(batch)
        self.done.left = sum(1 for line in lines if line.end > self.record.ledger_end)
        self._forget_what_was_joined(lines[-1].end if lines else start)
        if not self.done.left:
            self._copy_notes(gone)
            self._finish_generation()

    def _note_leftovers(self, lines: Sequence[Line], named: set[Item]) -> None:
        """Have removed what killed runs put of files that are forgotten now: no part ever named it."""
        items = {item for line in lines for item in forgotten_by(line)}
        if not items or self.keeps_old:
            return
        self.place.tidy(self.host.id)
        firsts = {self._first(item) for item in items} - {self._first(item) for item in named}
        left = [name for name in self._names("archives") if first_name(name) in firsts]
        if self.record.notes and all(
            generation == self.record.generation for generation, _ in self.meeting.part_names()
        ):
            notes = {each.object for each in self.record.notes.values()} | {each.name for each in self.known.values()}
            left += [name for name in self._names("notes") if name not in notes]
        self.record.remove = sorted({*self.record.remove, *left})
        write_record(self.home, self.record)

    def _names(self, kind: str) -> Iterator[str]:
        """The objects of a kind that are there."""
        prefix = f"{self.host.id}/"
        return (each.name.removeprefix(prefix) for each in self.place.list(f"{prefix}{kind}"))

    def _forget_what_was_joined(self, end: int) -> None:
        """A file that another process joined with others meanwhile is not missing, although it is gone."""
        if not self.record.missing or self.ledger.size() <= end:
            return
        stands = self.ledger.standing().files
        joined = {path for path in self.record.missing if path.startswith("archives/raw/") and path not in stands}
        self.record.missing = [path for path in self.record.missing if path not in joined]
        places = {str(self.home.root / path) for path in joined}
        self.done.problems = [each for each in self.done.problems if each.path not in places]

    def _with_missing(self, found: Iterator[copy_plan.Batch], here: set[Item]) -> Iterator[copy_plan.Batch]:
        """The batches, and before them what is still missing of earlier ones."""
        wanted = set(self.record.missing)
        again = sorted(item for item in here if item.path in wanted)
        self.record.missing = [item.path for item in again]
        for number in range(0, len(again), copy_plan.FILES):
            yield copy_plan.Batch(items=again[number : number + copy_plan.FILES], end=self.record.ledger_end)
        yield from found

    def _copy_batch(self, batch: copy_plan.Batch) -> None:
        """Put the files of a batch, then its part. A file that is damaged here is left out, and named."""
        stored = self._put_all(batch.items)
        done = [(item, each) for item, each in zip(batch.items, stored, strict=True) if each is not None]
        left = {item.path for item, each in zip(batch.items, stored, strict=True) if each is None}
        self.record.missing = sorted({*self.record.missing, *left} - {item.path for item, _ in done})
        if done or batch.lines:
            self._put_part(batch, [item for item, _ in done], [each for _, each in done], [])

    def _put_all(self, items: Sequence[Item]) -> list[Stored | None]:
        """Each item's object; None where it could not be read as the ledger says."""
        found: list[Stored | None] = []
        with ThreadPoolExecutor(PUTTERS) as putters:
            for group in self._groups(items):
                found += putters.map(self._put_item, group)
        return found

    def _groups(self, items: Sequence[Item]) -> Iterator[list[Item]]:
        """The items in groups that fit into memory together."""
        group: list[Item] = []
        size = 0
        for item in items:
            try:
                own = (self.home.root / item.path).stat().st_size
            except OSError:
                own = 0
            if group and size + own > IN_FLIGHT:
                yield group
                group, size = [], 0
            group.append(item)
            size += own
        if group:
            yield group

    def _put_item(self, item: Item) -> Stored | None:
        first = self._first(item)
        if first in self.known:
            return self.known[first]
        try:
            data = proven_bytes(self.home, item)
        except ArchiveDamaged as error:
            self.done.problems.append(error)
            return None
        return self._put(item, data)

    def _put(self, item: Item, data: bytes) -> Stored:
        """Put the object of an item, under the first of its names that is free. Raises `CopyFailed`."""
        closed = self.seal.close(data)
        for name in names_for(self.host.id, item, self.seal.sealed):
            stored = Stored(name, len(closed), hashlib.sha256(closed).hexdigest())
            try:
                self.place.create(f"{self.host.id}/{name}", closed)
            except CopyExists:
                if not self._is_there(stored):
                    continue
            self.done.objects += 1
            self.done.bytes += stored.bytes
            return stored
        raise CopyDamaged(f"every name of the object for {item.path} is taken", path=self.place.url)

    def _is_there(self, stored: Stored) -> bool:
        """Is what is there exactly this? A sealed object never is: each time it is closed it is another."""
        try:
            there = b"" if self.seal.sealed else self.place.get(f"{self.host.id}/{stored.name}", stored.bytes)
        except (ObjectMissing, CopyDamaged):
            return False
        return hashlib.sha256(there).hexdigest() == stored.sha256

    def _first(self, item: Item) -> str:
        return object_name(self.host.id, item, self.seal.sealed)

    def _put_part(self, batch: copy_plan.Batch, items: list[Item], stored: list[Stored], gone: list[str]) -> None:
        """Put the next part, and note it. Raises `CopyTaken`."""
        record = self.record
        tip = line_hash(batch.lines[-1]) if batch.lines else record.tip
        number = record.parts + 1
        header: PartHeader = {
            "schema": PART_SCHEMA,
            "host": self.host.id,
            "writer": self.host.writer,
            "generation": record.generation,
            "number": number,
            "start": record.ledger_end,
            "end": batch.end,
            "before": record.tip,
            "tip": tip,
            "made_at": now_text(),
            "sealed": self.seal.sealed,
            "objects": stored,
            "gone": gone,
            "body_sha256": "",
        }
        body = self.seal.close(pack_body(PartBody(items, batch.ledger())))
        try:
            self.place.create(f"{self.host.id}/{part_name(record.generation, number)}", pack_part(header, body))
        except CopyExists as error:
            raise CopyTaken(
                f"another home copies as {self.host.id}: part {number} was put meanwhile", path=self.place.url
            ) from error
        self._note_part(header, items)

    def _note_part(self, header: PartHeader, items: list[Item]) -> None:
        record = self.record
        record.parts, record.ledger_end, record.tip = header["number"], header["end"], header["tip"]
        record.objects += len(items)
        record.bytes += sum(each.bytes for each in header["objects"])
        for item, stored in zip(items, header["objects"], strict=True):
            first = self._first(item)
            if stored.name != first:
                record.odd[first] = stored.name
            if stored.name != first and not self.keeps_old:
                # What lies at the names before was left by a run that was killed, or planted.
                names = names_for(self.host.id, item, self.seal.sealed)
                record.remove += names[: names.index(stored.name)]
        record.remove = sorted({*record.remove, *header["gone"]} - {each.name for each in header["objects"]})
        self.done.parts += 1
        write_record(self.home, record)

    def _renew(self) -> None:
        """Begin a new generation: the whole ledger again, in new parts; objects that are there and named are kept."""
        old = self.record
        if not self.known:
            there = self.meeting.recover(old.whole or old.generation, 0)
            self.known, old.remove = there.known, there.record.remove
        newest = max(old.generation, self.meeting.last_generation())
        self.record = CopyRecord(self.place.url, self.host.id, newest + 1, whole=old.whole or old.generation)
        self.record.remove, self.record.done_at = old.remove, old.done_at

    def _finish_generation(self) -> None:
        """The ledger of this generation is whole: parts of others can go."""
        record = self.record
        if record.whole not in (0, record.generation) and not self.keeps_old:
            record.remove += [part_name(*each) for each in self.meeting.part_names() if each[0] != record.generation]
        record.whole, record.renew = record.generation, False
        write_record(self.home, record)

    def _copy_notes(self, gone: set[Item]) -> None:
        """What changes: memory, distillations, maps, the configuration; and the names of archives that went."""
        found: Changed = changed_notes(self.home, self.config, self.record.notes, self._first)
        self.done.problems += found.problems
        stored = [
            self.known[self._first(item)] if self._first(item) in self.known else self._put(item, data)
            for item, data, _ in found.fresh
        ]
        kept = {path: note for path, note in self.record.notes.items() if path not in found.gone}
        old = [self.record.notes[item.path].object for item, _, _ in found.fresh if item.path in self.record.notes]
        old += [self.record.notes[path].object for path in found.gone]
        for (item, data, mtime), each in zip(found.fresh, stored, strict=True):
            kept[item.path] = Note(len(data), mtime, item.sha256, each.name)
        used = {note.object for note in kept.values()}
        old += [each.name for first, each in self.known.items() if first.startswith("notes/") and each.name not in used]
        names = [self.record.odd.pop(self._first(item), self._first(item)) for item in sorted(gone)]
        names += [name for name in dict.fromkeys(old) if name not in used]
        self.record.notes = kept
        if stored or names:
            batch = copy_plan.Batch(end=self.record.ledger_end)
            self._put_part(batch, [item for item, _, _ in found.fresh], stored, names)
        else:
            write_record(self.home, self.record)

    def put_head(self, heartbeat: str | None, problems: Sequence[str]) -> None:
        """Say how far it is."""
        record = self.record
        renewing = record.whole not in (0, record.generation)
        head: Head = {
            "schema": copy_head.SCHEMA,
            "host": self.host.id,
            "name": self.host.name,
            "writer": self.host.writer,
            "version": __version__,
            "sealed": self.seal.sealed,
            "updated_at": now_text(),
            "heartbeat": heartbeat,
            "generation": record.whole or record.generation,
            "parts": 0 if renewing else record.parts,
            "ledger_bytes": record.ledger_end,
            "tip": record.tip,
            "objects": record.objects,
            "bytes": record.bytes,
            "behind": self.done.left,
            "missing": len(record.missing),
            "problems": sorted(set(problems)),
        }
        copy_head.write_head(self.place, head)
        record.head_at = head["updated_at"]

    def remove_gone(self) -> None:
        """Remove what no part needs any more. What cannot be removed is a problem, and stays to be removed."""
        left: list[str] = []
        failure: CopyFailed | None = None
        used = {note.object for note in self.record.notes.values()}
        for name in dict.fromkeys(self.record.remove):
            if name in used:
                continue
            try:
                if failure is None:
                    self.place.delete(f"{self.host.id}/{name}")
                    self.done.removed += 1
                    continue
            except CopyFailed as error:
                failure = error
            left.append(name)
        self.record.remove = left
        if failure is not None:
            self.done.problems.append(
                CopyFailed(
                    f"{len(left)} objects that count no more cannot be removed: {failure.message}",
                    path=self.place.url,
                    code="copy_keeps_removed",
                )
            )
