"""A day of ticks against stores that live, with faults out of a hat, and everything counted at the end.

    python tests/attack/soak.py --ticks 2880 --seed 1              a day of ticks, half a minute each, on Moon's clock
    python tests/attack/soak.py --ticks 2880 --report FOLDER       with soak.svg and soak.json

Sessions are born, talk, rest, jump, are compacted, reset, deleted, put away, frozen (`tests/support/living_store.py`).
One tick in four meets a fault: a gateway that is down, hangs, lies or talks nonsense, a model that fails, a locked
store, a held lock, a run in progress, a clock that jumps, kill -9, a full disk, an I/O error, no descriptors left. Each
tick is a process of its own, started as the timer starts it. The seed draws the day and its faults.

At the end: each event is archived, once, and nothing else is; each map is delivered and linked once; no run was
interrupted; no process, lock, descriptor or temporary file is left; what a tick costs is what it cost at the beginning;
the disk holds what was archived and no other archive. Exit code 0 when all of that holds.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.attack.soak_plot import draw  # noqa: E402
from tests.attack.spawner import Spawner, Took  # noqa: E402
from tests.fakes.gateway_server import TOKEN, GatewayServer  # noqa: E402
from tests.loopback_providers import Providers, providers  # noqa: E402
from tests.support.living_store import Live, LivingStore  # noqa: E402
from tests.support.moon import Moon  # noqa: E402
from tests.support.stores import NOW_MS  # noqa: E402
from tests.support.whole_cycle import TEMPORARY, program  # noqa: E402

from moon.clock import format_ms  # noqa: E402
from moon.vault import segments  # noqa: E402
from moon.vault.ledger import Ledger  # noqa: E402
from moon.vault.verify import verify  # noqa: E402

STEP_MS = 30_000
REST_TICKS, REST_MS = 14, 600_000
FAULTY = 0.25
MOST_LIVE = 8
QUIET_TICKS = 40
SETTINGS = {
    "MOON_ARCHIVE__IDLE_SECONDS": "300",
    "MOON_OPENCLAW__TIMEOUT_SECONDS": "0.5",
    "MOON_OPENCLAW__ACTION_TIMEOUT_SECONDS": "0.5",
    "MOON_DISTILL__PROVIDERS": "openai,local",
    "MOON_DISTILL__OPENAI__MODELS": "m",
    "MOON_DISTILL__TIMEOUT_SECONDS": "1",
    "MOON_DISTILL__RETRIES": "0",
    "MOON_RETENTION__CYCLES_DAYS": "1",
    "OPENAI_API_KEY": "k" * 20,
}
GATEWAY: dict[str, dict[str, Any]] = {
    "gateway down": {"down": True},
    "gateway starts": {"greeting": "starting"},
    "gateway of another version": {"greeting": "protocol"},
    "gateway refuses the secret": {"greeting": "secret"},
    "gateway talks noise": {"greeting": "noise"},
    "gateway hangs": {"reset": "hang", "compact": "hang", "agent": "hang"},
    "gateway hangs afterwards": {"reset": "hang_after", "compact": "hang_after", "agent": "hang_after"},
    "gateway lies": {"reset": "lie", "compact": "lie", "agent": "lie"},
    "no JSON": {"list": "garbage"},
    "half an answer": {"reset": "garbage", "compact": "silent", "agent": "silent"},
    "exit 0 with an error": {"reset": "error0", "compact": "error0", "agent": "error0"},
    "connection cut before": {"reset": "cut_before", "compact": "cut_before", "agent": "cut_before"},
    "connection cut behind": {"reset": "cut_after", "compact": "cut_after", "agent": "cut_after"},
    "a message slips in": {"reset": "late", "compact": "late"},
    "a message is swallowed": {"reset": "taken"},
    "a message behind the reset": {"reset": "behind"},
    "a message meets the map": {"agent": "collide"},
}
MODEL = ("500", "429", "404", "cut", "truncated", "wrong", "not-json", "empty", "safety")
DYING = {"kill -9": "", "disk full": "ENOSPC", "I/O error": "EIO", "no descriptors": "EMFILE"}
CLOCK_MS = {"clock a day ahead": 86_400_000, "clock an hour back": -3_600_000}
OTHER = ("run in progress", "store locked", "lock held")
FAULTS = (*GATEWAY, *(f"model: {each}" for each in MODEL), *DYING, *DYING, *CLOCK_MS, *OTHER, "kill -9")


class Cost(NamedTuple):
    """What a tick was. `worked`: something was archived or otherwise done."""

    number: int
    fault: str
    code: int
    cpu_ms: float
    memory_mib: float
    worked: bool
    live: int
    archived: int
    disk: int


@dataclass
class Seen:
    """What was noticed on the way."""

    faults: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    handed_on: int = 0


class Archived:
    """Every archived event so far, read on from where the ledger was."""

    def __init__(self, moon: Moon) -> None:
        self.home = moon.home
        self.events: Counter[bytes] = Counter()
        self.bytes = 0
        self._offset = 0

    def follow(self) -> bool:
        """Read what is new; was there anything?"""
        before = self._offset
        for line in Ledger(self.home.ledger).read(self._offset):
            self._offset = line.end
            if line.record is None or line.record["kind"] != "archive":
                continue
            path = self.home.root / line.record["archive_path"]
            if path.exists():  # else joined with others already: these are read at the end
                self.events.update(segments.lines(path))
            self.bytes += line.record["bytes"]
        return self._offset > before


class Soak:
    """One Moon, one pair of stores, one gateway, one model."""

    def __init__(self, folder: Path, seed: int, server: GatewayServer, model: Providers, spawner: Spawner) -> None:
        self.spawner = spawner
        self.dice = random.Random(seed)
        self.moon = Moon(
            folder,
            {
                **SETTINGS,
                "FAKE_OPENCLAW": str(folder / "fake.json"),
                "OPENAI_BASE_URL": f"{model.url}/v1",
                "SOAK": str(folder),
            },
        )
        self.model = model
        self.now = NOW_MS
        self.store = LivingStore(self.moon.state_dir, random.Random(f"{seed} store"), self.now)
        self.archived = Archived(self.moon)
        self.seen = Seen()
        auth = {"mode": "token", "token": TOKEN}
        document = {"gateway": {"mode": "local", "port": server.port, "auth": auth}}
        (self.moon.state_dir / "openclaw.json").write_text(json.dumps(document))
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -s "{ROOT}/tests/support/dying_python.py" "$@"\n')
        python.chmod(0o700)

    # --- the day

    def run(self, ticks: int) -> None:
        """The day, its evening without faults or news, and the count."""
        for number in range(ticks):
            self.live(number)
            fault = self.dice.choice(FAULTS) if self.dice.random() < FAULTY else ""
            self.tick(number, fault)
            if number % QUIET_TICKS == QUIET_TICKS - 1:
                self.store.forget(self.archived.events)
        self.rest(ticks)

    def rest(self, number: int) -> None:
        """Nothing happens any more, until nothing is left to do."""
        for left in reversed(range(REST_TICKS)):
            self.now += REST_MS - STEP_MS
            self.tick(number + REST_TICKS - left, "", evening=left < REST_TICKS // 3)

    def live(self, number: int) -> None:
        """What happens in the stores until the next tick."""
        store = self.store
        store.now = self.now
        if len(store.live) < 3 or (len(store.live) < MOST_LIVE and self.dice.random() < 0.06):
            store.born().until = number + self.dice.randint(4, 20)
        for session in list(store.live.values()):
            if number >= session.until:
                session.talks = not session.talks
                session.until = number + (self.dice.randint(3, 20) if session.talks else self.dice.randint(6, 30))
            if session.talks:
                self._talk(session)
            elif self.dice.random() < 0.02:
                self._end(session)

    def _talk(self, session: Live) -> None:
        chance = self.dice.random()
        if chance < 0.02:
            self.store.jump(session, self.dice.uniform(0.8, 0.96))
        elif chance < 0.03:
            self.store.compact(session)
        elif chance < 0.04:
            self.store.shorten(session, self.archived.events)
        elif chance < 0.5:
            self.store.say(session, self.dice.randint(1, 2), self.dice.randint(400, 2_500))

    def _end(self, session: Live) -> None:
        ways: list[Callable[[Live], None]] = [
            self.store.delete, self.store.delete, self.store.put_away, self.store.go_cold, self.store.reset,
            self.store.other_id,
        ]  # fmt: skip
        self.dice.choice(ways)(session)

    # --- one tick

    def tick(self, number: int, fault: str, *, dies_at: int | None = None, evening: bool = False) -> None:
        """One tick under a fault, and what it left behind. `dies_at`: at which step of it (else drawn)."""
        self.now += STEP_MS
        self.seen.faults.update([fault] if fault else [])
        active = [session.key for session in self.store.live.values()] if fault == "run in progress" else []
        resets = self._resets(active)
        with ExitStack() as stack:
            environment = self._prepare(fault, active, dies_at, stack)
            code, cpu, memory, errors = self._start(environment)
        # Whoever is at it in the gateway still belongs to this tick.
        self.store.observe_all()
        worked = self.archived.follow()
        disk = sum(path.stat().st_size for path in self.moon.home.raw.rglob("*") if path.is_file()) if worked else 0
        disk = disk or (self.seen.costs[-1].disk if self.seen.costs else 0)
        self.seen.costs.append(
            Cost(number, fault, code, cpu, memory, worked, len(self.store.live), self.archived.bytes, disk)
        )
        self._judge(f"tick {number} ({fault or 'no fault'})", fault, code, errors, evening)
        if self._resets(active) != resets:
            self.seen.broken.append(f"tick {number}: a run was interrupted by a reset")

    def _prepare(self, fault: str, active: list[str], dies_at: int | None, stack: ExitStack) -> dict[str, str]:
        """Set the stage; the tick's environment."""
        plan = {**GATEWAY.get(fault, {}), "active": active}
        Path(self.moon.extra["FAKE_OPENCLAW"]).write_text(json.dumps(plan))
        self.model.moods = [fault.removeprefix("model: ") if fault.startswith("model: ") else "ok"]
        environment = {**self.moon.env, "MOON_NOW": format_ms(self.now + CLOCK_MS.get(fault, 0))}
        os.environ.update({name: environment[name] for name in ("MOON_NOW", "OPENCLAW_STATE_DIR", "FAKE_OPENCLAW")})
        if fault in DYING:
            environment.update(
                MOON_PYTHON=str(self.moon.folder / "python"),
                DIES_AT=str(int(self.dice.expovariate(1 / 120)) if dies_at is None else dies_at),
                DIES_OF=DYING[fault],
                DIES_NOTE=str(self.moon.folder / "left"),
            )
        if fault == "store locked":
            stack.enter_context(locked(self.store.stores["main"].main_file))
        if fault == "lock held" and self.moon.home.state.exists():
            stack.enter_context(held(self.moon.home.state / "cycle.lock"))
        return environment

    def _start(self, environment: dict[str, str]) -> Took:
        """The tick as a process, as the timer starts it."""
        took = self.spawner.run([program("sample")], environment)
        if took.code == -signal.SIGKILL:
            end_all(self.moon.folder)
        return took

    def _judge(self, where: str, fault: str, code: int, errors: str, evening: bool) -> None:
        broken = self.seen.broken
        if "Traceback" in errors or "unexpected" in errors:
            broken.append(f"{where}: {errors[-600:]}")
        allowed = {0} if evening else {0, 1, 3, *((-signal.SIGKILL,) if fault == "kill -9" else ())}
        if code not in {*allowed, *((75,) if fault == "lock held" else ())}:
            broken.append(f"{where} ended with {code}: {errors[-600:]}")
        left = processes(self.moon.folder)
        if left:
            broken.append(f"{where} left processes: {left}")
            end_all(self.moon.folder)
        note = self.moon.folder / "left"
        if note.exists():
            self.seen.handed_on = max(self.seen.handed_on, int(note.read_text().split()[1]))
            note.unlink()

    def _resets(self, keys: list[str]) -> int:
        live = self.store.live
        lines = (line for key in keys for line in self.store.stored(live[key].agent, live[key].session_id))
        return sum(b'"type":"reset"' in line for line in lines)

    # --- the count

    def count(self) -> Iterator[str]:
        """What does not hold at the end."""
        yield from self.seen.broken
        yield from self._events()
        yield from self._maps()
        yield from self._leftovers()
        yield from self._costs()

    def _events(self) -> Iterator[str]:
        held: Counter[tuple[str, str, bytes]] = Counter()
        for record in Ledger(self.moon.home.ledger).archives():
            for line in segments.lines(self.moon.home.root / record["archive_path"]):
                held[record["agent"], record["session_id"], line] += 1
        said = {(*session, line) for session, lines in self.store.said.items() for line in lines}
        self.figures = {
            "events written": len(said),
            "events archived": len(held),
            "events lost": len(said - set(held)),
            "events doubled": sum(count > 1 for count in held.values()),
            "events that nobody wrote": len(set(held) - said),
        }
        for what in ("lost", "doubled", "that nobody wrote"):
            if self.figures[f"events {what}"]:
                yield f"events {what}: {self.figures[f'events {what}']}"
        found = verify(self.moon.home)
        yield from (f"verify: {each.message}" for each in found.errors)

    def _maps(self) -> Iterator[str]:
        arrived = Counter(
            key
            for lines in self.store.said.values()
            for line in lines
            if (key := str((json.loads(line).get("message") or {}).get("idempotencyKey", ""))).startswith("moon-")
            and key.endswith(":user")
            and "again" not in key
        )
        links = Counter(each["rollover_id"] for each in Ledger(self.moon.home.ledger).links())
        lost = [each for each in links if f"moon-{each}:user" not in arrived]
        doubled = [each for each, count in arrived.items() if count > 1]
        self.figures.update({"rollovers": len(links), "maps lost": len(lost), "maps doubled": len(doubled)})
        self.figures["links doubled"] = sum(count > 1 for count in links.values())
        if lost or doubled or self.figures["links doubled"]:
            yield f"maps lost {lost}, doubled {doubled}, links {links.most_common(3)}"
        live = set(self.store.live)
        for path in self.moon.home.rollovers.glob("*.json"):
            journal = json.loads(path.read_text())
            if journal["session_key"] in live:
                yield f"a rollover is not complete: {journal['session_key']}"

    def _leftovers(self) -> Iterator[str]:
        home = self.moon.home
        for path in home.root.rglob("*"):
            if path.is_file() and path.name.endswith(TEMPORARY):
                yield f"left over: {home.relative(path)}"
        named = {record["archive_path"] for record in Ledger(home.ledger).archives()}
        files = {home.relative(path): path.stat().st_size for path in home.raw.rglob("*") if path.is_file()}
        if set(files) != named:
            yield f"files that the ledger does not name: {sorted(set(files) ^ named)[:5]}"
        for document in self.moon.cycles():
            if document["finished_at"] is None:
                yield f"cycle {document['cycle_id']} is not finished"
        with held(home.state / "cycle.lock"):
            pass
        if self.seen.handed_on > 1:
            yield f"an exec handed on {self.seen.handed_on} descriptors; the lock is one"
        yield from (f"a secret in {where}" for where in self._secrets())
        self.figures["bytes archived"] = sum(record["bytes"] for record in Ledger(home.ledger).archives())
        self.figures["bytes of archives on disk"] = sum(files.values())
        self.figures["bytes of MOON_HOME"] = sum(p.stat().st_size for p in home.root.rglob("*") if p.is_file())

    def _secrets(self) -> Iterator[str]:
        home = self.moon.home
        secrets = [each.encode() for each in self.store.secrets]
        for path in home.root.rglob("*"):
            if path.is_file() and home.raw not in path.parents:
                data = path.read_bytes()
                if any(each in data for each in secrets):
                    yield home.relative(path)
        self.figures["secrets said"] = len(secrets)

    def _costs(self) -> Iterator[str]:
        """A quiet tick at the end costs what it did at the beginning, and none takes more memory."""
        usual = [each for each in self.seen.costs if not each.fault]
        idle = [each for each in usual if not each.worked]
        quarter = max(1, len(idle) // 4)
        first, last = idle[:quarter], idle[-quarter:]
        for name, of in (("cpu_ms", lambda each: each.cpu_ms), ("memory_mib", lambda each: each.memory_mib)):
            early, late = (statistics.median(map(of, part)) for part in (first, last))
            self.figures[f"{name} of a quiet tick, first and last quarter"] = f"{early:.1f} {late:.1f}"
            if len(idle) > 100 and late > early * 1.5:
                yield f"a quiet tick: {name} grew from {early:.1f} to {late:.1f}"
        working = [each.memory_mib for each in usual if each.worked]
        half = len(working) // 2
        if half:
            early, late = max(working[:half]), max(working[half:])
            self.figures["most MiB of a working tick, first and last half"] = f"{early:.1f} {late:.1f}"
            if late > early * 1.3:
                yield f"a working tick took {late:.1f} MiB, in the first half at most {early:.1f}"


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody writes to a store and does not come to an end."""
    with closing(sqlite3.connect(database, timeout=10)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM transcript_events")
        try:
            yield
        finally:
            connection.rollback()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has Moon's lock; fails where somebody has it already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def processes(folder: Path) -> list[str]:
    """The processes that a tick has left behind, by the folder in their environment (Linux)."""
    mark = f"SOAK={folder}\0".encode()
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (each / "environ").read_bytes():
                found.append(each.name + " " + (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
        except OSError:
            continue
    return found


def end_all(folder: Path) -> None:
    """End what a killed tick has left running, as the service manager does with a unit's processes."""
    deadline = time.monotonic() + 10
    while (left := processes(folder)) and time.monotonic() < deadline:
        for each in left:
            try:
                os.kill(int(each.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                continue


def main() -> int:
    """Soak, print the figures, draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=2880)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="a folder for soak.svg and soak.json")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="moon-soak-") as folder,
        GatewayServer() as server,
        providers(["ok"]) as model,
        Spawner(Path(folder)) as spawner,
    ):
        soak = Soak(Path(folder), options.seed, server, model, spawner)
        soak.run(options.ticks)
        broken = list(soak.count())
    print(f"soak: {options.ticks} ticks, seed {options.seed}")
    happened = ", ".join(f"{count} {what}" for what, count in soak.store.happened.items())
    print(f"the day: {happened}")
    print(f"faults injected: {soak.seen.faults.total()} of {len(soak.seen.faults)} kinds")
    for name, value in soak.figures.items():
        print(f"{name}: {value}")
    print(*(f"BROKEN {each}" for each in broken[:20]), f"promises broken: {len(broken)}", sep="\n")
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
        draw(soak.seen.costs, options.report / "soak.svg", f"{options.ticks} ticks, seed {options.seed}")
        document = {
            "figures": soak.figures,
            "faults": soak.seen.faults,
            "costs": [c._asdict() for c in soak.seen.costs],
        }
        (options.report / "soak.json").write_text(json.dumps(document, indent=1))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
