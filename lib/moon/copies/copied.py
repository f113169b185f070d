"""Which archives are in the copies, told without asking them: from the records and the lines of the ledger behind them.

A part of the ledger is put only after the files that its lines name, so what stands in no later line, and is not
missing, is in the copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from moon.config import Config
from moon.copies.copy_record import read_record
from moon.copies.copy_settings import copies_of
from moon.copies.ledger_items import items_of
from moon.paths import Home
from moon.vault.ledger import Ledger


def not_copied(home: Home, config: Config, archive_paths: Iterable[str]) -> dict[str, list[str]]:
    """By the URL of each copy that lacks any of these files of the archive: those that it lacks.

    `archive_paths` are relative to MOON_HOME, of files that stand (`Standing.files`, `Catalog.segments`) or of what was
    set aside. Empty when every copy has all of them, and when no copies are configured.
    """
    wanted = list(archive_paths)
    found: dict[str, list[str]] = {}
    for settings in copies_of(config):
        record = read_record(home, settings.url)
        lacking = wanted if record is None else _lacking(home, wanted, record.ledger_end, set(record.missing))
        if lacking:
            found[settings.url] = lacking
    return found


def _lacking(home: Home, wanted: list[str], end: int, missing: set[str]) -> list[str]:
    ledger = Ledger(home.ledger)
    if end > ledger.size():
        return wanted
    later = set(missing)
    later |= {item.path for line in ledger.read(end) for item in items_of(line.record)}
    return [path for path in wanted if path in later]
