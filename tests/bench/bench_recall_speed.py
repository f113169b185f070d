"""How long an answer takes (`make bench-recall-speed DATA=conversations.json EVENTS=1000000`).

A store of so many events is written, its texts woven from the words of the conversations and a long tail of made-up
ones, in the frequencies of natural language. It goes through the real moon-archive and moon-index. Then each question
is put to three programs in turn: a whole `moon-recall` process, a whole `qmd search` process over the same text (when
QMD is installed in .cache/), and a warm MCP server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

from bench_recall import ROOT, Moon, header, questions, turns
from measure import REAL as PROGRAMS

AGENTS = 10
SESSION_EVENTS = 200
QUESTIONS = 40
SYLLABLES = (
    "ba",
    "co",
    "di",
    "fu",
    "ge",
    "ho",
    "ki",
    "lo",
    "ma",
    "ne",
    "pi",
    "ra",
    "sto",
    "tri",
    "vel",
    "wex",
    "yon",
    "zar",
)
MADE_UP = 60_000


class Weaver:
    """Makes messages in which words are as rare and as common as in talk."""

    def __init__(self, samples: list[dict[str, Any]], seed: int = 7) -> None:
        self.random = random.Random(seed)
        texts = [turn.text for sample in samples for turn in turns(sample)]
        self.words = [word for text in texts for word in text.split()]
        self.tail = ["".join(self.random.choices(SYLLABLES, k=self.random.randint(2, 5))) for _ in range(MADE_UP)]
        self.weights = list(accumulate(1 / (at + 10) for at in range(MADE_UP)))

    def message(self) -> str:
        """One message: pieces of three words from the conversations, and rare words between them."""
        length = max(3, int(self.random.lognormvariate(2.9, 0.6)))
        woven: list[str] = []
        while len(woven) < length:
            at = self.random.randrange(len(self.words) - 3)
            woven += self.words[at : at + 3]
            if self.random.random() < 0.3:
                woven.append(self.tail[bisect(self.weights, self.random.random() * self.weights[-1])])
        return " ".join(woven)


def write_store(weaver: Weaver, state: Path, events: int) -> None:
    """Write so many messages as JSONL transcripts of some agents."""
    when = datetime(2024, 1, 1, tzinfo=timezone.utc)
    for agent in range(AGENTS):
        folder = state / "agents" / f"agent{agent}" / "sessions"
        folder.mkdir(parents=True)
        entries = {}
        for session in range(events // AGENTS // SESSION_EVENTS):
            name = f"session-{agent}-{session}"
            entries[f"agent:agent{agent}:s{session}"] = {"sessionId": name}
            start = when + timedelta(hours=6 * session)
            (folder / f"{name}.jsonl").write_text("\n".join(transcript(weaver, name, start)) + "\n", encoding="utf-8")
        (folder / "sessions.json").write_text(json.dumps(entries))


def transcript(weaver: Weaver, name: str, start: datetime) -> Iterator[str]:
    yield header(name, start.replace(tzinfo=None))
    for place in range(SESSION_EVENTS):
        role = ("user", "assistant")[place % 2]
        body = {"role": role, "content": [{"type": "text", "text": weaver.message()}]}
        when = f"{(start + timedelta(seconds=30 * place)).replace(tzinfo=None).isoformat()}Z"
        event = {"type": "message", "id": f"{name}-{place}", "parentId": None, "timestamp": when, "message": body}
        yield json.dumps(event, ensure_ascii=False)


def time_process(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


async def time_server(moon: Moon, asked: list[str]) -> list[float]:
    """Seconds for each question to a warm server, as the official client sees them."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    server = StdioServerParameters(command=str(ROOT / "bin" / "moon-recall"), args=["--mcp"], env=moon.environment)
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        taken = []
        for text in [asked[0], *asked]:
            started = time.perf_counter()
            await session.call_tool("search_history", {"query": text})
            taken.append(time.perf_counter() - started)
        return taken[1:]


def bench(samples: list[dict[str, Any]], events: int, folder: Path) -> None:
    asked = [question.text for question in questions(samples)]
    asked = random.Random(1).sample(asked, min(QUESTIONS, len(asked)))
    moon = Moon(folder)
    has_qmd = (PROGRAMS / "qmd").exists()
    if has_qmd:
        moon.environment.update(
            PATH=f"{PROGRAMS}{os.pathsep}{moon.environment['PATH']}",
            HOME=str(folder),
            XDG_CACHE_HOME=str(folder / "cache"),
            XDG_CONFIG_HOME=str(folder / "config"),
            MOON_QMD__ENABLED="auto",
            MOON_QMD__TIMEOUT_SECONDS="3600",
        )
    write_store(Weaver(samples), folder / "state", events)
    moon.run("moon-archive", "--all")
    started = time.perf_counter()
    moon.run("moon-index", "--all")
    print(f"{events} events; indexed in {time.perf_counter() - started:.0f} s; {len(asked)} questions, medians:")
    recall = [str(ROOT / "bin" / "moon-recall"), "--json"]
    search = [str(PROGRAMS / "qmd"), "--index", "moon", "search", "--json", "-c", "history", "-n", "10"]
    taken: dict[str, list[float]] = {"moon-recall process": [], "qmd search process": []}
    for text in asked:
        taken["moon-recall process"].append(time_process([*recall, text], moon.environment))
        if has_qmd:
            taken["qmd search process"].append(time_process([*search[:4], text, *search[4:]], moon.environment))
    taken["warm MCP server"] = asyncio.run(time_server(moon, asked))
    for name, values in taken.items():
        if values:
            print(f"  {name:<22} {median(values) * 1000:7.1f} ms")
    if not has_qmd:
        print("  no QMD in .cache/ (`make e2e` installs it), so nothing to compare with")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("DATA", ""), help="conversations in LoCoMo's form")
    parser.add_argument("--events", type=int, default=int(os.environ.get("EVENTS", "1000000")))
    parser.add_argument("--keep", type=Path, help="use this folder and leave it there")
    options = parser.parse_args()
    if not options.data:
        print("bench-recall-speed: say which data: make bench-recall-speed DATA=conversations.json", file=sys.stderr)
        return 2
    folder = options.keep or Path(tempfile.mkdtemp())
    try:
        bench(json.loads(Path(options.data).read_text(encoding="utf-8")), options.events, folder)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
