"""What there is to copy: new lines of the ledger, the files that they name, and what does not stand any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from moon.copies.layout import Item
from moon.vault.ledger import Read
from moon.vault.standing import Line, Standing, kept_of

# A part is put when so much of the ledger, or so many files of so many bytes, are together: what is cut short is begun
# again from the part before.
LEDGER_BYTES = 1 << 20
FILES = 256
FILE_BYTES = 128 << 20
# Lines of these kinds take nothing out of the archive, so that nobody has to ask what stands.
ADDING = frozenset({"archive", "link", "aside", "mended"})


@dataclass
class Batch:
    """A stretch of the ledger and the files that it names. `end`: the offset behind its last line."""

    lines: list[bytes] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    end: int = 0

    def ledger(self) -> bytes:
        """The stretch as it stands in the ledger."""
        return b"".join(line + b"\n" for line in self.lines)


def takes_out(lines: Iterable[Read]) -> bool:
    """May any of these lines have taken a file out of the archive?"""
    return any(line.record is None or line.record.get("kind") not in ADDING for line in lines)


def items_of(record: Line | None) -> Iterator[Item]:
    """The file that a line puts into the archive."""
    kind = record.get("kind") if record else None
    if record is None:
        return
    if kind in ("archive", "pack"):
        yield Item(record["archive_path"], record["sha256"])
    elif kind == "retired" and record.get("kept"):
        kept = kept_of(record)
        yield Item(kept["archive_path"], kept["sha256"])
    elif kind == "aside":
        yield Item(f"archives/quarantine/{record['sha256']}.bin", record["sha256"])


def batches(start: int, lines: Iterable[Read], standing: Standing | None) -> Iterator[Batch]:
    """The new lines in stretches. `standing`: what stands now, where a line may have taken out what another put in."""
    batch, size, seen, end = Batch(end=start), 0, set[str](), start
    for line in lines:
        batch.lines.append(line.raw)
        batch.end = end = line.end
        for item in items_of(line.record):
            if item.path not in seen and _stands(item, standing):
                seen.add(item.path)
                batch.items.append(item)
                size += int(line.record.get("bytes", 0)) if line.record else 0
        if size >= FILE_BYTES or len(batch.items) >= FILES or end - start >= LEDGER_BYTES:
            yield batch
            batch, size, start = Batch(end=end), 0, end
    if batch.lines:
        yield batch


def _stands(item: Item, standing: Standing | None) -> bool:
    if standing is None or is_set_aside(item):
        return True
    record = standing.files.get(item.path)
    return record is not None and record["sha256"] == item.sha256


def is_set_aside(item: Item) -> bool:
    """Is it bytes that could be no line of an archive? Those stand for ever."""
    return item.path.startswith("archives/quarantine/")


def standing_items(standing: Standing) -> set[Item]:
    """Every file that stands."""
    return {Item(path, record["sha256"]) for path, record in standing.files.items()}
