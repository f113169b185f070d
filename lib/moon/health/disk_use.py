"""How much room Moon takes, how much there is, and for how long: one look and one rule for status, verify and timer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moon.config import Config
from moon.errors import MoonError
from moon.health.signs import Growth, budget_trouble, disk_trouble, growth_of
from moon.paths import Home

if TYPE_CHECKING:
    from moon.documents import LedgerLine

STATION = "disk"


class DiskUse(NamedTuple):
    """Bytes by what they are, `searched` those of the index; `free` is None where the file system does not say."""

    raw: int
    pages: int
    searched: int
    records: int
    free: int | None

    @property
    def total(self) -> int:
        """All that grows with what is archived."""
        return self.raw + self.pages + self.searched + self.records


def look(home: Home) -> DiskUse:
    """Measure it. What goes away meanwhile counts nothing."""
    place = next((each for each in (home.root, *home.root.parents) if each.is_dir()), Path("/"))
    try:
        free: int | None = shutil.disk_usage(place).free
    except OSError:
        free = None
    records = sum(size_of(folder) for folder in (home.distillations, home.continuity, home.memory, home.quarantine))
    return DiskUse(size_of(home.raw), size_of(home.markdown), size_of(home.index), records, free)


def growth(use: DiskUse, lines: Iterable[LedgerLine], now: int) -> Growth:
    """At which pace it grows, and for how many days the free room lasts."""
    return growth_of(lines, use.total, use.free, now)


def troubles(home: Home, config: Config, use: DiskUse, pace: Growth) -> Iterator[MoonError]:
    """What is wrong with the disk, and with what Moon may take of it."""
    yield from disk_trouble(use.free, pace, str(home.root))
    yield from budget_trouble(use.total, config.disk.budget_mb << 20, pace, str(home.root))


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except OSError:
                continue
    return total
