"""What indexing costs, beside the same text straight into FTS5 in the same run; the size of the index; one new segment.

`python tests/bench/bench_index.py [--events 20000] [--seed 7]`. Text is woven from the pages in `docs/` and words of a
long tail, about 780 bytes an event; nothing of it depends on the machine but the seconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from measure import REPO, environment, run

EVENTS_OF_A_SESSION = 400
TAIL = 40_000


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: float
    unit: str


class Weaver:
    """Messages with the word statistics of prose: three words at a time that stand together, at times a rare one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pages = "\n".join(path.read_text("utf-8") for path in sorted((REPO / "docs").rglob("*.md")))
        # Plain words only: signs and code stand there far more often than in talk.
        self.words = [each for each in pages.split() if re.fullmatch(r"[A-Za-z][a-z'-]*[,.?!]?", each)]
        letters = "etaoinshrdlucmfwypvbgk"
        self.tail = ["".join(self.random.choices(letters, k=self.random.randint(4, 11))) for _ in range(TAIL)]
        self.weights = list(accumulate(1 / (at + 10) for at in range(TAIL)))

    def message(self) -> str:
        """One message of about ninety words."""
        length = max(3, int(self.random.lognormvariate(4.3, 0.6)))
        woven: list[str] = []
        while len(woven) < length:
            at = self.random.randrange(len(self.words) - 3)
            woven += self.words[at : at + 3]
            if self.random.random() < 0.2:
                woven += self.random.choices(self.tail, cum_weights=self.weights)
        return " ".join(woven)


def session_lines(weaver: Weaver, session: str, events: int, start: int) -> Iterator[str]:
    """A transcript as OpenClaw writes one."""
    yield json.dumps({"type": "session", "version": 3, "id": session})
    for number in range(events):
        at = start + 30_000 * number
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + ".000Z"
        ids = [f"{weaver.random.getrandbits(32):08x}" for _ in range(2)]
        body = {"role": ("user", "assistant")[number % 2], "content": [{"type": "text", "text": weaver.message()}]}
        event = {"type": "message", "id": ids[0], "parentId": ids[1], "timestamp": when, "message": body}
        yield json.dumps(event, ensure_ascii=False)


def write_store(folder: Path, weaver: Weaver, events: int) -> int:
    """A JSONL store of so many events; the bytes of its transcripts."""
    sessions = folder / "openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    entries, written = {}, 0
    for number in range(-(-events // EVENTS_OF_A_SESSION)):
        session = f"00000000-0000-4000-8000-{number:012d}"
        entries[f"agent:main:s{number}"] = {"sessionId": session}
        start = 1_700_000_000_000 + number * 20 * 3_600_000
        path = sessions / f"{session}.jsonl"
        lines = session_lines(weaver, session, min(EVENTS_OF_A_SESSION, events), start)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        written += path.stat().st_size
    (sessions / "sessions.json").write_text(json.dumps(entries))
    return written


def raw_fts5(folder: Path) -> float:
    """CPU seconds for the same texts straight into a table of FTS5."""
    texts = [
        event["message"]["content"][0]["text"]
        for path in (folder / "openclaw").rglob("*.jsonl")
        for event in map(json.loads, path.read_text("utf-8").splitlines())
        if event["type"] == "message"
    ]
    database = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    started = time.process_time()
    for at in range(0, len(texts), 5000):
        database.execute("BEGIN")
        database.executemany("INSERT INTO words (text) VALUES (?)", [(each,) for each in texts[at : at + 5000]])
        database.execute("COMMIT")
    taken = time.process_time() - started
    database.close()
    return taken


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def figures(events: int, seed: int, prefix: str | None = None) -> list[Figure]:
    """Everything, measured once."""
    with tempfile.TemporaryDirectory(prefix="moon-bench-", dir=prefix) as name:
        folder, weaver = Path(name), Weaver(seed)
        written = write_store(folder, weaver, events)
        # The rule set that is kept elsewhere takes seconds to start; that is a figure of its own.
        scratch = environment(folder, MOON_REDACT__RULES="builtin")
        run([str(REPO / "bin" / "moon-archive"), "--all"], scratch)
        index = [str(REPO / "bin" / "moon-index")]
        made = run([*index, "--all"], scratch)
        kept = run([*index, "--rebuild"], {**scratch, "MOON_REDACT__RULES": "auto"})
        idle = run([*index, "--session", "agent:main:s0"], scratch)
        raw = raw_fts5(folder)
        home = folder / "moon"
        size = size_of(home / "index")
        archives = size_of(home / "archives" / "raw")
        write_store(folder / "more", weaver, EVENTS_OF_A_SESSION)
        more = next((folder / "more").rglob("*0.jsonl"))
        sessions = folder / "openclaw" / "agents" / "main" / "sessions"
        session = "00000000-0000-4000-8000-999999999999"
        (sessions / f"{session}.jsonl").write_bytes(more.read_bytes())
        entries = json.loads((sessions / "sessions.json").read_text())
        entries["agent:main:late"] = {"sessionId": session}
        (sessions / "sessions.json").write_text(json.dumps(entries))
        run([str(REPO / "bin" / "moon-archive"), "--session", "agent:main:late"], scratch)
        late = run([*index, "--session", "agent:main:late"], scratch)
        return [
            Figure("events", events, ""),
            Figure("bytes an event", written / events, "B"),
            Figure("moon-index, all of it", made.cpu, "s CPU"),
            Figure("moon-index, events a second", events / made.cpu, "1/s"),
            Figure("moon-index, speed", written / 1e6 / made.cpu, "MB/s"),
            Figure("the same text straight into FTS5", raw, "s CPU"),
            Figure("moon-index against FTS5", made.cpu / raw, "x"),
            Figure("the kept rule set more, all of it", kept.cpu - made.cpu, "s CPU"),
            Figure("moon-index, memory", made.peak_mib, "MiB"),
            Figure("moon-index with nothing new", idle.cpu, "s CPU"),
            Figure(f"moon-index, {EVENTS_OF_A_SESSION} events more", late.cpu - idle.cpu, "s CPU"),
            Figure("index/ against the transcripts", size / written, "x"),
            Figure("archives/raw/ against the transcripts", archives / written, "x"),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", help="where to make it (default: the system's temporary folder)")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    for figure in figures(options.events, options.seed, options.folder):
        print(f"  {figure.name:<42} {figure.value:12.3f} {figure.unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
