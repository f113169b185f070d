"""What copying costs (`make bench-fleet`): CPU of this process, beside `cp` and SHA-256 of the same bytes.

A ledger of plain and of compressed archives is copied to a real S3 server in another process, once as it is and once
sealed. CPU is counted, not time: the server and whatever else runs take none of it. `QUICK=1` takes a tenth.
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT / "lib"), str(ROOT)]

import pyrage  # noqa: E402
from tests.support import events  # noqa: E402
from tests.support.buckets import serving  # noqa: E402
from tests.support.settings import settings  # noqa: E402

from moon.clock import now_text  # noqa: E402
from moon.copies.place import open_place  # noqa: E402
from moon.copies.sealing import Age, Seal, Unsealed  # noqa: E402
from moon.host_id import own_host  # noqa: E402
from moon.mirror.copy_run import CopyRun  # noqa: E402
from moon.paths import Home  # noqa: E402
from moon.vault.ledger import Ledger  # noqa: E402
from moon.vault.segments import SegmentWriter, segment_path  # noqa: E402

Made = TypeVar("Made")
MEGABYTE = 1_000_000
WORDS = ("relay", "station", "battery", "voltage", "log", "plan", "deploy", "error", "restart", "window", "lantern")


def make_home(folder: Path, megabytes: int, compressed: bool, segment_bytes: int) -> tuple[Home, int]:
    """A home with so much text in segments of that size; (home, messages)."""
    home, rng, messages = Home(folder), random.Random(1), 0
    home.root.mkdir(mode=0o700)
    ledger = Ledger(home.ledger)
    for ordinal in range(1, max(1, megabytes * MEGABYTE // segment_bytes) + 1):
        path = segment_path(home.raw, "main", "agent:main:main", "s1", ordinal, compressed)
        writer = SegmentWriter(path)
        while writer.bytes + sum(map(len, writer._buffer)) < segment_bytes:
            said = " ".join(rng.choice(WORDS) + str(rng.randrange(100)) for _ in range(60))
            writer.add(events.message(f"e{messages}", said))
            messages += 1
        written = writer.finish()
        ledger.append(
            {
                "schema": "moon.archive/1",
                "kind": "archive",
                "agent": "main",
                "session_key": "agent:main:main",
                "session_id": "s1",
                "archive_path": home.relative(path),
                "sha256": written.sha256,
                "events": written.events,
                "bytes": written.bytes,
                "first_event_id": "a",
                "last_event_id": "b",
                "archived_at": now_text(),
                "ordinal": ordinal,
            }
        )
    return home, messages


def cost(work: Callable[[], Made]) -> tuple[float, Made]:
    """(CPU seconds of this process, its threads included: the least of three; what was made)."""
    found = []
    for _ in range(3):
        before = time.process_time()
        made = work()
        found.append(time.process_time() - before)
    return min(found), made


def files(home: Home) -> list[Path]:
    """The files of the archive."""
    return sorted(home.raw.rglob("*.jsonl*"))


def hash_all(home: Home) -> None:
    """Read and hash every file."""
    for path in files(home):
        hashlib.sha256(path.read_bytes()).digest()


def copy_all(home: Home, folder: Path) -> None:
    """Every file, as `cp` does without the help of the file system."""
    for path in files(home):
        with path.open("rb") as source, (folder / path.name).open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)


def mirror(home: Home, url: str, seal: Seal) -> tuple[int, int]:
    """One whole copy to a place of its own; (objects, bytes)."""
    place = open_place(f"{url}/{secrets.token_hex(8)}", seconds=60)
    run = CopyRun(home, settings(), own_host(home), place, seal, time.monotonic() + 3600)
    run.copy()
    run.put_head(None, [])
    assert not run.done.problems and not run.done.left
    return run.done.objects, run.done.bytes


def measure(folder: Path, url: str, kind: str, megabytes: int, segment_bytes: int) -> bool:
    """Print the rows of one kind of archive; are both bounds kept?"""
    home, messages = make_home(folder / kind.replace(" ", "-"), megabytes, "compressed" in kind, segment_bytes)
    stored = sum(path.stat().st_size for path in files(home))
    text = sum(line["bytes"] for line in Ledger(home.ledger).archives())
    identity = pyrage.x25519.Identity.generate()
    seals = {"as it is": Unsealed(), "sealed": Age([str(identity.to_public())])}
    target = folder / "cp"
    target.mkdir(exist_ok=True)
    (cp, _), (sha, _) = cost(lambda: copy_all(home, target)), cost(lambda: hash_all(home))
    print(f"{kind}: {text / MEGABYTE:.0f} MB of text, {stored / MEGABYTE:.1f} MB stored, {messages} messages")
    print(f"  cp {stored / cp / MEGABYTE:.0f} MB/s of CPU, SHA-256 {stored / sha / MEGABYTE:.0f} MB/s")
    kept = True
    for name, seal in seals.items():
        took, (objects, put) = cost(partial(mirror, home, url, seal))
        speed = text / took / MEGABYTE
        print(
            f"  copied {name}: {speed:.0f} MB/s of text, {stored / took / MEGABYTE:.0f} MB/s stored; "
            f"{took / (cp + sha):.1f} x (cp + SHA-256); {put / messages:.0f} bytes a message, {objects} objects, "
            f"{1000 * took / objects:.2f} ms of CPU an object"
        )
        kept = kept and speed >= (100 if name == "as it is" else 60)
    return kept


def main() -> int:
    megabytes = 20 if os.environ.get("QUICK") else 200
    with tempfile.TemporaryDirectory() as folder, serving() as buckets:
        os.environ.update(buckets.environment())
        url = buckets.make("bench")
        kept = [
            measure(Path(folder), url, "plain archives of 1 MB", megabytes, MEGABYTE),
            measure(Path(folder), url, "compressed archives of 16 MB", megabytes, 16 * MEGABYTE),
            measure(Path(folder), url, "plain archives of 20 kB", max(4, megabytes // 20), 20_000),
        ]
    print("to reach: 100 MB/s of CPU before encryption, 60 with it, on archives of 1 MB and more")
    return 0 if all(kept[:2]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
