"""What archiving costs: new text in either store, nothing new, one message more, and restoring, beside plain work."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from figures import Curve, Figure, times
from measure import REPO, Cost, add_session, environment, median, run, sqlite_store
from woven_text import Weaver, event_line

PYTHON = str(REPO / ".venv" / "bin" / "python")
ARCHIVE = str(REPO / "bin" / "moon-archive")
SESSION = "00000000-0000-4000-8000-000000000001"
KEY = "agent:main:large"
HASH = (
    "import hashlib, sys; t = hashlib.sha256(); f = open(sys.argv[1], 'rb', 0)\nwhile b := f.read(1 << 20): t.update(b)"
)


def make_jsonl(folder: Path, lines: Iterator[bytes]) -> Path:
    """A JSONL store with one transcript; its file."""
    sessions = folder / "openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "sessions.json").write_text(f'{{"{KEY}": {{"sessionId": "{SESSION}", "updatedAt": 1793614500000}}}}')
    path = sessions / f"{SESSION}.jsonl"
    with path.open("wb") as stream:
        stream.writelines(line + b"\n" for line in lines)
    return path


def open_writable(path: Path) -> sqlite3.Connection:
    """OpenClaw's table checks itself with a function that SQLite has since 3.43."""
    database = sqlite3.connect(path)
    database.create_function("octet_length", 1, lambda text: len(text.encode()), deterministic=True)
    return database


def make_sqlite(folder: Path, lines: Iterator[bytes]) -> int:
    """A SQLite store with one transcript; the size of its events."""
    database = open_writable(sqlite_store(folder))
    total = 0

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal total
        for number, line in enumerate(lines):
            total += len(line) + 1
            yield SESSION, number, line.decode(), 1793614500000, len(line)

    with database:
        add_session(database, KEY, SESSION, 9000)
        database.executemany(
            "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes)"
            " VALUES (?, ?, ?, ?, ?)",
            rows(),
        )
        database.execute(
            "INSERT OR REPLACE INTO transcript_rewrite_watermarks VALUES (?, 'one', 1793614500000)", (SESSION,)
        )
    database.close()
    return total


def speed(size: int, cost: Cost, start: Cost) -> str:
    """Megabytes a second of CPU, less what the process costs before it has anything to do."""
    return f"{size / 1e6 / max(cost.cpu - start.cpu, 1e-3):.0f} MB/s"


def new_text(folder: Path, seed: int, sizes: list[int], event_bytes: int) -> tuple[list[Figure], list[Curve]]:
    """Transcripts that nothing is archived of, from small to large."""
    figures, curves = [], []
    for generation in ("sqlite", "jsonl"):
        points, start, done, made = [], Cost(0, 0, 0), Cost(0, 0, 0), 0
        for size in (1, *sizes):
            place = folder / f"{generation}-{size}"
            lines = Weaver(seed).lines(SESSION, size, event_bytes)
            made = make_sqlite(place, lines) if generation == "sqlite" else make_jsonl(place, lines).stat().st_size
            scratch = environment(place)
            done = run([ARCHIVE, "--session", KEY], scratch)
            if size == 1:
                start = done
            else:
                points.append((made / 1e6, done.cpu - start.cpu))
            if size == sizes[-1]:
                disk = sum(each.stat().st_size for each in (place / "moon" / "archives").rglob("*") if each.is_file())
            if generation == "sqlite" or size != sizes[-1]:
                shutil.rmtree(place)
        what = f"archive {made / 1e6:.0f} MB, {event_bytes:,} B an event, {generation}"
        wanted = "≥ 60 MB/s" if event_bytes < 2_000 else "≥ 150 MB/s"
        size_on_disk = f"{speed(made, done, start)}; archives {disk / made:.2f} × the text"
        figures.append(Figure(what, done, size_on_disk, f"{wanted}; ≤ 0.35 ×; < 100 MiB"))
        curves.append(Curve(f"{event_bytes:,} B an event, {generation}", points))
    return figures + _beside(folder / f"jsonl-{sizes[-1]}", made), curves


def _beside(place: Path, size: int) -> list[Figure]:
    """Plain work on the same bytes."""
    path = place / "openclaw" / "agents" / "main" / "sessions" / f"{SESSION}.jsonl"
    scratch = environment(place)
    programs = {"SHA-256 of the same file": [PYTHON, "-c", HASH, str(path)], "cp": ["cp", str(path), str(place / "c")]}
    if shutil.which("zstd"):
        programs["zstd -1 of the same file"] = ["zstd", "-1", "-q", "-f", "--single-thread", str(path)]
    costs = {name: run(argv, scratch) for name, argv in programs.items()}
    shutil.rmtree(place)
    start = Cost(0, 0, 0)
    return [Figure(name, cost, speed(size, cost, start)) for name, cost in costs.items()]


def nothing_new(folder: Path, counts: list[int]) -> tuple[list[Figure], Curve]:
    """Every session asked for once more."""
    figures, points = [], []
    for count in counts:
        place = folder / f"quiet-{count}"
        database = open_writable(sqlite_store(place))
        with database:
            for number in range(count):
                session_id = f"00000000-0000-4000-8000-{number:012d}"
                add_session(database, f"agent:main:number-{number}", session_id, 9000)
                line = event_line(f"{number:08x}", None, "user", f"the one message of session {number}").decode()
                row = (session_id, line, 1793614500000, len(line))
                database.execute(
                    "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes) "
                    "VALUES (?, 0, ?, ?, ?)",
                    row,
                )
        database.close()
        scratch = environment(place)
        run([ARCHIVE, "--all"], scratch)
        done = run([ARCHIVE, "--all"], scratch)
        figures.append(Figure(f"archive, nothing new in {count:,} sessions", done, "", "< 1 s at 2,000"))
        points.append((float(count), done.cpu - run([ARCHIVE, "--session", "agent:main:number-0"], scratch).cpu))
        shutil.rmtree(place)
    return figures, Curve("nothing new", points)


def one_message(folder: Path, seed: int) -> list[Figure]:
    """One message more in a session of 4,000, and in one of none."""
    costs = {}
    for name, events in (("an empty session", 0), ("a session of 4,000", 4_000)):
        place = folder / f"one-{events}"
        weaver = Weaver(seed)
        make_sqlite(place, weaver.lines(SESSION, events * 780, 780))
        path = place / "openclaw" / "agents" / "main" / "agent" / "openclaw-agent.sqlite"
        scratch = environment(place)
        run([ARCHIVE, "--session", KEY], scratch)
        costs[name] = median([_one_more(path, scratch, weaver, number) for number in range(7)])
        shutil.rmtree(place)
    empty, long = costs.values()
    return [
        Figure("archive one new message in an empty session", empty),
        Figure("the same in a session of 4,000", long, times(long, empty, "that"), "≤ 1.3 ×"),
    ]


def _one_more(path: Path, scratch: dict[str, str], weaver: Weaver, number: int) -> Cost:
    database = open_writable(path)
    line = event_line(f"more-{number}", None, "user", weaver.text(500)).decode()
    with database:
        database.execute(
            "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes) "
            "VALUES (?, (SELECT max(seq) + 1 FROM transcript_events WHERE session_id = ?), ?, ?, ?)",
            (SESSION, SESSION, line, 1793614500000 + number, len(line)),
        )
        database.execute("UPDATE session_windows SET transcript_updated_at = ?", (1793614500000 + number,))
    database.close()
    row = {"agent": "main", "session_key": KEY, "session_id": SESSION, "used_tokens": None, "window_tokens": None}
    row |= {"budget_tokens": None, "ratio": None, "fresh": False, "age_seconds": None, "active": False}
    usage = {"schema": "moon.usage/1", "taken_at": "2026-11-02T10:15:00.000Z", "provider": "store"}
    document = {**usage, "sessions": [{**row, "state": "Normal", "due": ["archive"]}]}
    (path.parent / "usage.json").write_text(json.dumps(document))
    return run([ARCHIVE, "--cycle", str(path.parent / "usage.json")], scratch)


def restoring(folder: Path, counts: list[int]) -> tuple[list[Figure], Curve]:
    """A session in which one event after the other came back changed."""
    figures, points = [], []
    place = folder / "revised"
    path = make_jsonl(place, iter([b'{"type":"session","id":"s"}']))
    scratch = environment(place)
    done = 0
    start = run([ARCHIVE, "--help"], scratch)
    for count in counts:
        script = REPO / "tests" / "bench" / "revise.py"
        run([PYTHON, str(script), str(path), str(done), str(count)], scratch)
        done = count
        target = str(place / f"restored-{count}")
        cost = median([run([ARCHIVE, "--restore", KEY, "--to", f"{target}-{each}"], scratch) for each in range(5)])
        figures.append(Figure(f"restore, {count:,} revisions", cost))
        points.append((float(count), cost.cpu - start.cpu))
    shutil.rmtree(place)
    return figures, Curve("restore", points)
