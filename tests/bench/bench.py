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
from pathlib import Path

import archive_cost
import search_cost
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
    options = parser.parse_args()
    print(f"make bench SEED={options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="moon-bench-", dir=options.folder) as name:
        parts = measure(Path(name), options.seed, options.quick)
    text = page(options.seed, parts)
    print(text)
    if not options.quick:
        PLOTS.mkdir(exist_ok=True)
        for title, x_name, _, curves in parts:
            if curves:
                (PLOTS / f"{file_name(title)}.svg").write_text(plot(title, x_name, curves), "utf-8")
        PAGE.write_text(text, "utf-8")
    return 0


Part = tuple[str, str, list[Figure], list[Curve]]


def measure(folder: Path, seed: int, quick: bool) -> list[Part]:
    """Every part: its title, what its curves are over, figures, curves."""
    sessions = [20, 200] if quick else [1, 20, 1_000, 10_000]
    ticks, tick_curves = tick_cost.measure(folder, sessions, 5 if quick else 15)
    parts: list[Part] = [("Idle tick", "sessions", ticks, tick_curves)]
    sizes = [MEGABYTE, 4 * MEGABYTE] if quick else [each * MEGABYTE for each in (4, 8, 16, 32)]
    archive, archive_curves = [], []
    for event_bytes in (780, 8_000):
        figures, curves = archive_cost.new_text(folder, seed, sizes, event_bytes)
        archive += figures
        archive_curves += curves
    parts.append(("Archiving", "MB of transcript", archive, archive_curves))
    figures, curve = archive_cost.nothing_new(folder, [50, 100] if quick else [500, 1_000, 2_000])
    parts.append(("Archiving with nothing new", "sessions", figures, [curve]))
    parts.append(("One new message", "", archive_cost.one_message(folder, seed), []))
    figures, curve = archive_cost.restoring(folder, [50, 100] if quick else [200, 400, 800])
    parts.append(("Restoring", "revisions", figures, [curve]))
    search = search_cost.measure(folder, seed, (2 if quick else 8) * MEGABYTE, 3 if quick else 7)
    parts.append(("Index and recall", "", search, []))
    return parts


def page(seed: int, parts: list[Part]) -> str:
    """The whole document."""
    python, sqlite = platform.python_version(), search_cost.sqlite_version()
    made = (
        f"Written by `make bench SEED={seed}` on {os.cpu_count()} cores ({platform.machine()}, Python {python}, SQLite "
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
