"""Archive a JSONL transcript once for each of many versions of one event: `revise.py FILE FIRST LAST`.

One process for all of them, since a process each would be most of the time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))

from moon import config
from moon.archive.transcript_archiver import archive_transcript
from moon.openclaw.locate import open_stores
from moon.paths import Home
from moon.vault import segments
from moon.vault.catalog import open_catalog


def main(path: Path, first: int, last: int) -> None:
    """Write and archive versions `first` to `last` - 1."""
    segments.sync = lambda descriptor: None  # the disk is not what is measured
    home = Home.from_environment()
    loaded = config.load(home)
    head = path.read_bytes().splitlines()[0]
    with open_catalog(home) as catalog:
        for version in range(first, last):
            lines = [head, *(_event(number, version) for number in range(7))]
            path.write_bytes(b"".join(line + b"\n" for line in lines))
            for store, entry in open_stores(loaded).sessions():
                archive_transcript(home, catalog, store, entry.transcript, loaded.archive.compress_from_bytes)


def _event(number: int, version: int) -> bytes:
    shown = version if number == version % 7 else 0
    return json.dumps({"type": "message", "id": f"event-{number}", "version": shown}).encode()


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
