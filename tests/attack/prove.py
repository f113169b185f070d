"""Every attack in its short form, and one table of what was tried and what broke: `make prove`.

Each line names the command that repeats it, or makes it longer. docs/reliability.md has the figures of long runs.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = ROOT / "tests" / "attack"


class Row(NamedTuple):
    """One line of the table."""

    what: str
    figure: str
    broken: str
    command: str


def run(name: str, *arguments: str) -> tuple[int, str]:
    """One attack: (exit code, what it printed)."""
    print(f"-- {name} {' '.join(arguments)}", file=sys.stderr, flush=True)
    argv = [sys.executable, str(ATTACKS / name), *arguments]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, file=sys.stderr, flush=True)
    return done.returncode, done.stdout


def total(pattern: str, text: str) -> int:
    """The sum of the numbers that a pattern finds."""
    return sum(int(each) for each in re.findall(pattern, text))


def kill_points(seed: int, folder: Path) -> list[Row]:
    """Deaths of a whole cycle at a system call."""
    command = "make attack-crash SEED=… POINTS=0"
    if not shutil.which("strace"):
        return [Row("kill points tried", "not run: strace is missing", "", command)]
    _, text = run("crash.py", "--seed", str(seed), "--points", "4")
    broken = total(r"deaths with a broken promise: (\d+)", text)
    return [Row("kill points tried", str(total(r"died (\d+) times", text)), str(broken), command)]


def races(seed: int, folder: Path) -> list[Row]:
    """OpenClaw between two stations, everybody at once, recall beside a rebuild."""
    _, text = run("races.py", "--seed", str(seed), "--seconds", "5", "--stations", "prune", "rollover")
    figure = total(r"between stations: (\d+)", text) + total(r"(?:at once|rebuild): (\d+)", text)
    broken = total(r"races, seed \d+: (\d+) broken", text)
    return [Row("races run", str(figure), str(broken), "make attack-races SEED=… SECONDS=30 (REAL=1)")]


def soak(seed: int, folder: Path) -> list[Row]:
    """Ticks of a day with faults."""
    command = f"make soak TICKS=2880 SEED={seed}"
    code, text = run("soak.py", "--ticks", "120", "--seed", str(seed), "--report", str(folder))
    report = json.loads((folder / "soak.json").read_text())
    figures, faults = report["figures"], sum(report["faults"].values())
    interrupted, secrets = text.count("a run was interrupted"), text.count("BROKEN a secret in")
    return [
        Row("soak ticks", str(len(report["costs"])), str(total(r"promises broken: (\d+)", text)), command),
        Row("faults injected", f"{faults}, of {len(report['faults'])} kinds", "", command),
        Row("events written / archived", f"{figures['events written']} / {figures['events archived']}", "", command),
        Row("events lost / doubled", f"{figures['events lost']} / {figures['events doubled']}", str(code), command),
        Row("maps lost / doubled", f"{figures['maps lost']} / {figures['maps doubled']}", "", command),
        Row("runs interrupted", str(interrupted), str(interrupted), command),
        Row("secrets out", f"{secrets} of {figures['secrets said']} said", str(secrets), command),
    ]


def fuzzing(seed: int, folder: Path) -> list[Row]:
    """A few seconds of each target."""
    command = "make fuzz MINUTES=20"
    if find_spec("atheris") is None:
        return [Row("fuzz executions", "not run: atheris is not installed", "", command)]
    _, text = run("fuzz.py", "--seed", str(seed), "--minutes", "0.15", "--findings", str(folder / "findings"))
    findings = total(r"(\d+) findings", text)
    return [Row("fuzz executions", str(total(r"(\d+) executions", text)), str(findings), command)]


def tests(seed: int, folder: Path) -> list[Row]:
    """What has a test of its own: each row of the failure policy, intruders, the state machine."""
    paths = [f"tests/{each}" for each in (
        "contract/test_failure_policy.py", "integration/test_failure_rows.py", "integration/test_faults.py",
        "integration/test_intruders.py", "integration/test_whole_life.py", "integration/test_live_copy.py",
    )]  # fmt: skip
    command = f"pytest {' '.join(paths)}"
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n0", "-o", "addopts=", *paths]
    done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    passed = total(r"(\d+) passed", last)
    return [
        Row("tests of rows, faults, intruders, a whole life", str(passed), str(total(r"(\d+) failed", last)), command)
    ]


STEPS: tuple[Callable[[int, Path], list[Row]], ...] = (kill_points, races, tests, soak, fuzzing)


def main() -> int:
    """Run everything, print the table; 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="moon-prove-") as name:
        for step in STEPS:
            rows += step(options.seed, Path(name))
    print(f"\nseed {options.seed}\n\n| what | figure | broken | repeated by |\n|---|---|---|---|")
    print(*(f"| {row.what} | {row.figure} | {row.broken} | `{row.command}` |" for row in rows), sep="\n")
    return int(any(row.broken not in ("", "0") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
