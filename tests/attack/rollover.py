"""Attack prune and rollover on the real OpenClaw: kill Moon in the middle, and write to sessions that are being reset.

    python tests/attack/rollover.py --kills 200 --runs 100 --seed 1

Kills: Moon's process group gets SIGKILL at random moments of a tick, of `moon-prune` or of `moon-rollover`, several
times a session. At the end each session must show exactly one reset, one map and one link, and no intent may be left.

Runs: a message is sent while a rollover is between its map and its reset, as a chat client and as the command do it in
turn. It makes the rollover wait, or is cut off, or comes behind the reset; each must have its answer in the end, once.
Exit code 0 when all of that holds.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose files have the names of modules that others import.
sys.path[0:1] = [str(ROOT), str(ROOT / "lib")]

from tests.e2e.harness import OpenClaw  # noqa: E402
from tests.e2e.install import install  # noqa: E402
from tests.e2e.loopback_model import Answer, LoopbackModel, is_compaction, message_text  # noqa: E402
from tests.e2e.moon_home import BIN, Moon  # noqa: E402

from moon.errors import MoonError  # noqa: E402
from moon.openclaw.gateway_address import Address  # noqa: E402
from moon.openclaw.gateway_socket import GatewayRefused, GatewaySocket  # noqa: E402

BUDGET = 48_000
PRUNE_AT, ROLL_AT = 0.87, 0.93
PATIENCE = 120.0
OPENCLAWS_OWN = ("<<<BEGIN_OPENCLAW", "This turn ended before a reply")
WORKERS = 3
# The gateway may be at a reset for a minute after it was asked; Moon waits that long before it asks again.
SETTLE = 75.0
SETTINGS = {
    "MOON_QMD__ENABLED": "false",
    "MOON_DISTILL__PROVIDERS": "local",
    "MOON_REDACT__RULES": "builtin",
    "MOON_OPENCLAW__TIMEOUT_SECONDS": "10",
}


class Talkative(LoopbackModel):
    """Answers a message that holds a token by that token, after a while; `[fill 0.9]` makes the window that full."""

    dice: random.Random

    def answer(self, body: dict[str, Any]) -> Answer:
        said = super().answer(body)
        if is_compaction(body):
            return said
        texts = [message_text(each) for each in body["messages"] if each.get("role") == "user"]
        # OpenClaw adds words of its own behind the user's: its context, and that a turn before had no reply.
        last = next((text for text in reversed(texts) if not text.startswith(OPENCLAWS_OWN)), "")
        words = asked(last)
        if last and not words:
            return Answer(text="Noted.")
        tokens = [word for word in words.split() if is_token(word)]
        fill = re.search(r"\[fill ([0-9.]+)\]", words)
        used = round(float(fill[1]) * BUDGET) if fill else None
        if tokens:
            return Answer(text=f"answer-to-{tokens[-1]}", delay=self.dice.uniform(0.0, 1.2), prompt_tokens=used)
        return Answer(text="Understood.", prompt_tokens=used) if fill else said


def asked(text: str) -> str:
    """What a prompt asks for; nothing where that is the map.

    A turn that lost its run to a crash of the gateway is put before the next message, in one prompt with it.
    """
    if "# Continuity map" not in text:
        return text
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Runtime: ")]
    # The map ends with a list; what people say is a line of its own.
    return "" if lines[-1].startswith(("- ", "#")) or "# Continuity map" in lines[-1] else lines[-1]


def is_token(word: str) -> bool:
    """Is this word what a message is told by?"""
    return word.startswith("token-")


@dataclass
class Figures:
    """What was seen."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Field:
    """One gateway, one MOON_HOME, and as many sessions as the attack needs."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.model = Talkative(folder / "requests.jsonl")
        self.model.dice = random.Random(seed + 1)
        self.model.__enter__()
        self.openclaw = OpenClaw(folder, install(), self.model.url)
        self.openclaw.__enter__()
        self.moon = Moon(folder / "moon", self.openclaw, SETTINGS)
        self.durations: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.covered: dict[str, int] = {}

    def close(self) -> None:
        """End everything that was started."""
        self.openclaw.stop_gateway()
        self.model.__exit__()

    def connect(self) -> GatewaySocket:
        """A client of its own."""
        address = Address(f"ws://127.0.0.1:{self.openclaw.port}", "token", self.openclaw.token, "")
        return GatewaySocket.open(address, PATIENCE)

    def for_worker(self, number: int) -> Field:
        """The same gateway with a MOON_HOME of its own, so that several Moons work at once."""
        made = copy.copy(self)
        made.moon = Moon(self.openclaw.home / f"moon{number}", self.openclaw, SETTINGS)
        made.dice = random.Random(self.dice.random())
        return made

    def say(self, key: str, text: str) -> None:
        """One turn of a session."""
        client = self.connect()
        turn = {"message": text, "agentId": "main", "sessionKey": key, "idempotencyKey": f"say-{uuid.uuid4().hex}"}
        client.call("agent", {**turn, "deliver": False}, PATIENCE, final=True)
        client.close()

    def new_session(self, name: str, fill: float) -> str:
        """A session with a little talk, that full."""
        key = f"agent:main:{name}"
        self.say(key, f"Good morning, this is session {name}. " + "The mast needs paint. " * 40)
        self.say(key, f"The anchor bolt of mast {name} is loose, remember that. [fill {fill}]")
        return key

    def env(self, way: str) -> dict[str, str]:
        """The environment of Moon; `command` keeps it from finding the socket."""
        return {**self.moon.env(), **(self.moon.through_the_command() if way == "command" else {})}

    def start(self, way: str, tool: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a tool in a process group of its own."""
        with (self.openclaw.home / "moon.log").open("ab") as log:
            log.write(f"\n--- {time.time():.3f} {tool} {' '.join(arguments)} ({way})\n".encode())
            return subprocess.Popen(
                [str(BIN / tool), *arguments],
                env=self.env(way),
                cwd=self.openclaw.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def run(self, way: str, tool: str, *arguments: str) -> int:
        """Run a tool to its end."""
        return self.start(way, tool, *arguments).wait(PATIENCE)

    def cover(self, way: str, key: str) -> None:
        """Archive and index a session if it has changed, as every tick does before it prunes or rolls over."""
        events = len(self.lines(key))
        if self.covered.get(key) != events:
            self.run(way, "moon-archive", "--session", key)
            self.run(way, "moon-index", "--session", key)
            self.covered[key] = events

    def lines(self, key: str) -> list[dict[str, Any]]:
        """The events of a session."""
        session_id = self.openclaw.entry(key)["sessionId"]
        return [json.loads(line) for line in self.openclaw.event_lines(session_id)]

    def links(self, key: str) -> int:
        """How many links the ledger has for it."""
        return sum(line["session_key"] == key for line in self.moon.ledger("link"))

    def journals(self) -> list[Path]:
        """Intents that are left."""
        return sorted((self.moon.home / "state" / "rollovers").glob("*"))

    def picture(self, key: str) -> tuple[int, int, int]:
        """(resets, maps, links) of a session."""
        lines = self.lines(key)
        resets = sum(line["type"] == "reset" for line in lines)
        ids = [line["rollover_id"] for line in self.moon.ledger("link") if line["session_key"] == key]
        maps = sum("# Continuity map " in str(content(line)) for line in lines if role(line) == "user")
        keyed = sum(
            line["message"].get("idempotencyKey") in {f"moon-{each}:user" for each in ids}
            for line in lines
            if role(line) == "user"
        )
        return resets, max(maps, keyed), len(ids)


def role(line: dict[str, Any]) -> str:
    """The role of a message event; empty for other events."""
    return str(line["message"].get("role")) if line["type"] == "message" else ""


def content(line: dict[str, Any]) -> Any:
    """What a message says, in whatever form."""
    return line["message"].get("content")


def attack_with_kills(field_: Field, wanted: int, ways: list[str], figures: Figures) -> None:
    """Kill Moon until it was killed often enough, then let it finish."""
    sessions: list[str] = []
    while figures.counts["kills"] < wanted:
        prunes = len(sessions) % 2 == 1
        key = field_.new_session(f"kill{len(sessions)}", PRUNE_AT if prunes else ROLL_AT)
        sessions.append(key)
        if prunes:
            kill_some(field_, key, "moon-prune", ways, figures, 2)
            field_.say(key, f"And now for the last thing of the day. [fill {ROLL_AT}]")
        kill_some(field_, key, "moon-rollover", ways, figures, field_.dice.randint(2, 6))
        say(f"kills: {figures.counts['kills']} of {wanted} on {len(sessions)} sessions")
    finish(field_, sessions, ways)
    for key in sessions:
        picture = field_.picture(key)
        figures.counts["sessions"] += 1
        figures.counts["whole"] += picture == (1, 1, 1)
        if picture != (1, 1, 1):
            figures.failures.append(f"{key}: {picture[0]} resets, {picture[1]} maps, {picture[2]} links")
    figures.failures += [f"an intent is left: {path.name}" for path in field_.journals()]


def kill_some(field_: Field, key: str, station: str, ways: list[str], figures: Figures, times: int) -> None:
    """Start Moon and kill it, a few times, until the session is rolled over."""
    for _ in range(times):
        if field_.links(key):
            return
        by_tick = field_.dice.random() < 0.5
        way = field_.dice.choice(ways)
        if not by_tick:
            field_.cover(way, key)
        tool, arguments = ("moon-sample", ()) if by_tick else (station, ("--session", key))
        usual = field_.durations[tool, way]
        seconds = field_.dice.uniform(0, min(7.0, 1.2 * statistics.median(usual[-9:])) if usual else 7.0)
        began = time.monotonic()
        process = field_.start(way, tool, *arguments)
        try:
            process.wait(seconds)
            usual.append(time.monotonic() - began)
            figures.counts["ended before the kill"] += 1
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            figures.counts["kills"] += 1
            figures.counts[f"kills of {tool}, {way}"] += 1


def finish(field_: Field, sessions: list[str], ways: list[str]) -> None:
    """What the timer does afterwards; what waits after failures is asked for by name."""
    deadline = time.monotonic() + SETTLE + 60
    while time.monotonic() < deadline and any(not field_.links(key) for key in sessions):
        field_.run(ways[0], "moon-sample")
        time.sleep(1)
    for key in sessions:
        for _ in range(3):
            if field_.links(key):
                break
            for tool in ("moon-archive", "moon-index", "moon-rollover"):
                field_.run(ways[0], tool, "--session", key)
    field_.run(ways[0], "moon-sample")


def attack_with_runs(field_: Field, wanted: int, ways: list[str], figures: Figures) -> None:
    """Write to sessions in the last second before their reset, with several Moons at once."""
    numbers = iter(range(wanted))

    def work(worker: Field) -> None:
        delays: dict[str, list[float]] = {way: [] for way in ways}
        for number in numbers:
            way = ways[number % len(ways)]
            one_run(worker, number, way, delays[way], figures)
            say(f"runs: {figures.counts['runs']} of {wanted}, {len(figures.failures)} failures")

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(work, field_.for_worker(number)) for number in range(WORKERS)]:
            done.result()


def one_run(field_: Field, number: int, way: str, delays: list[float], figures: Figures) -> None:
    """One session, one message, one rollover."""
    key = field_.new_session(f"run{number}", ROLL_AT)
    for tool in ("moon-archive", "moon-index"):
        field_.run(way, tool, "--session", key)
    token = f"token-{number}-{field_.dice.randrange(10**6)}"
    method = "chat.send" if number % 4 < 2 else "agent"
    client = field_.connect()
    maps = set((field_.moon.home / "continuity").glob("*.md"))
    process = field_.start(way, "moon-rollover", "--session", key)
    # The map is the last thing that is written before the intent and the reset: a moment that can be seen from outside.
    while process.poll() is None and not set((field_.moon.home / "continuity").glob("*.md")) - maps:
        time.sleep(0.001)
    began = time.time()
    time.sleep(field_.dice.uniform(0, 0.8 * (statistics.median(delays[-9:]) if delays else 0.1)))
    sent_at = time.time()
    sender = threading.Thread(target=send, args=(client, method, key, token, figures))
    sender.start()
    process.wait(PATIENCE)
    sender.join(PATIENCE)
    client.close()
    judge_run(field_, key, way, method, token, sent_at, began, delays, figures)


def send(client: GatewaySocket, method: str, key: str, token: str, figures: Figures) -> None:
    """Send as a client does: what the gateway refuses outright is sent again."""
    text = f"Please answer this: {token} now"
    for attempt in range(4):
        turn: dict[str, Any] = {"message": text, "sessionKey": key, "idempotencyKey": f"{token}-{attempt}"}
        if method == "agent":
            turn.update(agentId="main", deliver=False)
        try:
            if client.call(method, turn, PATIENCE).get("status") in ("accepted", "started", "in_flight", "ok"):
                return
        except GatewayRefused:
            pass
        except MoonError as error:
            figures.failures.append(f"{key}: the sender met {error.message}")
            return
        figures.counts["not taken by the gateway, which said so, and sent again by its sender"] += 1
        time.sleep(0.3)


def judge_run(
    field_: Field,
    key: str,
    way: str,
    method: str,
    token: str,
    sent_at: float,
    began: float,
    delays: list[float],
    figures: Figures,
) -> None:
    """Wait until all is quiet; was the message answered, and was it in time to be cut?"""
    deadline = time.monotonic() + 30
    while not field_.links(key) and time.monotonic() < deadline:
        for tool in ("moon-archive", "moon-index", "moon-rollover"):
            field_.run(way, tool, "--session", key)
    answers = count_answers(field_, key, token)
    while not answers and time.monotonic() < deadline:
        time.sleep(0.5)
        answers = count_answers(field_, key, token)
    reset_at = next((stamp(line) for line in field_.lines(key) if line["type"] == "reset"), None)
    again = sum(
        "moon-again" in str(line["message"].get("idempotencyKey")) for line in field_.lines(key) if role(line) == "user"
    )
    if reset_at is not None and len(delays) < 200:
        delays.append(max(0.0, min(reset_at - began, 6.0)))
    figures.counts["runs"] += 1
    figures.counts[f"runs by {method}, {way}"] += 1
    figures.counts["cut off and sent again by Moon"] += again > 0
    if reset_at is not None:
        early = reset_at - sent_at
        when = "made the rollover wait" if early > 1.0 else "in the last second" if early >= 0 else "behind the reset"
        figures.counts[f"{when}, {way}"] += 1
    figures.counts["answered"] += answers > 0
    if answers != 1:
        figures.failures.append(f"{key}: {token} has {answers} answers ({method}, {way})")
    picture = field_.picture(key)
    figures.counts["whole"] += picture == (1, 1, 1)
    if picture != (1, 1, 1):
        figures.failures.append(f"{key}: {picture[0]} resets, {picture[1]} maps, {picture[2]} links")


def count_answers(field_: Field, key: str, token: str) -> int:
    """How often the assistant answered a message."""
    return sum(f"answer-to-{token}" in str(content(line)) for line in field_.lines(key) if role(line) == "assistant")


def stamp(line: dict[str, Any]) -> float:
    """When an event was written, in seconds since the epoch."""
    from moon.clock import parse_ms

    return (parse_ms(line["timestamp"]) or 0) / 1000


def say(words: str) -> None:
    """Progress, for people."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def attack(name: str, seed: int, folder: Path | None, work: Callable[[Field, Figures], None]) -> Figures:
    """One attack in a scratch folder of its own, which stays when something failed."""
    figures = Figures()
    scratch = Path(tempfile.mkdtemp(prefix=f"moon-{name}-", dir=folder))
    say(f"{name}: seed {seed}, in {scratch}")
    arena = Field(scratch, seed)
    try:
        work(arena, figures)
    finally:
        arena.close()
    if not figures.failures:
        shutil.rmtree(scratch, ignore_errors=True)
    for what, count in sorted(figures.counts.items()):
        print(f"{name}: {what}: {count}")
    for failure in figures.failures:
        print(f"{name}: FAILED {failure}")
    print(f"{name}: {'FAILED' if figures.failures else 'ok'}", flush=True)
    return figures


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--way", choices=["socket", "command", "both"], default="both", help="how Moon asks the gateway"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to make the scratch folders")
    options = parser.parse_args()
    ways = ["socket", "command"] if options.way == "both" else [options.way]
    attacks: list[tuple[str, int, Callable[[Field, Figures], None]]] = [
        ("kills", options.kills, lambda arena, figures: attack_with_kills(arena, options.kills, ways, figures)),
        ("runs", options.runs, lambda arena, figures: attack_with_runs(arena, options.runs, ways, figures)),
    ]
    done = [attack(name, options.seed, options.folder, work) for name, wanted, work in attacks if wanted]
    return 1 if any(figures.failures for figures in done) else 0


if __name__ == "__main__":
    sys.exit(main())
