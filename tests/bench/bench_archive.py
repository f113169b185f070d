"""How fast a large transcript is archived, and in how much memory, beside plain work on the same bytes.

Wanted: 50 MB/s of transcript or more, under 150 MB of memory. `--megabytes 1024` for the full size.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import REPO, Cost, add_session, environment, event_lines, run, sqlite_store

SESSION = "00000000-0000-4000-8000-000000000001"
KEY = "agent:main:large"
HASH = (
    "import hashlib, sys; t = hashlib.sha256(); f = open(sys.argv[1], 'rb', 0)\nwhile b := f.read(1 << 20): t.update(b)"
)


def make_jsonl(folder: Path, size: int) -> int:
    """A JSONL store with one large transcript; its size."""
    sessions = folder / "openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "sessions.json").write_text(f'{{"{KEY}": {{"sessionId": "{SESSION}", "updatedAt": 1793614500000}}}}')
    path = sessions / f"{SESSION}.jsonl"
    with path.open("wb") as stream:
        for line in event_lines(SESSION, size):
            stream.write(line + b"\n")
    return path.stat().st_size


def make_sqlite(folder: Path, size: int) -> int:
    """A SQLite store with one large transcript; the size of its events."""
    database = sqlite3.connect(sqlite_store(folder))
    # OpenClaw's table checks itself with a function that SQLite has since 3.43.
    database.create_function("octet_length", 1, lambda text: len(text.encode()), deterministic=True)
    total = 0

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal total
        for number, line in enumerate(event_lines(SESSION, size)):
            total += len(line) + 1
            yield SESSION, number, line.decode(), 1793614500000, len(line)

    with database:
        add_session(database, KEY, SESSION, 9000)
        database.executemany(
            "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes)"
            " VALUES (?, ?, ?, ?, ?)",
            rows(),
        )
    database.close()
    return total


def show(label: str, cost: Cost, size: int) -> None:
    """One line of the table."""
    rate = size / 1e6 / cost.wall
    print(f"  {label:36} {cost.wall:7.2f} s {cost.cpu:7.2f} s CPU {rate:8.1f} MB/s {cost.peak_mib:7.1f} MiB")


def measure(generation: str, size: int, prefix: str | None) -> None:
    """Archive one transcript of that size from a store of that generation."""
    with tempfile.TemporaryDirectory(prefix="moon-bench-", dir=prefix) as name:
        folder = Path(name)
        made = make_jsonl(folder, size) if generation == "jsonl" else make_sqlite(folder, size)
        scratch = environment(folder)
        moon = str(REPO / "bin" / "moon-archive")
        print(f"{generation}, one transcript of {made / 1e6:.0f} MB:")
        show("moon-archive --session", run([moon, "--session", KEY], scratch), made)
        show("the same again, nothing new", run([moon, "--session", KEY], scratch), made)
        show("moon-archive --verify", run([moon, "--verify"], scratch), made)
        if generation == "jsonl":
            path = next((folder / "openclaw").rglob("*.jsonl"))
            python = str(REPO / ".venv" / "bin" / "python")
            show("SHA-256 of the same file", run([python, "-c", HASH, str(path)], scratch), made)
            show("cp of the same file", run(["cp", str(path), str(folder / "copy")], scratch), made)


def main() -> int:
    """Measure both generations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256, help="size of the transcript (default 256)")
    parser.add_argument("--folder", help="where to make it (default: the system's temporary folder)")
    options = parser.parse_args()
    for generation in ("jsonl", "sqlite"):
        measure(generation, options.megabytes * 1_000_000, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
