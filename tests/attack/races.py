"""Let everything happen at once, and count what is left.

    python tests/attack/races.py --seed 1                 between stations, everybody at once, recall beside a rebuild
    python tests/attack/races.py --seed 1 --seconds 60    so long for each of the last two
    python tests/attack/races.py --real --seconds 300     and the real OpenClaw, written to at full speed meanwhile

- **between stations**: a cycle is held before each of its stations, and OpenClaw writes to, compacts, resets, deletes,
  puts away, freezes or shortens the very sessions that it is at.
- **at once**: two timers, a hand run, `moon-watch` and `moon-recall` on one home, while sessions are written to without
  a pause, and somebody reads the store in one long transaction.
- **recall**: answers are asked for without a pause while the index is rebuilt, and all must be right.

At the end every promise of `make soak` is counted. Exit code 0 when all of them hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.attack.soak import Soak  # noqa: E402
from tests.attack.spawner import Spawner  # noqa: E402
from tests.fakes.gateway_server import GatewayServer  # noqa: E402
from tests.loopback_providers import providers  # noqa: E402
from tests.support import events  # noqa: E402
from tests.support.living_store import Live  # noqa: E402
from tests.support.moon import PATIENCE  # noqa: E402
from tests.support.stores import SqliteStoreBuilder  # noqa: E402
from tests.support.whole_cycle import program  # noqa: E402

STATIONS = ("archive", "index", "prune", "distill", "rollover")
OPERATIONS = ("say", "compact", "shorten", "reset", "other_id", "put_away", "delete", "go_cold")
STEP_MS = 200_000


class Held(Soak):
    """A soak whose next cycle stops before one of its stations until something has happened."""

    station = ""
    happens: Callable[[], None] = staticmethod(lambda: None)

    def _prepare(self, fault: str, active: list[str], dies_at: int | None, stack: ExitStack) -> dict[str, str]:
        environment = super()._prepare(fault, active, dies_at, stack)
        if self.station:
            stack.enter_context(self._holding())
            environment.update(MOON_PYTHON=str(self.moon.folder / "waiting"), WAITS_BEFORE=self.station)
        return environment

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """An interpreter that says when it gets to the station, and waits there; and somebody who then does it."""
        waiting = self.moon.folder / "waiting"
        reached, go, over = (waiting.with_suffix(each) for each in (".reached", ".go", ".over"))
        for each in (reached, go, over):
            each.unlink(missing_ok=True)
        waiting.write_text(
            f'#!/bin/sh\nfor each in "$@"; do if [ "$each" = "$WAITS_BEFORE" ]; then\n: >"{reached}"\n'
            f'while [ ! -e "{go}" ]; do sleep 0.02; done\nfi; done\nexec "{sys.executable}" "$@"\n'
        )
        waiting.chmod(0o700)
        actor = threading.Thread(target=self._act, args=(reached, go, over))
        actor.start()
        try:
            yield
        finally:
            over.touch()
            actor.join()

    def _act(self, reached: Path, go: Path, over: Path) -> None:
        while not (reached.exists() or over.exists()):
            time.sleep(0.01)
        try:
            if reached.exists():
                self.happens()
        except Exception as error:  # whatever it is, the cycle is not to wait for ever
            self.seen.broken.append(f"the store refused: {error!r}")
        finally:
            go.touch()


@contextmanager
def soaking(folder: Path, seed: int) -> Iterator[Held]:
    """A soak with its gateway and its model."""
    folder.mkdir(parents=True, exist_ok=True)
    with GatewayServer() as server, providers(["ok"]) as model, Spawner(folder) as spawner:
        yield Held(folder, seed, server, model, spawner)


def between_stations(folder: Path, seed: int, station: str, operation: str) -> tuple[bool, list[str]]:
    """(did the cycle get there, what is broken): one full session to roll over, one to prune."""
    with soaking(folder, seed) as soak:
        full = [soak.store.born("main"), soak.store.born("main")]
        for session, ratio in zip(full, (0.93, 0.87), strict=True):
            soak.store.say(session, 3)
            soak.store.jump(session, ratio)
        soak.now += STEP_MS
        did: list[str] = []

        def happens() -> None:
            soak.store.now = soak.now
            for session in full:
                do(soak, operation, session)
            did.append(operation)

        soak.station, soak.happens = station, happens
        soak.tick(1, "")
        soak.station = ""
        soak.rest(2)
        return bool(did), list(soak.count())


def do(soak: Soak, operation: str, session: Live) -> None:
    """Something that OpenClaw does to a session."""
    if operation == "shorten":
        soak.archived.follow()
        soak.store.shorten(session, soak.archived.events)
    else:
        getattr(soak.store, operation)(session)


# --- everybody at once


class Crowd:
    """Programs that are started again and again on one home until the time is over."""

    def __init__(self, soak: Soak, until: float) -> None:
        self.soak, self.until = soak, until
        self.environment = {name: value for name, value in soak.moon.env.items() if name != "MOON_NOW"}
        self.environment.update(MOON_ARCHIVE__IDLE_SECONDS="1", MOON_GUARD__IDLE_SECONDS="1")
        self.environment.update(MOON_THRESHOLDS__COOLDOWN_SECONDS="1", MOON_TIMER__INTERVAL_SECONDS="5")
        self.ended: Counter[str] = Counter()
        self.broken: list[str] = []

    def repeat(self, tool: str, *arguments: str, check: Callable[[subprocess.CompletedProcess[bytes]], None]) -> None:
        """One of the crowd."""
        while time.monotonic() < self.until:
            done = subprocess.run(
                [program(tool), *arguments], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
            self.ended[f"{tool}: {done.returncode}"] += 1
            if b"Traceback" in done.stderr or b"unexpected" in done.stderr:
                self.broken.append(f"moon-{tool}: {done.stderr[-500:].decode('utf-8', 'replace')}")
            check(done)

    def write(self, dice: random.Random) -> None:
        """OpenClaw at full speed."""
        store = self.soak.store
        while time.monotonic() < self.until:
            store.now = time.time_ns() // 1_000_000
            if len(store.live) < 5:
                store.born("main")
            session = dice.choice(list(store.live.values()))
            chance = dice.random()
            if chance < 0.9:
                store.say(session, 1, dice.randint(300, 1_200))
                self.ended["turns"] += 1
            elif chance < 0.93:
                store.compact(session)
            else:
                do(self.soak, dice.choice(("reset", "other_id", "put_away", "delete", "go_cold")), session)
            time.sleep(0.01)


def at_once(folder: Path, seed: int, seconds: float) -> tuple[Counter[str], list[str]]:
    """(how often each program ended how, what is broken)"""
    with soaking(folder, seed) as soak, long_reader(soak.store.stores["main"]) as reader:
        Path(soak.moon.extra["FAKE_OPENCLAW"]).write_text("{}")
        os.environ.update(OPENCLAW_STATE_DIR=soak.moon.env["OPENCLAW_STATE_DIR"], MOON_NOW="")
        os.environ["FAKE_OPENCLAW"] = soak.moon.extra["FAKE_OPENCLAW"]
        soak.store.born("main")
        crowd = Crowd(soak, time.monotonic() + seconds)

        def expects(*codes: int) -> Callable[[subprocess.CompletedProcess[bytes]], None]:
            def check(done: subprocess.CompletedProcess[bytes]) -> None:
                if done.returncode not in codes:
                    crowd.broken.append(f"{done.args[0]} ended with {done.returncode}: {done.stderr[-400:]!r}")

            return check

        # 1 and 3: a store that OpenClaw is just writing to may be waited for in vain; the next tick tries again.
        threads = [
            threading.Thread(target=crowd.write, args=(random.Random(seed),)),
            *(
                threading.Thread(target=crowd.repeat, args=(tool, *words), kwargs={"check": expects(*codes)})
                for tool, words, codes in (
                    ("sample", (), (0, 1, 3, 75)),
                    ("sample", (), (0, 1, 3, 75)),
                    ("archive", ("--all",), (0, 1, 3, 75)),
                    ("recall", ("lantern", "--json"), (0, 1)),
                    ("status", ("--json",), (0, 1)),
                )
            ),
        ]
        watch = subprocess.Popen(
            [program("watch"), "--daemon"], env=crowd.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            for each in threads:
                each.start()
            for each in threads:
                each.join()
        finally:
            watch.send_signal(signal.SIGTERM)
            code = watch.wait(PATIENCE)
        if code != 128 + signal.SIGTERM:
            crowd.broken.append(f"moon-watch ended with {code}")
        reader.close()
        soak.store.observe_all()
        soak.now = time.time_ns() // 1_000_000 + STEP_MS
        soak.rest(1)
        return crowd.ended, [*crowd.broken, *soak.count()]


@contextmanager
def long_reader(store: Any) -> Iterator[sqlite3.Connection]:
    """Somebody reads the store in one transaction all the time, so that its WAL only grows."""
    assert isinstance(store, SqliteStoreBuilder)
    with closing(sqlite3.connect(store.main_file, check_same_thread=False)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM transcript_events").fetchall()
        yield connection


# --- recall beside a rebuild


def recall_beside_rebuild(folder: Path, seed: int, seconds: float) -> tuple[Counter[str], list[str]]:
    """(what was run how often, what is broken): each answer has the message."""
    with soaking(folder, seed) as soak:
        for number in range(6):
            session = soak.store.born("main")
            soak.store.say(session, 10, 100)
            if number % 2:
                soak.store.delete(session)
        wanted = "zyzzyva"
        soak.store.stores["main"].append(session_id_of(soak), _event(wanted), at=soak.now)
        soak.store.observe_all()
        soak.rest(1)
        crowd = Crowd(soak, time.monotonic() + seconds)
        crowd.environment["MOON_NOW"] = soak.moon.env["MOON_NOW"]

        def found(done: subprocess.CompletedProcess[bytes]) -> None:
            answer = json.loads(done.stdout)
            texts = [each["snippet"] for each in answer.get("results", [])]
            if done.returncode or not any(wanted in text for text in texts):
                crowd.broken.append(f"recall {done.returncode}: {done.stdout[-300:]!r} {done.stderr[-300:]!r}")
            crowd.ended[f"answers {'degraded' if answer.get('degraded') else 'from the index'}"] += 1

        def rebuilt(done: subprocess.CompletedProcess[bytes]) -> None:
            if done.returncode:
                crowd.broken.append(f"moon-index --rebuild: {done.returncode}: {done.stderr[-300:]!r}")

        threads = [
            threading.Thread(target=crowd.repeat, args=("index", "--rebuild"), kwargs={"check": rebuilt}),
            *(
                threading.Thread(target=crowd.repeat, args=("recall", wanted, "--json"), kwargs={"check": found})
                for _ in range(2)
            ),
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return crowd.ended, [*crowd.broken, *soak.count()]


def session_id_of(soak: Soak) -> str:
    """A live session."""
    return next(each.session_id for each in soak.store.live.values() if each.agent == "main")


def _event(word: str) -> bytes:
    return events.message("wanted", f"the word to be found is {word}, on the third shelf")


def main() -> int:
    """Race, and print a line of figures for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--real", action="store_true", help="with the real OpenClaw, too")
    parser.add_argument("--stations", nargs="*", default=list(STATIONS), choices=STATIONS)
    options = parser.parse_args()
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="moon-races-") as name:
        folder, raced = Path(name), 0
        for station in options.stations:
            for operation in OPERATIONS:
                reached, found = between_stations(folder / f"{station}-{operation}", options.seed, station, operation)
                raced += reached
                broken += [f"{operation} before {station}: {each}" for each in found]
        print(f"between stations: {raced} races, {len(broken)} broken promises", flush=True)
        for title, race in (("at once", at_once), ("recall beside a rebuild", recall_beside_rebuild)):
            ended, found = race(folder / title.split()[0], options.seed, options.seconds)
            broken += [f"{title}: {each}" for each in found]
            counts = ", ".join(f"{count} {what}" for what, count in sorted(ended.items()))
            print(f"{title}: {ended.total()} ({counts}), {len(found)} broken promises", flush=True)
        if options.real:
            from tests.attack.real_soak import full_speed

            broken += full_speed(folder / "real", options.seed, options.seconds)
    print(*(f"BROKEN {each}" for each in broken[:20]), f"races, seed {options.seed}: {len(broken)} broken", sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
