"""Kill a whole cycle before every system call that changes a file or talks to another program, one after the other.

    python tests/attack/crash.py --seed 1                      every call, on a new and on a living home
    python tests/attack/crash.py --seed 1 --points 100         so many, drawn by the seed

One tick archives three sessions, indexes them, prunes one and rolls another over. `strace` kills it at the chosen call,
before that has any effect, and then the rest of its process group goes. In three ways:

    kill    the process is gone, the disk is as it was
    lost    the power is gone too: of bytes and names, only what was synced is left
    torn    the same, and of all that was not synced some is left, the last write cut in half

Then the timer ticks again, and every promise must hold: each event archived, once, and the archive whole; one reset,
one map, one link; state and cycles valid; no line twice, no temporary file left. Exit code 0 when they all do.
Needs Linux and `strace` (Debian: `apt install strace`), no privilege.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.attack.power import Disk  # noqa: E402
from tests.fakes.gateway_server import TOKEN, GatewayServer  # noqa: E402
from tests.support.whole_cycle import Machine, program  # noqa: E402

WAYS = ("kill", "lost", "torn")
HOMES = ("new", "living")
CHANGING = (
    "write,writev,pwrite64,pwritev,sendto,sendmsg,connect,openat,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fchmod,chmod,utimensat,"
    "fsync,fdatasync,flock,execve,clone,clone3,vfork"
)
RECORDED = f"{CHANGING},lseek,close"
LINE = re.compile(r"(?P<name>\w+)\((?P<rest>.*)")


@dataclass(frozen=True)
class Point:
    """The `number`th call of a kind, counted from 1."""

    home: str
    call: str
    number: int
    what: str


def strace(machine: Machine, log: Path, *options: str) -> int:
    """A tick under strace, in a process group of its own, all of which is gone afterwards; its exit code."""
    command = ["strace", "-qq", "-y", "-o", str(log), *options, program("sample")]
    child = subprocess.Popen(
        command,
        env=machine.environment(0),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    code = child.wait(120)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return code


def points(machine: Machine, home: str, log: Path) -> Iterator[Point]:
    """Every call of one whole tick that changes something of the machine's, or talks to somebody."""
    code = strace(machine, log, "-s", "0", "-e", f"trace={CHANGING}")
    assert code == 0, f"the tick ended with {code}"
    counted: Counter[str] = Counter()
    for line in log.read_text("utf-8", "replace").splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        counted[found["name"]] += 1
        if matters(found["name"], found["rest"], str(machine.folder)):
            yield Point(home, found["name"], counted[found["name"]], found["rest"][:120])


def matters(call: str, rest: str, folder: str) -> bool:
    """Does a call change something below the folder, or talk to another program?"""
    if call in ("sendto", "sendmsg", "connect", "execve", "clone", "clone3", "vfork"):
        return True
    if call == "openat":
        return "O_CREAT" in rest and folder in rest
    return folder in rest or "<socket:" in rest


class Worker:
    """One process with a stand-in gateway of its own, that tries one point after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = GatewayServer().__enter__()

    def machine(self, home: str) -> Machine:
        """A machine as it is before the tick; always in the same folder, made once and then copied."""
        folder, prepared = self.folder / "trial", self.folder / f"prepared-{home}"
        shutil.rmtree(folder, ignore_errors=True)
        if prepared.exists():
            shutil.copytree(prepared, folder, symlinks=True)
            return Machine(folder, self.server.port, TOKEN)
        machine = Machine(folder, self.server.port, TOKEN)
        for variable in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW"):
            os.environ[variable] = machine.environment(0)[variable]
        if home == "living":
            machine.begin()
        machine.fill()
        shutil.copytree(folder, prepared, symlinks=True)
        return machine

    def attempt(self, point: Point, way: str, seed: int) -> tuple[bool, list[str]]:
        """(was it killed, the promises that do not hold)."""
        machine = self.machine(point.home)
        before = machine.held_by_store()
        disk = Disk(machine.moon.home.root) if way != "kill" else None
        recording = ["-xx", "-s", str(1 << 24)] if disk else ["-s", "0"]
        log = self.folder / "trial.log"
        code = strace(
            machine,
            log,
            *recording,
            "-e",
            f"trace={RECORDED}",
            "-e",
            f"inject={point.call}:signal=KILL:when={point.number}",
        )
        if disk is not None:
            with log.open(encoding="ascii", errors="replace") as lines:
                disk.play(lines)
            disk.lose(random.Random(f"{seed} {point}") if way == "torn" else None)
        lost = disk is not None
        found = [*machine.rest(power_lost=lost), *machine.broken_promises(before, power_lost=lost)]
        if found:
            machine.folder.rename(self.folder / f"broken-{point.home}-{way}-{point.call}-{point.number}")
        return code == -signal.SIGKILL, found


_worker: list[Worker] = []


def _begin(folder: str) -> None:
    own = Path(folder) / str(os.getpid())
    own.mkdir(parents=True)
    _worker.append(Worker(own))


def _attempt(task: tuple[Point, str, int, float]) -> tuple[Point, str, bool, list[str]] | None:
    point, way, seed, until = task
    return None if time.time() > until else (point, way, *_worker[0].attempt(point, way, seed))


def _points(home: str) -> list[Point]:
    worker = _worker[0]
    found: list[Point] = []
    for _ in range(2):  # the first one writes byte code
        found = list(points(worker.machine(home), home, worker.folder / "points.log"))
    return found


def main() -> int:
    """Find the points, try them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=0, help="how many, drawn by the seed; 0 for all")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--homes", nargs="*", default=list(HOMES), choices=HOMES)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no further death after so long")
    parser.add_argument("--keep", type=Path, help="leave the machines with broken promises in this folder")
    options = parser.parse_args()
    if not shutil.which("strace"):
        parser.exit(2, "strace is needed (Debian: apt install strace)\n")
    with contextlib.ExitStack() as stack:
        folder = str(options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="moon-crash-")))
        pool = stack.enter_context(ProcessPoolExecutor(options.jobs, initializer=_begin, initargs=(folder,)))
        every = [point for found in pool.map(_points, options.homes) for point in found]
        drawn = random.Random(options.seed).sample(every, options.points) if options.points else every
        until = time.time() + options.minutes * 60
        tasks = [(point, way, options.seed, until) for point in drawn for way in options.ways]
        print(f"{len(every)} calls in {len(options.homes)} ticks; {len(tasks)} deaths, seed {options.seed}", flush=True)
        return tell(each for each in pool.map(_attempt, tasks) if each is not None)


def tell(results: Iterator[tuple[Point, str, bool, list[str]]]) -> int:
    """Print what is broken as it comes, and the figures at the end."""
    died: Counter[tuple[str, str]] = Counter()
    lost: Counter[str] = Counter()
    broken = 0
    for number, (point, way, killed, found) in enumerate(results, 1):
        if number % 25 == 0:
            print(f"  {number} deaths, {broken} with a broken promise", file=sys.stderr, flush=True)
        died[point.home, way] += killed
        broken += bool(found)
        if found:
            print(
                f"{point.home} {way} {point.call} {point.number} ({point.what})", *found[:6], sep="\n    ", flush=True
            )
        lost.update(each.split(":")[0] for each in found)
    for (home, way), count in sorted(died.items()):
        print(f"{home} home, {way}: died {count} times")
    for what in ("lost", "not archived", "doubled", "left over"):
        print(f"{what}: {lost[what]}")
    print(f"deaths with a broken promise: {broken}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
