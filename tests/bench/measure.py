"""What the benches share: run a program and see what it cost; stores large enough to measure on."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.append(str(REPO))

from tests.e2e.install import bin_dir  # noqa: E402

# The real OpenClaw and QMD, once `make e2e` has installed them.
REAL = bin_dir()
RECORDED = REPO / "tests" / "recorded" / "sqlite"
WORDS = (
    "the",
    "of",
    "relay",
    "station",
    "battery",
    "voltage",
    "log",
    "plan",
    "deploy",
    "error",
    "restart",
    "window",
    "a",
)


@dataclass(frozen=True)
class Cost:
    """What one run of a program took, its children included."""

    cpu: float
    wall: float
    peak_mib: float


def run(argv: Sequence[str], environment: dict[str, str]) -> Cost:
    """Run to the end; its output goes nowhere. Raises when it fails."""
    started = time.monotonic()
    child = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}: {errors.decode()[-500:]}")
    # Linux counts in KiB, macOS in bytes.
    peak = usage.ru_maxrss / (1024 if os.uname().sysname == "Linux" else 1024 * 1024)
    return Cost(usage.ru_utime + usage.ru_stime, wall, peak)


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's median."""
    return Cost(*(statistics.median(getattr(each, name) for each in costs) for name in ("cpu", "wall", "peak_mib")))


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A scratch machine: nothing of this one's OpenClaw or Moon is seen."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MOON_", "OPENCLAW_"))}
    return {
        **own,
        "HOME": str(folder),
        "MOON_HOME": str(folder / "moon"),
        "OPENCLAW_STATE_DIR": str(folder / "openclaw"),
        "MOON_OPENCLAW__BIN": "openclaw-not-used",
        "MOON_QMD__ENABLED": "false",
        "MOON_DISTILL__PROVIDERS": "local",
        **more,
    }


def sqlite_store(folder: Path) -> Path:
    """A copy of the recorded SQLite store at its place in a scratch machine; the database of agent main."""
    shutil.copytree(RECORDED, folder / "openclaw")
    return folder / "openclaw" / "agents" / "main" / "agent" / "openclaw-agent.sqlite"


def add_session(database: sqlite3.Connection, key: str, session_id: str, tokens: int) -> None:
    """One more session, like the first one there but for its key, id and usage, in a state that OpenClaw accepts."""
    known, old_id, text = database.execute(
        "SELECT session_key, current_session_id, entry_json FROM session_nodes"
    ).fetchone()
    entry = {**json.loads(text.replace(old_id, session_id).replace(known, key)), "totalTokens": tokens}
    changed = {"session_key": key, "current_session_id": session_id, "entry_json": json.dumps(entry)}
    copy_row(database, "session_nodes", "session_key", known, changed)
    copy_row(database, "session_windows", "session_id", old_id, {"session_id": session_id, "session_key": key})
    database.execute("UPDATE session_nodes SET entry_valid = 1 WHERE session_key = ?", (key,))
    database.execute("DELETE FROM session_canonical_validation_pending WHERE session_key = ?", (key,))


def copy_row(database: sqlite3.Connection, table: str, name: str, value: str, changed: dict[str, str]) -> None:
    """Insert a row once more, with some of its columns changed."""
    cursor = database.execute(f"SELECT * FROM {table} WHERE {name} = ?", (value,))
    row = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True)) | changed
    marks = ", ".join("?" for _ in row)
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def event_lines(session_id: str, size: int) -> Iterator[bytes]:
    """A transcript of about so many bytes: short messages, long ones, and now and then a large tool result."""
    chance = random.Random(4711)
    pool = " ".join(chance.choice(WORDS) + str(chance.randrange(100)) for _ in range(200_000))
    yield json.dumps({"type": "session", "version": 4, "id": session_id}).encode()
    written = number = 0
    while written < size:
        number += 1
        length = chance.choice((80, 300, 300, 1200, 4000, 30_000))
        start = chance.randrange(len(pool) - length)
        role = chance.choice(("user", "assistant", "toolResult"))
        message = {"role": role, "content": [{"type": "text", "text": pool[start : start + length]}]}
        line = json.dumps(
            {
                "type": "message",
                "id": f"event-{number:09d}",
                "timestamp": "2026-11-02T10:15:00.000Z",
                "message": message,
            }
        ).encode()
        written += len(line) + 1
        yield line
