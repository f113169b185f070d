"""What an idle tick of moon-sample costs, beside one `openclaw sessions --json --all-agents` in the same run.

Twenty sessions in a SQLite store, all archived, nothing due. Wanted: at most 1/20 of the CPU time of the command.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import REPO, Cost, add_session, environment, median, run, sqlite_store

SESSIONS = 20
REAL = REPO / ".cache" / "openclaw" / "node_modules" / ".bin"


def prepare(folder: Path) -> None:
    """The recorded store with more sessions, none of them near a threshold."""
    path = sqlite_store(folder)
    for agent in ("ops", "research"):
        shutil.rmtree(folder / "openclaw" / "agents" / agent)
    database = sqlite3.connect(path)
    with database:
        known = database.execute("SELECT count(*) FROM session_nodes").fetchone()[0]
        for number in range(SESSIONS - known):
            add_session(database, f"agent:main:number-{number}", f"00000000-0000-4000-8000-{number:012d}", 9000)
    database.close()


def settle(command: list[str], scratch: dict[str, str]) -> None:
    """Ticks until nothing is due: the first ones archive and index everything."""
    for _ in range(4):
        run(command, scratch)


def show(label: str, cost: Cost) -> None:
    """One line of the table."""
    print(f"  {label:44} {cost.cpu * 1000:8.1f} ms CPU {cost.wall * 1000:8.1f} ms wall {cost.peak_mib:7.1f} MiB")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=21)
    parser.add_argument("--imports", action="store_true", help="also print what an idle tick imports, dearest first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moon-bench-") as name:
        folder = Path(name)
        prepare(folder)
        scratch = environment(folder, MOON_ROLLOVER__MODE="off", MOON_PRUNE__MODE="off")
        command = [str(REPO / "bin" / "moon-sample")]
        settle(command, scratch)
        tick = median([run(command, scratch) for _ in range(options.ticks)])
        print(f"idle tick, {SESSIONS} sessions, median of {options.ticks}:")
        show("bin/moon-sample", tick)
        python = str(REPO / ".venv" / "bin" / "python")
        show(
            "the interpreter alone (python -E -s -c pass)",
            median([run([python, "-E", "-s", "-c", "pass"], scratch)] * 3),
        )
        if options.imports:
            print_imports(scratch)
        if not (REAL / "openclaw").exists():
            print("  the real OpenClaw is not installed (`make e2e` installs it), so there is no ratio")
            return 0
        real = {**scratch, "PATH": f"{REAL}{os.pathsep}{scratch['PATH']}"}
        asked = median([run([str(REAL / "openclaw"), "sessions", "--json", "--all-agents"], real) for _ in range(3)])
        show("openclaw sessions --json --all-agents", asked)
        print(f"  a tick uses 1/{asked.cpu / tick.cpu:.0f} of that CPU time (wanted: at most 1/20)")
    return 0


def print_imports(scratch: dict[str, str]) -> None:
    """The dearest imports of an idle tick, by their own time."""
    program = [str(REPO / ".venv" / "bin" / "python"), "-E", "-s", "-X", "importtime", str(REPO / "lib" / "launch.py")]
    done = subprocess.run([*program, "sample"], env=scratch, capture_output=True, text=True, check=True)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line][1:]
    for own, _, module in sorted(rows, key=lambda row: -int(row[0]))[:25]:
        print(f"    {int(own):7d} us {module.strip()}")
    print(f"    {sum(int(own) for own, _, _ in rows):7d} us for {len(rows)} modules")


if __name__ == "__main__":
    sys.exit(main())
