"""A second copy of the tombstones, `archives/forgotten.jsonl`: a damaged ledger line must not bring anything back.

The ledger is what counts. The copy is brought up to date whenever something was forgotten, and read where a catalog is
made anew and where the ledger is repaired.
"""

from __future__ import annotations

import json
from pathlib import Path

from moon.errors import MoonError
from moon.files import read_bounded, write_atomic
from moon.text import dump_json
from moon.vault.ledger import Ledger
from moon.vault.readable import is_readable
from moon.vault.standing import Line

CHAINING = ("prev", "check")


def copy_path(ledger: Ledger) -> Path:
    """Where the copy lies."""
    return ledger.path.with_name("forgotten.jsonl")


def copy_tombstones(ledger: Ledger) -> None:
    """Bring the copy up to date. Raises `HomeUnusable`."""
    named = list(_in_ledger(ledger))
    kept = list(_in_copy(ledger))
    lines = [*kept, *(line for line in named if line not in kept)]
    if len(lines) > len(kept):
        write_atomic(copy_path(ledger), "".join(f"{line}\n" for line in lines))


def lost_tombstones(ledger: Ledger) -> list[Line]:
    """Those that no readable line of the ledger holds any more."""
    kept = _in_copy(ledger)
    named = _in_ledger(ledger) if kept else {}
    return [record for text, record in kept.items() if text not in named]


def _in_ledger(ledger: Ledger) -> dict[str, Line]:
    found: dict[str, Line] = {}
    for record in ledger.lines():
        if record.get("kind") == "forgotten":
            bare: Line = {**record}
            for name in CHAINING:
                bare.pop(name, None)  # type: ignore[misc]
            found[dump_json(bare)] = bare
    return found


def _in_copy(ledger: Ledger) -> dict[str, Line]:
    try:
        data = read_bounded(copy_path(ledger), 1 << 30)
    except (FileNotFoundError, MoonError):
        return {}
    found: dict[str, Line] = {}
    for text in data.decode("utf-8", "replace").splitlines():
        try:
            record = json.loads(text)
        except ValueError:
            continue
        if is_readable(record) and record.get("kind") == "forgotten":
            found[text] = record
    return found
