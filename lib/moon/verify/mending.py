"""What `moon-verify --fix` may do: only what is derived, or was meant to be so, and never an archive.

Modes are closed and the memory folder is made by their own checks; here, before them, archives are entered into the
index, and what killed writers left is removed.
"""

from __future__ import annotations

import os

from moon import resources
from moon.errors import MoonError
from moon.files import remove_abandoned
from moon.fulltext import IndexMissing, open_reader
from moon.paths import Home
from moon.programs import run
from moon.text import counted
from moon.vault.ledger import Ledger
from moon.verify.finding import FAIL, OK, Finding, Findings, trouble

INDEX_SECONDS = 1800.0


def mend(home: Home) -> Findings:
    """Do it, and say what was done; nothing where nothing was to do."""
    if not home.root.is_dir():
        return
    removed = remove_abandoned(home.root)
    if removed:
        yield Finding("mended", OK, f"removed {counted(removed, 'file')} that killed writers had left")
    missing = _not_indexed(home)
    if missing:
        yield _index(missing)


def _not_indexed(home: Home) -> int:
    """How many archives the index lacks; 0 where that cannot be said, which is for another check."""
    try:
        wanted = {line["sha256"] for line in Ledger(home.ledger).archives()}
        with open_reader(home.text_index) as index:
            return len(wanted - index.segment_shas())
    except IndexMissing as error:
        return len(wanted) if error.code == IndexMissing.code else 0
    except MoonError:
        return 0


def _index(missing: int) -> Finding:
    what = f"{counted(missing, 'archive')} into the index"
    environment = {name: value for name, value in os.environ.items() if name != "MOON_LOCK_FD"}
    done = run([str(resources.program("index")), "--all"], timeout=INDEX_SECONDS, env=environment)
    if done.code == 0:
        return Finding("mended", OK, f"entered {what}")
    return trouble("mended", FAIL, "index_behind", f"could not enter {what}: {done.describe()}")
