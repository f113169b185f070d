"""Copies under attack: three hosts share a real S3 server, and whatever networks, rights, kills and strangers do to it.

    python tests/attack/copies.py --seed 1 --faults 150

Each round somebody talks, a fault drawn from the seed strikes a run of `moon-mirror` or the copy itself, and a run
without one follows. Every tenth round, and at the end, every host is restored from the bucket alone and held against
its home, event by event: nothing lost, nothing doubled, nothing of another host. Exits 1 where that is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose `secrets` would hide that of Python.
sys.path[:1] = [str(ROOT / "lib"), str(ROOT)]

import pyrage  # noqa: E402
from tests.support import events  # noqa: E402
from tests.support.buckets import CODES, Buckets, Spoiler, serving  # noqa: E402
from tests.support.mirrors import Mirrored, restored  # noqa: E402
from tests.support.moon import archived_events  # noqa: E402
from tests.support.stores import SqliteStoreBuilder  # noqa: E402

from moon.clock import format_ms  # noqa: E402
from moon.copies import bucket_place  # noqa: E402
from moon.copies.copy_record import record_file, write_record  # noqa: E402
from moon.copies.layout import first_name  # noqa: E402
from moon.copies.sealing import Age  # noqa: E402
from moon.host_id import own_host  # noqa: E402
from moon.mirror.proving import prove  # noqa: E402
from moon.paths import Home  # noqa: E402
from moon.vault.catalog import open_catalog  # noqa: E402
from moon.vault.ledger import Ledger  # noqa: E402
from moon.vault.packing import pack_past_days  # noqa: E402
from moon.vault.verify import verify  # noqa: E402

DAY_MS = 86_400_000
BEGAN_MS = 1_795_330_000_000
# How far the clock of each host is off.
CLOCKS = (0, -3 * 3_600_000, 26 * 3_600_000)
CHECK_EVERY = 10
MIRROR = str(ROOT / "bin" / "moon-mirror")


class Fleet:
    """Three hosts with the same agent and session names, and a bucket behind the spoiler."""

    def __init__(self, folder: Path, buckets: Buckets, spoiler: Spoiler, rng: random.Random) -> None:
        self.folder, self.buckets, self.spoiler, self.rng = folder, buckets, spoiler, rng
        identity = pyrage.x25519.Identity.generate()
        self.identity = str(identity).encode()
        self.recipient = str(identity.to_public())
        self.hosts = [
            Mirrored(folder / name, "s3://shared/moon", {"recipients": [self.recipient]})
            for name in ("one", "two", "three")
        ]
        self.talked = 0
        self.struck: Counter[str] = Counter()
        self.older: dict[int, bytes] = {}
        self.took: set[int] = set()

    def clock(self, number: int, day: int) -> None:
        """Set the clock, as this host has it."""
        os.environ["MOON_NOW"] = format_ms(BEGAN_MS + day * DAY_MS + CLOCKS[number] + self.talked * 1000)

    def talk(self, number: int) -> None:
        """Something is said, in one of a few sessions, or written down, or joined."""
        host, rng = self.hosts[number], self.rng
        self.talked += 1
        session = f"s{rng.randrange(6)}"
        words = [f"{rng.random()} of host {number}, number {self.talked}"] * rng.randrange(1, 40)
        store = SqliteStoreBuilder(host.archiver.state_dir)
        lines = [events.message(f"{session}-{self.talked}-{place}", each) for place, each in enumerate(words)]
        known = host.folder / "known" / session
        if known.exists():
            store.append(session, *lines)
        else:
            known.parent.mkdir(exist_ok=True)
            known.touch()
            store.put(f"agent:main:{session}", session, [events.header(session), *lines], used=1000)
        host.archiver.archive(session, f"agent:main:{session}")
        if rng.random() < 0.3:
            host.home.memory.mkdir(exist_ok=True)
            (host.home.memory / f"2026-11-{10 + rng.randrange(9)}.md").write_text(f"day of {number}: {rng.random()}\n")
        if rng.random() < 0.15:
            with open_catalog(host.home) as catalog:
                pack_past_days(catalog, "UTC", bounded=False)

    # -- faults ---------------------------------------------------------------------------------------------------

    def network(self, number: int) -> str:
        """From some request on, or for one alone: cut, late, half an answer, a code of the server, rights withdrawn."""
        how = self.rng.choice(["cut", "late", "half", *CODES])
        only = self.rng.choice(["", "PUT", "GET", "DELETE POST"])
        first, asked, lasting = self.rng.randrange(12), [0], self.rng.random() < 0.5

        def strike(method: str, path: str) -> str:
            if only and method not in only.split():
                return ""
            asked[0] += 1
            return how if asked[0] - 1 == first or (lasting and asked[0] > first) else ""

        self.spoiler.how = strike
        self.hosts[number].copy()
        self.spoiler.how = lambda method, path: ""
        return f"{how} of {only or 'anything'}"

    def kill(self, number: int) -> str:
        """kill -9 at some request, before it arrives or once it was done."""
        at, asked, late = self.rng.randrange(14), [0], self.rng.random() < 0.5
        host = self.hosts[number]
        environment = {
            **os.environ,
            "MOON_HOME": str(host.home.root),
            "MOON_PYTHON": sys.executable,
            "MOON_COPIES": json.dumps([{"url": host.url, **host.encrypt}]),
        }
        ready = threading.Event()

        def strike(method: str, path: str) -> str:
            asked[0] += 1
            if asked[0] - 1 < at:
                return ""
            ready.wait(10)
            if not late or asked[0] - 1 > at:
                child.kill()
                return "cut"
            return "late"

        self.spoiler.how = strike
        child = subprocess.Popen([MIRROR], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready.set()
        child.wait(60)
        self.spoiler.how = lambda method, path: ""
        return "killed"

    def record(self, number: int) -> str:
        """What the home knows of its copy is lost, damaged or older than the copy."""
        host = self.hosts[number]
        file = record_file(host.home, host.url)
        how = self.rng.choice(["lost", "damaged", "older"])
        if how == "lost" or not file.exists():
            file.unlink(missing_ok=True)
        elif how == "damaged":
            file.write_bytes(file.read_bytes()[: self.rng.randrange(200)])
        elif number in self.older:
            file.write_bytes(self.older[number])
        return f"record {how}"

    def stranger(self, number: int) -> str:
        """Somebody changes an object: half of it, another one in its place, a bit, none at all."""
        host = self.hosts[number]
        host.copy()
        place, rng = host.place(), self.rng
        there = sorted(each.name for each in place.list(host.host))
        victim, other = rng.choice(there), rng.choice(there)
        data = place.get(victim, 1 << 26)
        how = rng.choice(["half", "other", "bit", "gone"])
        if how == "gone":
            place.delete(victim)
        elif how == "other":
            place.replace(victim, place.get(other, 1 << 26))
        elif how == "half":
            place.replace(victim, data[: len(data) // 2])
        else:
            spot = rng.randrange(len(data))
            place.replace(victim, data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :])
        self.prove(number)
        return f"object {how}: {first_name(victim.partition('/')[2])[:12]}"

    def prove(self, number: int) -> int:
        """`moon-mirror --verify`: how much is wrong."""
        host = self.hosts[number]
        record = host.record()
        seal = Age([self.recipient], [self.identity])
        found = prove(Ledger(host.home.ledger), own_host(host.home), host.place(), seal, record, 1.0, 1)
        write_record(host.home, record)
        return len(found.errors)

    def clone(self, number: int) -> str:
        """A clone of the home, left behind, copies as the same host."""
        host = self.hosts[number]
        host.copy()
        target = self.folder / f"clone-{self.talked}"
        shutil.copytree(host.folder, target)
        self.talk(number)
        host.copy()
        clone = Mirrored(target, host.url, host.encrypt)
        clone.hear(f"clone{self.talked}")
        outcome = clone.copy()
        assert outcome.error is not None and outcome.error.code in ("copy_diverged", "copy_taken"), outcome
        shutil.rmtree(target)
        return "clone refused"

    def takeover(self, number: int) -> str:
        """The machine is lost, restored from the bucket, and goes on; the old one comes back and is refused."""
        host = self.hosts[number]
        outcome = host.copy()
        assert outcome.error is None, outcome
        old = self.folder / f"old-{self.talked}"
        shutil.copytree(host.folder, old)
        shutil.rmtree(host.home.root)
        restored(host.url, host.home.root, self.host_of(old), self.identity, sealed=True)
        self.talk(number)
        outcome = host.copy()
        assert outcome.error is None, outcome
        back = Mirrored(old, host.url, host.encrypt)
        back.hear(f"back{self.talked}")
        outcome = back.copy()
        assert outcome.error is not None and outcome.error.code == "copy_taken", outcome
        shutil.rmtree(old)
        self.took.add(number)
        return "takeover"

    def host_of(self, folder: Path) -> str:
        return own_host(Home(folder / "moon")).id

    def wrong_prefix(self, number: int) -> str:
        """The folder of another host is given as the place: nothing of it may change."""
        host, other = self.hosts[number], self.hosts[(number + 1) % 3]
        other.copy()
        before = {each.name: other.place().get(each.name, 1 << 26) for each in other.place().list(other.host)}
        astray = Mirrored(host.folder, f"{host.url}/{other.host}", host.encrypt)
        astray.copy()
        after = {each.name: other.place().get(each.name, 1 << 26) for each in other.place().list(other.host)}
        assert {name: after.get(name) for name in before} == before, "another host's objects were touched"
        for name in set(after) - set(before):
            other.place().delete(name)
        record_file(host.home, astray.url).unlink(missing_ok=True)
        return "somebody else's prefix"

    def away(self, number: int) -> str:
        """The server is gone for a while: two runs find nobody."""
        self.spoiler.how = lambda method, path: "cut"
        for _ in range(2):
            assert self.hosts[number].copy().error is not None
        self.spoiler.how = lambda method, path: ""
        return "server away"

    # -- what has to hold -----------------------------------------------------------------------------------------

    def check(self, where: str) -> None:
        """Every host comes back from the bucket alone, exactly."""
        for number, host in enumerate(self.hosts):
            self.settle(number, where)
            folder = Path(tempfile.mkdtemp(dir=self.folder)) / "moon"
            home = restored(host.url, folder, host.host, self.identity, sealed=True)
            mine, theirs = Counter(archived_events(host.home)), Counter(archived_events(home))
            lost, more = sum((mine - theirs).values()), sum((theirs - mine).values())
            assert not lost and not more, f"{where}: host {number}: {lost} events lost, {more} doubled or foreign"
            assert home.ledger.read_bytes() == host.home.ledger.read_bytes(), f"{where}: another ledger"
            assert not verify(home).errors, f"{where}: {verify(home).errors}"
            assert notes(home) == notes(host.home), f"{where}: notes differ"
            shutil.rmtree(folder.parent)

    def settle(self, number: int, where: str) -> None:
        """Runs without a fault: after two of them all is there, and nothing is left to be done."""
        for _ in range(3):
            outcome = self.hosts[number].copy()
            if not outcome.problems() and not self.hosts[number].record().remove:
                break
        assert not outcome.problems(), f"{where}: host {number}: {[each.message for each in outcome.problems()]}"
        assert self.prove(number) == 0, f"{where}: host {number}: the copy is damaged after a good run"


def notes(home: Home) -> dict[str, bytes]:
    """Daily memory as it stands."""
    return {path.name: path.read_bytes() for path in home.memory.glob("*.md")} if home.memory.is_dir() else {}


def attack(folder: Path, seed: int, faults: int) -> Counter[str]:
    """So many faults; how often each kind struck."""
    rng = random.Random(seed)
    with serving() as buckets:
        spoiler = Spoiler(buckets)
        os.environ.update(spoiler.environment())
        buckets.make("shared")
        fleet = Fleet(folder, buckets, spoiler, rng)
        for number in range(3):
            fleet.clock(number, 0)
            fleet.talk(number)
        for round_number in range(1, faults + 1):
            strike(fleet, round_number)
        fleet.check("the end")
        spoiler.close()
        return fleet.struck


def strike(fleet: Fleet, round_number: int) -> None:
    """One round."""
    number, rng = fleet.rng.randrange(3), fleet.rng
    kinds: list[Callable[[int], str]] = [fleet.network] * 8 + [fleet.kill] * 6 + [fleet.record, fleet.stranger] * 2
    kinds += [fleet.clone, fleet.takeover, fleet.wrong_prefix, fleet.away]
    kind = rng.choice(kinds)
    host = fleet.hosts[number]
    fleet.clock(number, round_number // 20)
    fleet.talk(number)
    where = f"round {round_number}, {kind.__name__}"
    try:
        kind(number)
        fleet.struck[kind.__name__] += 1
        if rng.random() < 0.3 and record_file(host.home, host.url).exists():
            fleet.older[number] = record_file(host.home, host.url).read_bytes()
        fleet.settle(number, where)
        if round_number % CHECK_EVERY == 0:
            fleet.check(where)
            print(f"{round_number} faults, and every host came back whole", flush=True)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--faults", type=int, default=150)
    options = parser.parse_args()
    bucket_place.RETRIES = 0
    print(f"copies: seed {options.seed}, {options.faults} faults", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        struck = attack(Path(folder), options.seed, options.faults)
    print(f"{sum(struck.values())} faults: " + ", ".join(f"{count} {name}" for name, count in struck.most_common()))
    print("0 events lost, 0 doubled, 0 of another host")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
