"""Take out of the memory what was distilled from conversations that are forgotten.

First the rules and the block, then the record, which names them: a run that is cut short finds the record again. What
other records say too, and what was told only once because the forgotten block told it, is written where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moon.config import Config
from moon.distill import daily_memory, standing_rules
from moon.distill.archive_distiller import memory_folder, write_memory
from moon.distill.told_lines import Told, told_in
from moon.distillations import ENDING, lists_of, read_record, record_path
from moon.documents import DistillationRecord
from moon.errors import MoonError
from moon.files import read_bounded
from moon.paths import Home

Doomed = Callable[[DistillationRecord], bool]


@dataclass
class Memory:
    """What of the memory goes: records, and the files in which their blocks and rules stand."""

    records: list[DistillationRecord] = field(default_factory=list)
    blocks: int = 0
    bytes: int = 0

    @property
    def sessions(self) -> set[tuple[str, str, str]]:
        """(agent, session key, session id) of those sessions that a record is missing of now."""
        return {
            (each.get("agent", ""), each.get("session_key", ""), each.get("session_id", "")) for each in self.records
        }


def find_records(home: Home, doomed: Doomed) -> Memory:
    """The records that are to go. Only reads."""
    found = Memory()
    for record in all_records(home):
        if doomed(record):
            found.records.append(record)
            found.blocks += record.get("memory_file") is not None
            found.bytes += record_path(home, record["archive_sha256"]).stat().st_size
    return found


def all_records(home: Home) -> Iterator[DistillationRecord]:
    """Every record that can be read, in the order of their names; one of a newer Moon is passed over."""
    for path in sorted(home.distillations.glob(f"*{ENDING}")):
        try:
            record = read_record(home, path.name.removesuffix(ENDING))
        except MoonError:
            continue
        if record is not None:
            yield record


def forget_records(home: Home, config: Config, found: Memory) -> None:
    """Remove these records, their blocks and their rules. Raises `HomeUnusable`."""
    if not found.records:
        return
    folder = memory_folder(home, config)
    told: list[str] = []
    for record in found.records:
        told += _take_out(folder, record, config.timezone)
        record_path(home, record["archive_sha256"]).unlink(missing_ok=True)
    names = {record["archive_sha256"] for record in found.records}
    _tell_again(home, config, [each for each in all_records(home) if each["archive_sha256"] not in names], told)


def _take_out(folder: Path, record: DistillationRecord, zone_name: str) -> list[str]:
    """Take a record's rules and blocks out of the memory; the lines that the blocks told."""
    sha = record["archive_sha256"]
    told: list[str] = []
    for path in _days(folder):
        content = read_bounded(path)
        left = daily_memory.without_block(content, sha)
        if left != content:
            told += told_in(daily_memory.block_in(content, sha))
            daily_memory.remove_block(path, sha)
    return [*told, *standing_rules.drop_rules(folder, sha)]


def _days(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("????-??-??.md") if path.is_file())


def _tell_again(home: Home, config: Config, others: list[DistillationRecord], told: list[str]) -> None:
    """Write the blocks of those records anew that leave out what a forgotten block had told before them."""
    lines = Told(told)
    for record in others:
        says = [line for name in daily_memory.FOLDED for line in lists_of(record)[name]]
        if record.get("memory_file") and any(lines.holds(line) for line in says):
            write_memory(home, config, record)
