"""Which format a MOON_HOME has: what a newer Moon has written, an older one does not touch.

`MOON_HOME/format.json` is written by whoever works under the lock. A home without it has format 1 and is read
as it is; its state file has the format's number too, so that a Moon from before this file refuses a newer home as well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from moon import __version__, schema
from moon.errors import DocumentTooNew
from moon.files import read_bounded
from moon.paths import Home

FORMAT = 2
STEM = "moon.home"


def format_of(home: Home) -> int:
    """The format of this home; 1 for one without a mark, 0 for a mark that cannot be read."""
    return _read(home)[0]


def _read(home: Home) -> tuple[int, str]:
    """(format, version of the Moon that wrote it)"""
    try:
        document = json.loads(read_bounded(home.format_file))
        stem, _, number = document["schema"].partition("/")
        return (int(number), str(document.get("moon", ""))) if stem == STEM else (0, "")
    except FileNotFoundError:
        return 1, ""
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0, ""


def refuse_newer(home: Home) -> None:
    """Raise `DocumentTooNew` for a home that a Moon of a later format has written to. Reads one small file."""
    found, version = _read(home)
    if found > FORMAT:
        raise DocumentTooNew(
            f"{home.root} has format {found}, made by Moon {version or 'of a later version'}; this is Moon "
            f"{__version__} at {Path(sys.argv[0]).absolute()}, which knows format {FORMAT} and older",
            path=str(home.format_file),
            hint="update this Moon, or run the newer one: nothing was changed",
        )


def claim(home: Home) -> bool:
    """Mark a home as of this format, under the lock; whether it was of an older one."""
    before = format_of(home)
    if before != FORMAT:
        schema.write("home", {"schema": f"{STEM}/{FORMAT}", "moon": __version__}, home.format_file)
    return before < FORMAT
