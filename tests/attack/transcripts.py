"""End sessions in every way and at any moment, and count the events that no archive holds afterwards.

    python tests/attack/transcripts.py --seed 1 --count 100            stores made like the real ones, both generations
    python tests/attack/transcripts.py --seed 1 --count 0 --real 12    the same with the real OpenClaw and its gateway

Sessions get their last message, and a second later they are deleted, reset, put away, replaced by two ids in a row, or
go into cold storage. Ticks come before, between and behind, as the seed has it; some find the store locked, or updated
to a schema that Moon does not know. Two ticks after the end every event must be in the archive, else it exits 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO), str(REPO / "lib")]

from tests.e2e.harness import OpenClaw  # noqa: E402
from tests.e2e.install import install  # noqa: E402
from tests.e2e.loopback_model import LoopbackModel  # noqa: E402
from tests.support import events  # noqa: E402
from tests.support.moon import Moon, archived_events  # noqa: E402
from tests.support.stores import BUILDERS, NOW_MS, SqliteStoreBuilder, StoreBuilder  # noqa: E402

from moon.clock import format_ms  # noqa: E402

ROUND = 10
ENDS = {"jsonl": ("deleted", "reset", "put away", "two ids"), "sqlite": ("deleted", "put away", "two ids", "cold")}
DAY_MS = 86_400_000
REAL_ENDS = ("deleted", "reset", "put away", "cold")


class Rounds:
    """One Moon beside one made store: sessions live and end in it, and `said` holds every event that ever was."""

    def __init__(self, folder: Path, generation: str, dice: random.Random) -> None:
        self.moon = Moon(folder, {"MOON_DISTILL__PROVIDERS": "local"})
        self.store: StoreBuilder = BUILDERS[generation](self.moon.state_dir)
        self.generation = generation
        self.dice = dice
        self.now = NOW_MS
        self.said: set[bytes] = set()
        self.ends: Counter[str] = Counter()
        self.number = 0

    def tick(self) -> int:
        """The timer's next look, half a minute later."""
        self.now += 30_000
        return self.moon.run("sample", env={"MOON_NOW": format_ms(self.now)}).code

    def round(self, count: int) -> None:
        """So many sessions live and end; two ticks later all of them must be archived."""
        sessions = [self.begin() for _ in range(count)]
        for key, session_id in sessions:
            if self.dice.random() < 0.4:
                self.tick_in_trouble() if self.dice.random() < 0.3 else self.tick()
            more = [self.message(session_id) for _ in range(self.dice.randint(1, 5))]
            self.said.update(more)
            self.store.append(session_id, *more, at=self.now - 1_000)
            self.end(key, session_id, self.dice.choice(ENDS[self.generation]))
        self.tick()
        self.tick()

    def begin(self) -> tuple[str, str]:
        """A session with its first messages, in use right now."""
        self.number += 1
        session_id, key = f"s{self.number}", f"agent:main:chat-{self.number}"
        lines = [events.header(session_id), *(self.message(session_id) for _ in range(self.dice.randint(1, 4)))]
        self.said.update(lines)
        self.store.put(key, session_id, lines, at=self.now - 1_000, updated_at=self.now - 1_000)
        return key, session_id

    def message(self, session_id: str) -> bytes:
        """An event like no other, now and then a long one, which the newer store compresses."""
        words = " ".join(str(self.dice.getrandbits(32)) for _ in range(self.dice.choice((3, 9, 400))))
        return events.message(f"{session_id}-{self.dice.getrandbits(64):x}", words)

    def end(self, key: str, session_id: str, how: str) -> None:
        """End a session as OpenClaw does."""
        self.ends[how] += 1
        if how in ("deleted", "reset"):
            self.store.delete(key, session_id, how)
        elif how == "put away":
            self.store.put_away(key)
        elif how == "two ids":
            for later in (f"{session_id}-b", f"{session_id}-c"):
                lines = [events.header(later), self.message(later)]
                # What is live at the end is not at rest yet, and not due.
                self.said.update(lines if later.endswith("b") else ())
                self.store.put(key, later, lines, at=self.now)
        else:
            self.go_cold(key, session_id)

    def go_cold(self, key: str, session_id: str) -> None:
        """Nobody said anything for forty days, and no tick of Moon came in between."""
        store = self.store
        assert isinstance(store, SqliteStoreBuilder)
        with closing(store.connect()) as connection, connection:
            connection.execute(
                "UPDATE session_windows SET transcript_updated_at = ? WHERE session_id = ?",
                (self.now - 40 * DAY_MS, session_id),
            )
        store.go_cold(session_id, self.dice.choice(("file", "sqlite")))
        if self.dice.random() < 0.3:
            store.remove_entry(key)

    def tick_in_trouble(self) -> None:
        """A tick that finds the store locked, or after an update of OpenClaw."""
        if not isinstance(self.store, SqliteStoreBuilder):
            self.tick()
            return
        with closing(self.store.connect()) as connection:
            if self.dice.random() < 0.5:
                connection.execute("UPDATE schema_meta SET schema_version = ?", (self.dice.choice((23, 24, 31)),))
                connection.commit()
                self.tick()
                return
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM transcript_events")
            self.tick()
            connection.rollback()

    def lost(self) -> set[bytes]:
        """The events that no archive holds."""
        return self.said - set(archived_events(self.moon.home))


def attack_made_stores(seed: int, count: int, folder: Path) -> tuple[Counter[str], int, int]:
    """(how often each way to end came, events, events lost)"""
    ends: Counter[str] = Counter()
    total = lost = 0
    for place, generation in enumerate(BUILDERS):
        rounds = Rounds(folder / generation, generation, random.Random(f"{seed} {generation}"))
        left = count // 2 + (count % 2 if place else 0)
        while left > 0:
            rounds.round(min(ROUND, left))
            left -= ROUND
        ends += rounds.ends
        total += len(rounds.said)
        lost += len(rounds.lost())
        if rounds.moon.run("archive", "--verify").code:
            raise SystemExit(f"the archive of the {generation} store does not verify")
    return ends, total, lost


# The real program.


class ColdOpenClaw(OpenClaw):
    """The real OpenClaw with cold storage switched on."""

    def config(self) -> dict[str, object]:
        made = super().config()
        made["session"]["maintenance"] = {"coldStorage": {"enabled": True, "afterDays": 1}}
        return made


@contextmanager
def real_openclaw(folder: Path) -> Iterator[ColdOpenClaw]:
    """A gateway with a loopback model."""
    (folder / "home").mkdir(parents=True)
    with LoopbackModel(folder / "requests.jsonl") as model, ColdOpenClaw(folder / "home", install(), model.url) as real:
        yield real


def attack_real_store(seed: int, count: int, folder: Path) -> tuple[Counter[str], int, int]:
    """The same on the real store; all ends right behind the last answer."""
    dice = random.Random(f"{seed} real")
    said: set[bytes] = set()
    ends: Counter[str] = Counter()
    moon = Moon(folder, {"MOON_DISTILL__PROVIDERS": "local"})
    with real_openclaw(folder) as real:
        moon.extra["OPENCLAW_STATE_DIR"] = str(real.state)
        cold = []
        for number in range(count):
            key, how = f"agent:main:chat-{number}", REAL_ENDS[number % len(REAL_ENDS)]
            real.turn(f"number {dice.getrandbits(64)} " + "word " * dice.choice((1, 500)), key)
            session_id = real.entry(key)["sessionId"]
            said.update(real.event_lines(session_id))
            ends[how] += 1
            if how == "cold":
                cold.append(key)
            else:
                end_real(real, key, session_id, how)
            if dice.random() < 0.3:
                moon.run("sample", env=now())
        freeze(real, cold)
        for _ in range(2):
            moon.run("sample", env=now())
    archived = set(archived_events(moon.home))
    return ends, len(said), len(said - archived)


def now() -> dict[str, str]:
    """The real program lives in the real time, and so must the ticks beside it; a window that a reset began is live."""
    return {"MOON_NOW": format_ms(int(time.time() * 1000)), "MOON_ARCHIVE__IDLE_SECONDS": "1"}


def end_real(real: OpenClaw, key: str, session_id: str, how: str) -> None:
    """End a session through the gateway."""
    if how == "deleted":
        real.call("sessions.delete", {"key": key, "deleteTranscript": True})
    elif how == "reset":
        real.call("sessions.reset", {"key": key, "reason": "new"})
    else:
        real.call("sessions.patch", {"key": key, "archived": True, "expectedSessionId": session_id})


def freeze(real: OpenClaw, keys: list[str]) -> None:
    """Let sixty days pass for these sessions, and wait until OpenClaw has put them into cold storage."""
    if not keys:
        return
    real.stop_gateway()
    long_ago = int(time.time() * 1000) - 60 * DAY_MS
    with closing(sqlite3.connect(real.database())) as connection, connection:
        for key in keys:
            (text,) = connection.execute(
                "SELECT entry_json FROM session_nodes WHERE session_key = ?", (key,)
            ).fetchone()
            entry = json.loads(text)
            times = {name: long_ago for name in entry if name.endswith("At") and isinstance(entry[name], int)}
            connection.execute(
                "UPDATE session_nodes SET entry_json = ?, updated_at = ?, last_activity_at = ?, "
                "last_interaction_at = ? WHERE session_key = ?",
                (json.dumps({**entry, **times}), long_ago, long_ago, long_ago, key),
            )
            connection.execute(
                "UPDATE session_windows SET updated_at = ?, transcript_updated_at = ?, transcript_observed_at = NULL "
                "WHERE session_key = ?",
                (long_ago, long_ago, key),
            )
    real.start_gateway()
    deadline = time.monotonic() + 120
    while real.query("SELECT count(*) FROM session_transcript_cold_archives")[0][0] < len(keys):
        if time.monotonic() > deadline:
            raise SystemExit("OpenClaw put nothing into cold storage")
        time.sleep(1)


def main() -> int:
    """Print one line of figures; 1 when an event was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="sessions in made stores")
    parser.add_argument("--real", type=int, default=0, help="sessions of the real OpenClaw")
    options = parser.parse_args()
    failed = False
    for label, count, attack in (
        ("made stores", options.count, attack_made_stores),
        ("real OpenClaw", options.real, attack_real_store),
    ):
        if count:
            with tempfile.TemporaryDirectory(prefix="moon-attack-") as folder:
                ends, total, lost = attack(options.seed, count, Path(folder))
            ways = ", ".join(f"{ends[how]} {how}" for how in sorted(ends))
            print(f"transcripts, {label}, seed {options.seed}: {sum(ends.values())} sessions ended ({ways}), "
                  f"{total} events, events lost {lost}")  # fmt: skip
            failed = failed or lost > 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
