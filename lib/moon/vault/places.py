"""Where something lies now that an older document names: archives are joined into packs, and their lines move."""

from __future__ import annotations

from pathlib import Path

from moon.paths import Home
from moon.vault.ledger import Ledger


def locate_line(home: Home, archive_path: str, line: int) -> tuple[Path, int]:
    """(file, line) of a line that an answer, a map or a record gave as `archive_path` and line, whenever it was given.

    The ledger is only read where no such file stands any more. An unknown path comes back as it was given.
    """
    if (home.root / archive_path).exists():
        return home.root / archive_path, line
    path, line = Ledger(home.ledger).standing().place(archive_path, line)
    return home.root / path, line
