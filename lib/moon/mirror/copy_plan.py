"""What there is to copy: new lines of the ledger, the files that they name, and what does not stand any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from moon.copies.layout import Item
from moon.copies.ledger_items import items_of
from moon.vault.ledger import Read

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


def batches(start: int, lines: Iterable[Read], here: set[Item] | None) -> Iterator[Batch]:
    """The new lines in stretches. `here`: the files there are, where a line may have taken out what another put in."""
    batch, size, seen, end = Batch(end=start), 0, set[str](), start
    for line in lines:
        batch.lines.append(line.raw)
        batch.end = end = line.end
        for item in items_of(line.record):
            if item.path not in seen and (here is None or item in here):
                seen.add(item.path)
                batch.items.append(item)
                size += int(line.record.get("bytes", 0)) if line.record else 0
        if size >= FILE_BYTES or len(batch.items) >= FILES or end - start >= LEDGER_BYTES:
            yield batch
            batch, size, start = Batch(end=end), 0, end
    if batch.lines:
        yield batch
