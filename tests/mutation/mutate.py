"""Break Moon on purpose, one small fault at a time, and list the faults that no test notices.

    make mutation                                   a sample of every target
    make mutation TARGETS=guard SAMPLE=0            every fault of one
    make mutation TARGETS=lib/moon/prune/shrinkage.py

Works on copies of the checkout, so nothing here changes. The same seed draws the same faults. A fault is tried against
the quick tests of its target first and, if they let it pass, against the slow ones; tests that do not end count as
noticing it. Exit code 0 also with survivors: which of them matter is for people to say (docs/mutation.md).
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mutants import Mutant, functions, mutants
from targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
LEAST_SECONDS = 60.0
# Bytecode is trusted by the source's second and size, so each text that is written gets a second of its own.
CLOCK = iter(range(1_600_000_000, 2_000_000_000))
CLOCK_LOCK = threading.Lock()


@dataclass(frozen=True)
class Fault:
    """A mutant and where it belongs."""

    target: str
    path: str
    mutant: Mutant


@dataclass(frozen=True)
class Verdict:
    """What became of a fault. `outcome`: noticed, survived or endless (noticed because the tests did not end)."""

    target: str
    path: str
    function: str
    line: int
    before: str
    after: str
    outcome: str
    seconds: float


class Checkout:
    """A copy of the checkout, in which tests can be run on a changed source."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())

    def write(self, path: str, source: str) -> None:
        """Put a source in place."""
        file = self.root / path
        file.write_text(source, "utf-8")
        with CLOCK_LOCK:
            instant = next(CLOCK)
        os.utime(file, (instant, instant))

    def passes(self, tests: list[str], limit: float) -> bool | None:
        """Do these tests pass? None when they did not end in time."""
        python = self.root / ".venv" / "bin" / "python"
        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no"]
        child = subprocess.Popen(
            [str(python), "-m", "pytest", *options, *tests],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return child.wait(limit) == 0
        except subprocess.TimeoutExpired:
            return None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def files(patterns: tuple[str, ...], folder: Path) -> list[str]:
    """The files below a folder of the checkout that fit, as paths below the checkout."""
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.name != "__init__.py"]
    return [path.relative_to(ROOT).as_posix() for path in found]


def chosen(names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(target, sources) that were asked for by the name of a target or the path of a source."""
    for name, target in TARGETS.items():
        sources = files(target.sources, ROOT / "lib" / "moon")
        wanted = sources if not names or name in names else [each for each in sources if each in names]
        if wanted:
            yield name, wanted


def draw(names: list[str], sample: int, seed: int) -> list[Fault]:
    """So many faults of each target (0: all), the same ones for the same seed."""
    drawn = []
    for name, sources in chosen(names):
        every = [Fault(name, path, each) for path in sources for each in mutants((ROOT / path).read_text("utf-8"))]
        dice = random.Random(f"{seed} {name}")
        drawn += dice.sample(every, sample) if 0 < sample < len(every) else every
    return drawn


class Stages:
    """The tests of each target, and how long they take on sources as they are."""

    def __init__(self, checkout: Checkout, names: set[str]) -> None:
        self.of: dict[str, list[tuple[list[str], float]]] = {}
        for name in sorted(names):
            self.of[name] = [self._measured(checkout, name, tests) for tests in self._stages(TARGETS[name])]

    @staticmethod
    def _stages(target: Target) -> list[list[str]]:
        stages = (files(target.quick, ROOT / "tests"), files(target.slow, ROOT / "tests"))
        return [each for each in stages if each]

    @staticmethod
    def _measured(checkout: Checkout, name: str, tests: list[str]) -> tuple[list[str], float]:
        started = time.monotonic()
        if not checkout.passes(tests, 3600.0):
            sys.exit(f"mutation: the tests of {name} fail on the sources as they are: {' '.join(tests)}")
        taken = time.monotonic() - started
        print(f"{name}: {len(tests)} test files pass in {taken:.0f} s", file=sys.stderr)
        return tests, max(LEAST_SECONDS, taken * 6)


def judge(checkout: Checkout, fault: Fault, stages: Stages) -> Verdict:
    """Try one fault."""
    started = time.monotonic()
    original = (ROOT / fault.path).read_text("utf-8")
    checkout.write(fault.path, fault.mutant.source)
    outcome = "survived"
    try:
        for tests, limit in stages.of[fault.target]:
            passed = checkout.passes(tests, limit)
            if not passed:
                outcome = "endless" if passed is None else "noticed"
                break
    finally:
        checkout.write(fault.path, original)
    around = [each for each in functions(original) if each[0] <= fault.mutant.line <= each[1]]
    name = max(around)[2] if around else ""
    taken = round(time.monotonic() - started, 1)
    shown = fault.mutant.before.strip(), fault.mutant.after.strip()
    return Verdict(fault.target, fault.path, name, fault.mutant.line, *shown, outcome, taken)


def run(faults: list[Fault], checkouts: list[Checkout], stages: Stages, until: float) -> list[Verdict]:
    """Try all of them, one at a time in each copy, until the time is up."""
    waiting: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    for each in faults:
        waiting.put(each)
    verdicts: list[Verdict] = []

    def work(checkout: Checkout) -> None:
        while time.monotonic() < until:
            try:
                fault = waiting.get_nowait()
            except queue.Empty:
                return
            verdict = judge(checkout, fault, stages)
            verdicts.append(verdict)
            if verdict.outcome == "survived":
                print(words(verdict), flush=True)

    threads = [threading.Thread(target=work, args=(each,)) for each in checkouts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return verdicts


def words(verdict: Verdict) -> str:
    """A survivor for a person to read."""
    return f"{verdict.path}:{verdict.line} {verdict.function}\n  - {verdict.before}\n  + {verdict.after}"


def summary(verdicts: list[Verdict], drawn: int, seed: int) -> str:
    """A line for each target."""
    lines = []
    for name in TARGETS:
        own = [each for each in verdicts if each.target == name]
        if own:
            survived = sum(each.outcome == "survived" for each in own)
            lines.append(f"{name}: {len(own)} faults tried, {survived} survived")
    return "\n".join([*lines, f"{len(verdicts)} of {drawn} drawn faults tried, seed {seed}"])


def main() -> int:
    """Draw, try, tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"targets ({', '.join(TARGETS)}) or paths of sources")
    parser.add_argument("--sample", type=int, default=40, help="faults of each target; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no further fault after so long")
    parser.add_argument("--report", type=Path, help="write every verdict here, a JSON object a line")
    options = parser.parse_args()
    until = time.monotonic() + options.minutes * 60
    faults = draw(options.names, options.sample, options.seed)
    if not faults:
        parser.error("nothing to try: no such target or source")
    # In an order of no meaning, so that a run that is cut short has tried some of everything.
    random.Random(options.seed).shuffle(faults)
    with tempfile.TemporaryDirectory(prefix="moon-mutation-") as folder:
        checkouts = [Checkout(Path(folder) / f"copy{number}") for number in range(options.jobs)]
        stages = Stages(checkouts[0], {each.target for each in faults})
        verdicts = run(faults, checkouts, stages, until)
    if options.report:
        options.report.write_text("".join(json.dumps(asdict(each)) + "\n" for each in verdicts))
    print(summary(verdicts, len(faults), options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
