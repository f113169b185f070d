"""Let old archives go from this machine, where that was asked for: only what is copied, distilled, and reads back.

Each leaves a tombstone, so that `--verify` holds, nothing of it is archived again, and recall can say that it is gone.
What was distilled of it stays. Deciding is apart from doing, and everything that is not sure is a reason to keep.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from moon.clock import format_ms, now_ms, parse_ms
from moon.config import Config, Retention
from moon.copies.copied import not_copied
from moon.copies.copy_settings import copies_of
from moon.distillations import Distillations
from moon.errors import ArchiveDamaged, MoonError
from moon.paths import Home
from moon.text import counted, readable_size
from moon.vault.catalog import Catalog, Segment
from moon.vault.forgetting import Tombstone, find_in, forget
from moon.vault.tombstones import copy_tombstones

DAY_MS = 86_400_000
NEVER = "never"


@dataclass(frozen=True)
class Facts:
    """What retention asks about an archive: was everything in it distilled, and which of these paths lacks a copy?

    `has_copies`: are any copies configured at all?
    """

    is_distilled: Callable[[Segment], bool]
    not_copied: Callable[[list[str]], set[str]]
    has_copies: bool


def facts_of(home: Home, config: Config) -> Facts:
    """What is known about distillations and copies."""
    known = Distillations(home)

    def is_distilled(file: Segment) -> bool:
        return known.of(file.sha256) is not None or all(known.of(sha) is not None for sha in file.parts or ("",))

    def lacking(paths: list[str]) -> set[str]:
        return {path for each in not_copied(home, config, paths).values() for path in each}

    return Facts(is_distilled, lacking, has_copies=bool(copies_of(config)))


@dataclass
class Plan:
    """`files`: those that may go. `kept`: why others of that age stay, and how many."""

    files: list[Segment] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)


@dataclass
class Let:
    """What went: files and their bytes, uncompressed."""

    files: int = 0
    bytes: int = 0
    left: int = 0
    problems: list[MoonError] = field(default_factory=list)

    def describe(self) -> str:
        """One line in words."""
        words = f"{counted(self.files, 'archive')} of {readable_size(self.bytes)} let go, as retention.delete says"
        return words + (f"; {self.left} left for the next run" if self.left else "")


def plan(
    files: Iterable[Segment], settings: Retention, facts: Facts, now: int, path_of: Callable[[Segment], str]
) -> Plan:
    """Which archives may go. Pure but for what `facts` asks."""
    found = Plan()
    if settings.delete == NEVER:
        return found
    before = format_ms(now - settings.days * DAY_MS)
    old = [file for file in files if file.archived_at < before]
    if settings.require_copy and not facts.has_copies:
        found.kept["no copies are configured"] += len(old)
        return found
    lacking = facts.not_copied([path_of(file) for file in old]) if facts.has_copies and old else set()
    for file in old:
        if path_of(file) in lacking:
            found.kept["not in every copy"] += 1
        elif not facts.is_distilled(file):
            found.kept["not distilled"] += 1
        else:
            found.files.append(file)
    return found


def let_go(catalog: Catalog, settings: Retention, found: Plan, seconds: float) -> Let:
    """Let the planned archives go, each after it was read back, for so many seconds. Raises `HomeUnusable`.

    One that does not read back stays, and is named.
    """
    done = Let()
    deadline = time.monotonic() + seconds
    reason = f"retention: older than {settings.days} days"
    for number, file in enumerate(found.files):
        if time.monotonic() >= deadline:
            done.left = len(found.files) - number
            break
        told = Tombstone(format_ms(now_ms()), reason, "archives", parse_ms(file.archived_at) or 0)
        try:
            forget(catalog, find_in(catalog, file, lambda part, data: True, told.until), told)
        except ArchiveDamaged as error:
            done.problems.append(error)
            continue
        done.files += 1
        done.bytes += file.bytes
    if done.files:
        copy_tombstones(catalog.ledger)
    return done
