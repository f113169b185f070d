"""What indexing and one answer cost as the archive grows, beside the same text straight into FTS5, ripgrep and `qmd`.

Text is woven from the pages in `docs/` and words of a long tail, about 700 bytes an event; nothing of it depends on the
machine but the seconds.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from figures import Curve, Figure, times
from measure import REAL, REPO, Cost, environment, median, run

EVENTS_OF_A_SESSION = 400
TAIL = 40_000
# Pages for QMD are made, and QMD is asked, up to so many events: it reads every page at each update.
QMD_EVENTS = 60_000
QUESTION_WORDS = 7
WARM = 40
ARCHIVE, INDEX, RECALL = (str(REPO / "bin" / f"moon-{tool}") for tool in ("archive", "index", "recall"))
NOTHING = Cost(0, 0, 0)


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


def raw_fts5(folder: Path) -> Cost:
    """The same texts straight into a table of FTS5; CPU of the rows alone."""
    texts = [
        event["message"]["content"][0]["text"]
        for path in (folder / "openclaw").rglob("*.jsonl")
        for event in map(json.loads, path.read_text("utf-8").splitlines())
        if event["type"] == "message"
    ]
    database = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    started, began = time.process_time(), time.monotonic()
    for at in range(0, len(texts), 5000):
        database.execute("BEGIN")
        database.executemany("INSERT INTO words (text) VALUES (?)", [(each,) for each in texts[at : at + 5000]])
        database.execute("COMMIT")
    taken = Cost(time.process_time() - started, time.monotonic() - began, 0)
    database.close()
    return taken


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Built(NamedTuple):
    """An archive of so many events that was indexed, on a scratch machine of its own."""

    folder: Path
    scratch: dict[str, str]
    events: int
    written: int
    index: Cost

    @property
    def home(self) -> Path:
        return self.folder / "moon"

    @property
    def named(self) -> str:
        return f"{self.events:,} events"


def build(folder: Path, seed: int, events: int) -> Built:
    """Write a store, archive it and index it."""
    place = folder / f"index-{events}"
    written = write_store(place, Weaver(seed), events)
    # The rule set that is kept elsewhere takes seconds to start; that is a figure of its own.
    scratch = environment(place, MOON_REDACT__RULES="builtin")
    run([ARCHIVE, "--all"], scratch)
    return Built(place, scratch, events, written, run([INDEX, "--all"], scratch))


def measure(folder: Path, seed: int, counts: list[int], rounds: int) -> list[tuple[list[Figure], list[Curve]]]:
    """(figures, curves) of indexing, and of answers."""
    indexing, one_more, cold, warm = [], [], [], []
    index_figures: list[Figure] = []
    recall_figures: list[Figure] = []
    for events in counts:
        built = build(folder, seed, events)
        idle = median([run([INDEX, "--session", "agent:main:s0"], built.scratch) for _ in range(3)])
        indexing.append((float(events), built.index.cpu - idle.cpu))
        index_figures += _indexed(built, idle)
        late = _one_segment_more(built, seed)
        index_figures.append(Figure(f"{EVENTS_OF_A_SESSION} events into an index of {built.named}", late))
        one_more.append((float(events), late.cpu))
        answers, warm_answer = _answers(built, seed, rounds)
        cold.append((float(events), answers.cpu))
        warm.append((float(events), warm_answer.cpu))
        recall_figures += _answered(built, answers, warm_answer)
        if events == max(each for each in counts if each <= QMD_EVENTS):
            index_figures += _beside_index(built)
            recall_figures += _beside_answer(built, answers)
        shutil.rmtree(built.folder)
    return [
        (index_figures, [Curve("all of it", indexing), Curve(f"{EVENTS_OF_A_SESSION} events more", one_more)]),
        (recall_figures, [Curve("an answer, whole process", cold), Curve("an answer, warm", warm)]),
    ]


def _indexed(built: Built, idle: Cost) -> list[Figure]:
    spent = built.index.cpu - idle.cpu
    speed = f"{built.events / spent:,.0f} events/s; {built.written / 1e6 / spent:.1f} MB/s"
    size = size_of(built.home / "index")
    disk = f"{size / built.written:.2f} × the text"
    wanted = "≥ 12,000 events/s; ≥ 10 MB/s; < 200 MiB"
    return [
        Figure(f"moon-index, {built.named}, {built.written / 1e6:.0f} MB", built.index, speed, wanted),
        Figure(f"index/ of {built.named}, on disk", Cost(0, 0, size / (1 << 20)), disk, "≤ 0.65 ×"),
        Figure(f"moon-index with nothing new, {built.named}", idle),
    ]


def _one_segment_more(built: Built, seed: int) -> Cost:
    """What indexing one more session costs."""
    more = built.folder / "more"
    write_store(more, Weaver(seed + 1), EVENTS_OF_A_SESSION)
    sessions = built.folder / "openclaw" / "agents" / "main" / "sessions"
    session = "00000000-0000-4000-8000-999999999999"
    (sessions / f"{session}.jsonl").write_bytes(next(more.rglob("*0.jsonl")).read_bytes())
    entries = json.loads((sessions / "sessions.json").read_text())
    entries["agent:main:late"] = {"sessionId": session}
    (sessions / "sessions.json").write_text(json.dumps(entries))
    run([ARCHIVE, "--session", "agent:main:late"], built.scratch)
    return run([INDEX, "--session", "agent:main:late"], built.scratch)


def _questions(seed: int, count: int) -> list[str]:
    """Questions of some words that stand together in the text, and some that do not."""
    weaver = Weaver(seed + 2)
    return [" ".join(weaver.message().split()[:QUESTION_WORDS]) for _ in range(count)]


def _answers(built: Built, seed: int, rounds: int) -> tuple[Cost, Cost]:
    """(one question in a process of its own, one more question to a process that answers already)"""
    asked = _questions(seed, WARM + 1)
    cold = median([run([RECALL, "--json", each], built.scratch) for each in asked[:rounds]])
    few, many = built.folder / "few.txt", built.folder / "many.txt"
    few.write_text(f"{asked[0]}\n")
    many.write_text("".join(f"{each}\n" for each in asked))
    first, all_of_them = (run([RECALL, "--queries", str(each)], built.scratch) for each in (few, many))
    warm = Cost((all_of_them.cpu - first.cpu) / WARM, (all_of_them.wall - first.wall) / WARM, all_of_them.peak_mib)
    return cold, warm


def _answered(built: Built, cold: Cost, warm: Cost) -> list[Figure]:
    return [
        Figure(f"moon-recall, one answer from {built.named}", cold, "", "< 80 ms at 1,000,000"),
        Figure(f"one more answer of the same process, {built.named}", warm, "", "< 25 ms"),
    ]


def _beside_index(built: Built) -> list[Figure]:
    raw = raw_fts5(built.folder)
    kept = run([INDEX, "--rebuild"], {**built.scratch, "MOON_REDACT__RULES": "auto"})
    speed = f"{built.events / raw.cpu:,.0f} rows/s; moon-index takes {built.index.cpu / raw.cpu:.1f} × that"
    more = Cost(max(0.0, kept.cpu - built.index.cpu), max(0.0, kept.wall - built.index.wall), kept.peak_mib)
    return [
        Figure(f"the same text straight into FTS5, {built.named}", raw, speed, "≤ 3 ×"),
        Figure(f"the rule set that is kept elsewhere, more for {built.named}", more),
    ]


def _beside_answer(built: Built, answer: Cost) -> list[Figure]:
    found = []
    ripgrep = shutil.which("rg") or shutil.which(str(REPO / ".cache" / "ripgrep" / "rg"))
    if ripgrep:
        raw = str(built.home / "archives" / "raw")
        cost = median([run([ripgrep, "-z", "-c", "segment", raw], built.scratch) for _ in range(3)])
        found.append(
            Figure(f"ripgrep over the archives, {built.named}", cost, f"an answer is {times(answer, cost, 'that')}")
        )
    if (REAL / "qmd").exists():
        found += _beside_qmd(built, answer)
    return found


def _beside_qmd(built: Built, answer: Cost) -> list[Figure]:
    pages = {**built.scratch, "MOON_INDEX__PROJECTION": "always"}
    run([INDEX, "--all"], pages)
    real = {**built.scratch, "PATH": f"{REAL}{os.pathsep}{built.scratch['PATH']}"}
    qmd = [str(REAL / "qmd"), "--index", "bench"]
    update = run([*qmd, "collection", "add", str(built.home / "archives" / "md"), "--name", "history"], real)
    again = run([*qmd, "update"], real)
    asked = _questions(0, 1)[0]
    search = median([run([*qmd, "search", asked, "--json"], real) for _ in range(3)])
    return [
        Figure(f"qmd collection add, {built.named}", update),
        Figure("qmd update with nothing new", again),
        Figure("qmd search", search, f"an answer is {times(answer, search, 'that')}", "≤ 0.10 ×"),
    ]


def sqlite_version() -> str:
    """Of this interpreter."""
    return sqlite3.sqlite_version
