"""What a tick costs: with nothing moved, with everything to look at, and beside the interpreter and OpenClaw itself."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

from figures import Curve, Figure, times
from measure import REAL, REPO, Cost, add_session, environment, median, run, sqlite_store

PYTHON = str(REPO / ".venv" / "bin" / "python")
TICK = [str(REPO / "bin" / "moon-sample")]
# More transcripts than this are not archived first, which would take longer than all that is measured.
TRANSCRIPTS = 1_000


def prepare(folder: Path, sessions: int) -> Path:
    """The recorded store of one agent with so many sessions, entries as large as real ones; its database."""
    path = sqlite_store(folder)
    for agent in ("ops", "research"):
        shutil.rmtree(folder / "openclaw" / "agents" / agent)
    database = sqlite3.connect(path)
    # OpenClaw's table checks itself with a function that SQLite has since 3.43.
    database.create_function("octet_length", 1, lambda text: len(text.encode()), deterministic=True)
    with database:
        known = database.execute("SELECT count(*) FROM session_nodes").fetchone()[0]
        for number in range(sessions - known):
            session_id = f"00000000-0000-4000-8000-{number:012d}"
            add_session(database, f"agent:main:number-{number}", session_id, 9000)
            if number >= TRANSCRIPTS:
                continue
            header = json.dumps({"type": "session", "version": 4, "id": session_id})
            row = (session_id, header, 1793614500000, len(header))
            database.execute(
                "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes) "
                "VALUES (?, 0, ?, ?, ?)",
                row,
            )
    database.close()
    return path


def settle(scratch: dict[str, str]) -> None:
    """Ticks until nothing is due and no file is too new to be trusted: the first ones archive and index everything."""
    for _ in range(4):
        run(TICK, scratch)
        time.sleep(0.3)


def measure(folder: Path, counts: list[int], rounds: int) -> tuple[list[Figure], list[Curve]]:
    """The figures, and how a tick grows with the number of sessions."""
    figures, still, looking = [], [], []
    bare = Cost(0, 0, 0)
    first = 0.0
    for count in counts:
        place = folder / f"tick-{count}"
        prepare(place, count)
        scratch = environment(place, MOON_ROLLOVER__MODE="off", MOON_PRUNE__MODE="off")
        settle(scratch)
        bare = median([run([PYTHON, "-E", "-s", "-c", "pass"], scratch) for _ in range(rounds)])
        quiet = median([run(TICK, scratch) for _ in range(rounds)])
        looks = median([_look(place, scratch) for _ in range(max(3, rounds // 4))])
        first = first or quiet.cpu
        wanted = "≤ 3 ×" if count <= 20 else "< 1.5 × that at 20" if count <= 1000 else "< 4 × that at 20"
        figures.append(Figure(f"idle tick, {named(count)}", quiet, times(quiet, bare, "the interpreter"), wanted))
        what = f"tick that looks at everything, {named(count)}"
        figures.append(Figure(what, looks, times(looks, bare, "the interpreter")))
        if count <= 1000 and (REAL / "openclaw").exists():
            figures.append(_beside_openclaw(scratch, quiet, count))
        still.append((float(count), quiet.cpu))
        looking.append((float(count), looks.cpu))
        shutil.rmtree(place)
    figures.append(_jsonl_tick(folder, min(max(counts), TRANSCRIPTS), bare, rounds))
    figures.insert(0, Figure("the interpreter alone", bare))
    return figures, [Curve("nothing moved", still), Curve("looks at everything", looking)]


def _jsonl_tick(folder: Path, count: int, bare: Cost, rounds: int) -> Figure:
    """An idle tick beside a store of the older kind: one file for each transcript, each of which is looked at."""
    place = folder / f"tick-jsonl-{count}"
    sessions = place / "openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    entries = {}
    for number in range(count):
        session_id = f"00000000-0000-4000-8000-{number:012d}"
        entries[f"agent:main:number-{number}"] = {"sessionId": session_id, "updatedAt": 1793614500000}
        (sessions / f"{session_id}.jsonl").write_text(json.dumps({"type": "session", "version": 3, "id": session_id}))
    (sessions / "sessions.json").write_text(json.dumps(entries))
    scratch = environment(place, MOON_ROLLOVER__MODE="off", MOON_PRUNE__MODE="off")
    settle(scratch)
    quiet = median([run(TICK, scratch) for _ in range(rounds)])
    shutil.rmtree(place)
    return Figure(f"idle tick, {named(count)} in JSONL files", quiet, times(quiet, bare, "the interpreter"))


def named(count: int) -> str:
    """`1 session`, `1,000 sessions`."""
    return f"{count:,} session{'' if count == 1 else 's'}"


def _look(folder: Path, scratch: dict[str, str]) -> Cost:
    (folder / "moon" / "state" / "cache" / "quiet").unlink(missing_ok=True)
    return run(TICK, scratch)


def _beside_openclaw(scratch: dict[str, str], quiet: Cost, count: int) -> Figure:
    real = {**scratch, "PATH": f"{REAL}{os.pathsep}{scratch['PATH']}"}
    asked = median([run([str(REAL / "openclaw"), "sessions", "--json", "--all-agents"], real) for _ in range(3)])
    ratio = f"an idle tick is 1/{asked.cpu / quiet.cpu:.0f} of it"
    return Figure(f"openclaw sessions --json, {named(count)}", asked, ratio, "≤ 1/45")
