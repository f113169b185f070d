"""The real OpenClaw, talked to at full speed by several people, and Moon's ticks beside it, some of them killed.

    python tests/attack/real_soak.py --minutes 15 --seed 1

Everybody owns some sessions, talks in them without a pause, and now and then has one compacted, reset, put away or
deleted. A tick comes right behind the one before; one in eight is killed. The gateway is restarted twice.

At the end: each event that was seen in the store is archived or there still, none is archived twice, each link has its
map once, every message that was taken has its answer, no intent is left. Exit code 0 when all of that holds.

A message whose run ended because the gateway itself was killed (it waits for its runs, and is given 20 seconds) is
OpenClaw's to go on with, and is counted on its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.attack.rollover import PATIENCE, SETTLE, Field  # noqa: E402

from moon.openclaw.gateway_socket import NoAnswer  # noqa: E402
from moon.paths import Home  # noqa: E402
from moon.vault.ledger import Ledger  # noqa: E402
from moon.vault.verify import verify  # noqa: E402

PEOPLE = 3
KILLED = 1 / 8
RESTARTS = 2
# The gateway shares the machine with the ticks.
PAUSE = 0.3
UNANSWERED = "messages without an answer"
CUT_BY_RESTART = "messages cut by a restart that was not Moon's"
OTHER_WORDS = "messages answered in other words"


class Sent(NamedTuple):
    """A message; `answer` is what came back, None for no final word; `died` whether the gateway was stopped."""

    token: str
    answer: str | None
    died: bool = False


def fates(sent: Iterable[Sent], everything: bytes) -> dict[str, list[Sent]]:
    """The messages that OpenClaw took and whose own answer is in no event, by the reason."""
    found: dict[str, list[Sent]] = {UNANSWERED: [], CUT_BY_RESTART: [], OTHER_WORDS: []}
    for each in sent:
        is_taken = each.answer is not None or f"say-{each.token}".encode() in everything
        if not is_taken or f"answer-to-{each.token}".encode() in everything:
            continue
        if each.answer:
            found[OTHER_WORDS].append(each)
        else:
            found[CUT_BY_RESTART if each.died else UNANSWERED].append(each)
    return found


class Town:
    """The people, what they saw, and what became of it."""

    def __init__(self, field: Field, seed: int, until: float) -> None:
        self.field, self.until = field, until
        self.dice = random.Random(seed)
        field.moon.settings = {**field.moon.settings, "MOON_ARCHIVE__IDLE_SECONDS": "5"}
        self.seen: dict[str, dict[bytes, None]] = {}
        self.sent: list[Sent] = []
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.open = threading.Event()
        self.open.set()

    # --- people

    def person(self, number: int) -> None:
        """Talk, until the time is over."""
        dice, sessions = random.Random(f"{number} {self.dice.random()}"), 0
        key, fill = "", 0.0
        while time.monotonic() < self.until:
            self.open.wait()
            if not key:
                sessions += 1
                key, fill = f"agent:main:person-{number}-{sessions}", 0.7
            try:
                self.say(key, f"[fill {fill:.2f}]")
                fill = 0.7 if fill > 0.93 else fill + dice.uniform(0.04, 0.12)
                if dice.random() < 0.06:
                    key = self.end(key, dice.choice(("deleted", "put away", "reset", "compacted")))
            except Exception as error:  # a gateway that goes down and comes back refuses in many ways
                self.counts["refused to people"] += 1
                if self.open.is_set() and "reset" not in str(error).lower():
                    time.sleep(0.5)

    def say(self, key: str, fill: str) -> None:
        """A message that can be told by its token. One whose run is cut has to be answered all the same."""
        token, died = f"token-{uuid.uuid4().hex[:12]}", False
        answer: str | None = None
        client = self.field.connect()
        try:
            turn = {"message": f"{token} the lantern register {fill}", "agentId": "main", "sessionKey": key}
            turn["idempotencyKey"] = f"say-{token}"
            answer = words_of(client.call("agent", {**turn, "deliver": False}, PATIENCE, final=True))
        except NoAnswer:
            died = not self.open.is_set()
            raise
        finally:
            client.close()
            self.sent.append(Sent(token, answer, died))
        self.counts["turns"] += 1

    def end(self, key: str, how: str) -> str:
        """What people do to sessions; the key with which it goes on, empty for a new one."""
        self.observe(key)
        client = self.field.connect()
        try:
            if how == "deleted":
                client.call("sessions.delete", {"key": key, "deleteTranscript": True}, PATIENCE)
            elif how == "put away":
                client.call("sessions.patch", {"key": key, "archived": True}, PATIENCE)
            elif how == "reset":
                client.call("sessions.reset", {"key": key, "reason": "new"}, PATIENCE)
            else:
                client.call("sessions.compact", {"key": key}, PATIENCE)
        finally:
            client.close()
        self.counts[how] += 1
        return "" if how in ("deleted", "put away") else key

    def observe(self, key: str) -> None:
        """Note what the store holds of a session."""
        session_id = self.field.openclaw.entry(key)["sessionId"]
        self.seen.setdefault(session_id, {}).update(dict.fromkeys(self.field.openclaw.event_lines(session_id)))

    # --- Moon

    def ticks(self) -> None:
        """One after the other; some are killed. Between two of them the gateway is restarted."""
        began = time.monotonic()
        restarts = 0
        while (now := time.monotonic()) < self.until:
            if restarts < RESTARTS and now - began > (restarts + 1) * (self.until - began) / (RESTARTS + 1):
                restarts += 1
                self.restart()
            self.tick()
            time.sleep(PAUSE)

    def restart(self) -> None:
        """The gateway goes down; a tick finds nobody there; it comes back."""
        self.open.clear()
        self.field.openclaw.stop_gateway()
        self.tick()
        self.field.openclaw.start_gateway()
        self.open.set()
        self.counts["restarts of the gateway"] += 1

    def tick(self, *, may_die: bool = True) -> int:
        """One tick, as the timer starts it."""
        child = self.field.start("socket", "moon-sample")
        self.counts["ticks"] += 1
        if may_die and self.dice.random() < KILLED:
            try:
                child.wait(self.dice.uniform(0.05, 2.0))
            except subprocess.TimeoutExpired:
                self.counts["ticks killed"] += 1
            os.killpg(child.pid, signal.SIGKILL) if child.poll() is None else None
        return child.wait(PATIENCE)

    def settle(self) -> None:
        """Nobody talks any more; tick until nothing is under way."""
        deadline = time.monotonic() + SETTLE + 120
        while time.monotonic() < deadline:
            code = self.tick(may_die=False)
            if code == 0 and not self.field.journals() and time.monotonic() > deadline - 110:
                break
            time.sleep(3)

    # --- the count

    def count(self) -> dict[str, int]:
        """The figures; what does not hold goes to `broken`."""
        store = self.field.openclaw
        stored: set[bytes] = set()
        for (session_id,) in store.query("SELECT DISTINCT session_id FROM transcript_events"):
            lines = store.event_lines(session_id)
            stored.update(lines)
            self.seen.setdefault(session_id, {}).update(dict.fromkeys(lines))
        home = Home(self.field.moon.home)
        seen = {line for lines in self.seen.values() for line in lines}
        archived: Counter[tuple[str, bytes]] = Counter()
        for record in Ledger(home.ledger).archives():
            archived.update((record["session_id"], line) for line in _lines(home, record["archive_path"]))
        held = {line for _, line in archived}
        unmet = fates(self.sent, b"\n".join(seen | held))
        figures = {
            "events seen": len(seen),
            "events archived": len(held),
            "events lost": len(seen - held - stored),
            "events archived twice": sum(count > 1 for count in archived.values()),
            **{name: len(each) for name, each in unmet.items()},
            "rollovers": len(links := [each["rollover_id"] for each in Ledger(home.ledger).links()]),
        }
        maps = Counter(key for line in seen | held if (key := _map_key(line)))
        figures["maps lost"] = sum(f"moon-{each}:user" not in maps for each in links)
        figures["maps doubled"] = sum(count > 1 for key, count in maps.items() if "again" not in key)
        figures["intents left"] = len(self.field.journals())
        wrong = ("events lost", "events archived twice", UNANSWERED, OTHER_WORDS, "maps lost", "maps doubled")
        self.broken += [f"{name}: {figures[name]}" for name in (*wrong, "intents left") if figures[name]]
        self.broken += [
            f"{each.token} got {(each.answer or '')[:200]!r}" for each in unmet[UNANSWERED] + unmet[OTHER_WORDS]
        ]
        self.broken += [f"verify: {each.message}" for each in verify(home).errors]
        return figures


def _lines(home: Home, path: str) -> list[bytes]:
    from moon.vault import segments

    return list(segments.lines(home.root / path))


def words_of(final: dict[str, Any]) -> str:
    """What the assistant said, by the final word of the gateway on a run; empty where it said nothing."""
    payloads = (final.get("result") or {}).get("payloads") or []
    return "\n".join(str(each.get("text") or "") for each in payloads if not each.get("isError"))


def _map_key(line: bytes) -> str:
    if b'"moon-' not in line:
        return ""
    key = str((json.loads(line).get("message") or {}).get("idempotencyKey", ""))
    return key if key.startswith("moon-") and key.endswith(":user") else ""


def full_speed(folder: Path, seed: int, seconds: float, say: Callable[[str], None] = print) -> list[str]:
    """The whole attack; what is broken."""
    folder.mkdir(parents=True, exist_ok=True)
    field = Field(folder, seed)
    try:
        town = Town(field, seed, time.monotonic() + seconds)
        people = [threading.Thread(target=town.person, args=(number,)) for number in range(PEOPLE)]
        for each in people:
            each.start()
        town.ticks()
        for each in people:
            each.join()
        town.settle()
        figures = town.count()
    finally:
        field.close()
    say(f"real OpenClaw, seed {seed}, {seconds:.0f} s: " + ", ".join(f"{n} {what}" for what, n in town.counts.items()))
    say(", ".join(f"{name} {value}" for name, value in figures.items()))
    return town.broken


def main() -> int:
    """Attack, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moon-real-") as folder:
        broken = full_speed(Path(folder), options.seed, options.minutes * 60)
    print(*(f"BROKEN {each}" for each in broken), f"promises broken: {len(broken)}", sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
