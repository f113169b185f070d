"""What Moon costs, written to docs/performance.md with its plots (`make bench`, `make bench QUICK=1`, SEED=…).

Every figure is the CPU of whole processes and stands beside a reference of the same run, because seconds say more about
the machine than about the program. `--quick` prints a small run and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

import archive_cost
import index_cost
import tick_cost
from figures import Curve, Figure, exponents, plot, table
from measure import REPO

PAGE = REPO / "docs" / "performance.md"
PLOTS = REPO / "docs" / "performance"
NOTES = Path(__file__).with_name("performance_notes.md")
MEGABYTE = 1_000_000


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run that only prints")
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--folder", help="where to make stores (default: the system's temporary folder)")
    parser.add_argument("--events", type=int, default=500_000, help="the largest archive that is indexed and asked")
    parser.add_argument("--sessions", type=int, default=10_000, help="the most sessions that a tick looks at")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part, which only prints")
    options = parser.parse_args()
    print(f"make bench SEED={options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="moon-bench-", dir=options.folder) as name:
        parts = measure(Path(name), options.seed, sizes_of(options), options.only or PARTS)
    asked = f"SEED={options.seed} SESSIONS={options.sessions} EVENTS={options.events}"
    text = page(asked, parts)
    print(text)
    if not (options.quick or options.only):
        PLOTS.mkdir(exist_ok=True)
        for title, x_name, _, curves in parts:
            if curves:
                (PLOTS / f"{file_name(title)}.svg").write_text(plot(title, x_name, curves), "utf-8")
        PAGE.write_text(text, "utf-8")
    return 0


Part = tuple[str, str, list[Figure], list[Curve]]


PARTS = ("ticks", "archive", "index")


class Sizes(NamedTuple):
    """What is measured: sessions, events of an archive, and whether little is enough."""

    sessions: list[int]
    events: list[int]
    quick: bool


def sizes_of(options: argparse.Namespace) -> Sizes:
    """The sizes up to the largest that is asked for."""
    sessions = [20, 200] if options.quick else [1, 20, 1_000, 10_000]
    events = [2_000, 6_000] if options.quick else [6_000, 60_000, 500_000]
    return Sizes(
        [each for each in sessions if each <= options.sessions],
        [each for each in events if each <= options.events],
        options.quick,
    )


def measure(folder: Path, seed: int, sizes: Sizes, parts: Container[str] = PARTS) -> list[Part]:
    """Every part that is asked for: its title, what its curves are over, figures, curves."""
    found: list[Part] = []
    if "ticks" in parts:
        ticks, tick_curves = tick_cost.measure(folder, sizes.sessions, 5 if sizes.quick else 15)
        found.append(("Idle tick", "sessions", ticks, tick_curves))
    if "archive" in parts:
        found += _archiving(folder, seed, sizes.quick)
    if "index" in parts:
        index, recall = index_cost.measure(folder, seed, sizes.events, 3 if sizes.quick else 9)
        found.append(("Indexing", "events", *index))
        found.append(("Recall", "events", *recall))
    return found


def _archiving(folder: Path, seed: int, quick: bool) -> list[Part]:
    sizes = [MEGABYTE, 4 * MEGABYTE] if quick else [each * MEGABYTE for each in (4, 8, 16, 32)]
    archive, archive_curves = [], []
    for event_bytes in (780, 8_000):
        figures, curves = archive_cost.new_text(folder, seed, sizes, event_bytes)
        archive += figures
        archive_curves += curves
    nothing, nothing_curve = archive_cost.nothing_new(folder, [50, 100] if quick else [500, 1_000, 2_000])
    restored, restored_curve = archive_cost.restoring(folder, [50, 100] if quick else [200, 400, 800])
    return [
        ("Archiving", "MB of transcript", archive, archive_curves),
        ("Archiving with nothing new", "sessions", nothing, [nothing_curve]),
        ("One new message", "", archive_cost.one_message(folder, seed), []),
        ("Restoring", "revisions", restored, [restored_curve]),
    ]


def page(sizes: str, parts: list[Part]) -> str:
    """The whole document."""
    python, sqlite = platform.python_version(), index_cost.sqlite_version()
    made = (
        f"Written by `make bench {sizes}` on {os.cpu_count()} cores ({platform.machine()}, Python {python}, SQLite "
        f"{sqlite}), medians where a figure is repeated. CPU of whole processes, their children included; MB/s are of "
        "CPU time, less what a process costs before it has anything to do. Text has the word statistics of real text "
        "(`tests/bench/woven_text.py`); sessions are copies of the recorded ones, with entries as large as real ones. "
        "The system counts the bench itself into the memory of what it starts, so small figures there are too high.\n"
    )
    text = f"# Performance\n\n{made}"
    for title, _, figures, curves in parts:
        text += f"\n## {title}\n\n{table(figures)}"
        if curves:
            text += f"\n![{title}](performance/{file_name(title)}.svg)\n\n{exponents(curves)}"
    return text + "\n" + NOTES.read_text("utf-8")


def file_name(title: str) -> str:
    """`archiving-with-nothing-new`."""
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
