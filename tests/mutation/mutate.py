"""Break Moon on purpose, one small fault at a time, and list the faults that no test notices.

    make mutation                                   a sample of every target
    make mutation TARGETS=guard SAMPLE=0            every fault of one
    make mutation TARGETS=lib/moon/prune/shrinkage.py

Works on copies of the checkout, so nothing here changes. The same seed draws the same faults. First it measures which
tests enter which function; a fault then meets every test that enters its function, the quick ones first. Tests that do
not end count as noticing it. Exit code 0 also with survivors: which of them matter is for people to say
(docs/mutation.md).
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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from mutants import Mutant, functions, mutants
from reach import Reach, instrumented
from targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".cache", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")
LEAST_SECONDS = 60.0
SUITES = ("unit/test_*.py", "contract/test_*.py", "integration/test_*.py")
NOTHING_TO_RUN = 5
SURVIVED = ("survived", "unreached")
Item = TypeVar("Item")
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
    """What became of a fault.

    `outcome`: noticed, survived, endless (noticed because the tests did not end) or unreached (no test goes there).
    `tests`: how many met it, of how many that could.
    """

    target: str
    path: str
    function: str
    line: int
    before: str
    after: str
    outcome: str
    tests: tuple[int, int]
    seconds: float


class Checkout:
    """A copy of the checkout, in which tests can be run on a changed source."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.reach = folder / ".reach"
        shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        shutil.copy(Path(__file__).with_name("watch_reach.py"), folder / "lib")
        self.reach.mkdir()

    def read(self, path: str) -> str:
        """A source as it is here."""
        return (self.root / path).read_text("utf-8")

    def write(self, path: str, source: str) -> None:
        """Put a source in place."""
        file = self.root / path
        file.write_text(source, "utf-8")
        with CLOCK_LOCK:
            instant = next(CLOCK)
        os.utime(file, (instant, instant))

    def measure(self, tests: list[str]) -> None:
        """Run test files to their end, and let the plugin note what they reach."""
        self._run(tests, 3600.0)

    def passes(self, tests: list[str], limit: float) -> int | None:
        """The exit code of pytest for these tests, up to the first that fails; None when they did not end in time."""
        (self.reach / "wanted").write_text(json.dumps(tests), "utf-8")
        return self._run(["-x", *dict.fromkeys(each.split("::")[0] for each in tests)], limit)

    def _run(self, arguments: list[str], limit: float) -> int | None:
        python = self.root / ".venv" / "bin" / "python"
        plugins = ["-p", "watch_reach", "-p", "no:cacheprovider", "-p", "no:xdist"]
        child = subprocess.Popen(
            [str(python), "-m", "pytest", "-q", "--no-header", "--tb=no", *plugins, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root / "lib")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return child.wait(limit)
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
        sources = files(target, ROOT / "lib" / "moon")
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


def in_all(checkouts: list[Checkout], items: Iterable[Item], work: Callable[[Checkout, Item], None]) -> None:
    """Do the work for each item, one at a time in each copy."""
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for each in items:
        waiting.put(each)

    def one_after_another(checkout: Checkout) -> None:
        while True:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            work(checkout, item)

    threads = [threading.Thread(target=one_after_another, args=(each,)) for each in checkouts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measured(checkouts: list[Checkout], patterns: tuple[str, ...], known: Path | None) -> Reach:
    """Which tests reach which functions of all targets, from a file that knows it or from a run of all tests."""
    if known and known.exists():
        return Reach.load(known.read_text("utf-8"))
    sources = {path: checkouts[0].read(path) for _, paths in chosen([]) for path in paths}
    for checkout in checkouts:
        for path, source in sources.items():
            checkout.write(path, instrumented(source, path))
    tests = files(patterns, ROOT / "tests")
    slow = [[each] for each in tests if "/integration/" in each]
    in_all(checkouts, [*slow, [each for each in tests if [each] not in slow]], Checkout.measure)
    found = Reach()
    for checkout in checkouts:
        found.read(checkout.reach)
        for path, source in sources.items():
            checkout.write(path, source)
    if known:
        known.write_text(found.dump(), "utf-8")
    return found


def judge(checkout: Checkout, fault: Fault, reach: Reach, most: float) -> Verdict:
    """Try one fault on the tests that reach it, as many as take at most so many seconds."""
    started = time.monotonic()
    original = checkout.read(fault.path)
    around = max((each for each in functions(original) if each[0] <= fault.mutant.line <= each[1]), default=None)
    reaching = reach.of(fault.path, around[0] if around else None)
    tests = within(reaching, reach, most)
    checkout.write(fault.path, fault.mutant.source)
    try:
        code = checkout.passes(tests, max(LEAST_SECONDS, 8 * sum(reach.seconds[each] for each in tests)))
    finally:
        checkout.write(fault.path, original)
    outcome = {0: "survived", NOTHING_TO_RUN: "unreached", None: "endless"}.get(code, "noticed")
    taken = round(time.monotonic() - started, 1)
    name = around[2] if around else ""
    met = len(tests), len(reaching)
    return Verdict(fault.target, fault.path, name, fault.mutant.line, *shown(fault), outcome, met, taken)


def within(tests: list[str], reach: Reach, most: float) -> list[str]:
    """The first tests that together take no more than so many seconds."""
    until = accumulate(reach.seconds[each] for each in tests)
    return [name for name, end in zip(tests, until, strict=True) if end <= most]


def run(faults: list[Fault], checkouts: list[Checkout], reach: Reach, options: argparse.Namespace) -> list[Verdict]:
    """Try all of them that the report does not know yet, until the time is up."""
    until = time.monotonic() + options.minutes * 60
    verdicts = reported(options.report)
    known = {(each.path, each.line, each.before, each.after) for each in verdicts}
    left = [each for each in faults if (each.path, each.mutant.line, *shown(each)) not in known]

    def work(checkout: Checkout, fault: Fault) -> None:
        if time.monotonic() > until:
            return
        verdict = judge(checkout, fault, reach, options.most)
        verdicts.append(verdict)
        if verdict.outcome in SURVIVED:
            print(words(verdict), flush=True)
        if options.report:
            with options.report.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(verdict)) + "\n")

    in_all(checkouts, left, work)
    return verdicts


def reported(report: Path | None) -> list[Verdict]:
    """What an earlier run with the same report found."""
    lines = report.read_text("utf-8").splitlines() if report and report.exists() else []
    return [Verdict(**json.loads(line)) for line in lines]


def shown(fault: Fault) -> tuple[str, str]:
    """The lines of a fault before and after it."""
    return fault.mutant.before.strip(), fault.mutant.after.strip()


def words(verdict: Verdict) -> str:
    """A survivor for a person to read."""
    tests = f"{verdict.outcome}, {verdict.tests[0]} of {verdict.tests[1]} tests"
    return f"{verdict.path}:{verdict.line} {verdict.function} ({tests})\n  - {verdict.before}\n  + {verdict.after}"


def summary(verdicts: list[Verdict], drawn: int, seed: int) -> str:
    """A line for each target."""
    lines = []
    for name in TARGETS:
        own = [each for each in verdicts if each.target == name]
        if own:
            survived = sum(each.outcome in SURVIVED for each in own)
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
    parser.add_argument("--most", type=float, default=300.0, help="seconds of tests that a fault meets at most")
    parser.add_argument("--tests", nargs="*", default=SUITES, help="patterns of test files below tests/")
    parser.add_argument("--reach", type=Path, help="keep which test reaches what in this file, and use it if it exists")
    parser.add_argument("--report", type=Path, help="add every verdict to this file, and go on behind those in it")
    options = parser.parse_args()
    faults = draw(options.names, options.sample, options.seed)
    if not faults:
        parser.error("nothing to try: no such target or source")
    # In an order of no meaning, so that a run that is cut short has tried some of everything.
    random.Random(options.seed).shuffle(faults)
    with tempfile.TemporaryDirectory(prefix="moon-mutation-") as folder:
        checkouts = [Checkout(Path(folder) / f"copy{number}") for number in range(options.jobs)]
        reach = measured(checkouts, tuple(options.tests), options.reach)
        for name in sorted(reach.failed):
            print(f"mutation: left out, it fails on sources as they are: {name}", file=sys.stderr)
        verdicts = run(faults, checkouts, reach, options)
    print(summary(verdicts, len(faults), options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
