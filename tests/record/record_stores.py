"""Record the session stores in tests/recorded with the real OpenClaw.

    .venv/bin/python -m tests.record.record_stores [sqlite] [jsonl] [--home /home/agent]

Promise: the dialogues in tests/record/dialogue are held with the real programs (only the model is scripted), the
commands in them really run, and the stores are copied at rest. The home folder is a neutral one, made for the
recording and removed after it, so that no path of this machine gets into the stores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.e2e.harness import OpenClaw, OpenClawFailed, unpack
from tests.e2e.install import NEWEST, folder_of, install
from tests.e2e.loopback_model import Answer, LoopbackModel
from tests.record.dialogue import Dialogue, Step, read_dialogue
from tests.record.scenes import WORKSPACES, paste

HERE = Path(__file__).resolve().parent
RECORDED = HERE.parent / "recorded"
AGENTS = ("main", "ops", "research")
# OpenClaw's promise for a 64k window: 2026.9.6 reserves a quarter of it, 2026.6.9 reserves 20,000 tokens.
# Each generation of store is recorded with one release.
RELEASE = {"sqlite": NEWEST, "jsonl": "2026.6.9"}
PROMPT_BUDGET = {"sqlite": 48_000, "jsonl": 44_000}
# Tables that hold no transcript and nearly all of the size: run traces, and OpenClaw's own search index.
EMPTIED_PREFIXES = ("trajectory_runtime_events", "memory_index_chunk", "memory_index_sources", "memory_index_paths")


def record(name: str, home: Path) -> None:
    """Record one generation of store."""
    prepare_home(home, name)
    dialogues = [read_dialogue(path, paste) for path in sorted((HERE / "dialogue" / name).glob("*.txt"))]
    bin_dir = home / "openclaw" / "node_modules" / ".bin"
    with LoopbackModel(home.parent / f"{home.name}-model.jsonl") as model:
        path = os.pathsep.join((str(bin_dir), "/usr/local/bin", "/usr/bin", "/bin"))
        openclaw = OpenClaw(home, bin_dir, model.url, agents=AGENTS, extra_env={"PATH": path})
        write_workspaces(openclaw, name)
        with openclaw:
            for dialogue in dialogues:
                hold(openclaw, model, dialogue, PROMPT_BUDGET[name])
        model.log_path.unlink()
        copy_store(openclaw, name)
    shutil.rmtree(home)


def prepare_home(home: Path, name: str) -> None:
    """A new home with its own (hard-linked) copy of the programs, since OpenClaw writes its own path into the store."""
    if home.exists():
        raise SystemExit(f"{home} exists; name another folder with --home, or remove it")
    install(RELEASE[name])
    home.mkdir(parents=True)
    shutil.copytree(folder_of(RELEASE[name]), home / "openclaw", symlinks=True, copy_function=os.link)


def write_workspaces(openclaw: OpenClaw, name: str) -> None:
    """Put the files of the scene where the agents' commands will look for them."""
    for agent, files in WORKSPACES[name].items():
        for relative, text in files.items():
            file = openclaw.workspace(agent) / relative
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


def hold(openclaw: OpenClaw, model: LoopbackModel, dialogue: Dialogue, budget: int) -> None:
    """Hold one dialogue with the real programs."""
    print(f"{dialogue.key}: {len(dialogue.steps)} steps", file=sys.stderr)
    for number, step in enumerate(dialogue.steps, 1):
        if step.act == "say":
            last = number == len(dialogue.steps)
            model.script(*answers_of(step, dialogue.end_ratio if last else None, budget))
            openclaw.turn(step.text, dialogue.key)
        elif step.act == "compact":
            model.summary = step.text
            compacted = openclaw.run("sessions", "compact", dialogue.key, "--json")
            if not compacted.json().get("compacted"):
                raise OpenClawFailed(f"not compacted: {compacted.stdout}")
        else:
            openclaw.call("sessions.reset", {"key": dialogue.key, "reason": "new"})


def answers_of(step: Step, end_ratio: float | None, budget: int) -> list[Answer]:
    """The scripted answers of one turn; the last one of a session may report a chosen usage."""
    if end_ratio is None:
        return step.answers
    return [*step.answers[:-1], replace(step.answers[-1], prompt_tokens=round(end_ratio * budget))]


def copy_store(openclaw: OpenClaw, name: str) -> None:
    """Copy the stores at rest, and write down what a simple reader finds in the copy."""
    target = RECORDED / name
    shutil.rmtree(target, ignore_errors=True)
    for agent in AGENTS:
        copy = copy_sqlite if name == "sqlite" else copy_jsonl
        copy(openclaw.state / "agents" / agent, target / "agents" / agent)
    facts = {agent: dict(sorted(read_back(target / "agents" / agent).items())) for agent in AGENTS}
    (target / "expected.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def copy_sqlite(source: Path, target: Path) -> None:
    """One agent's database: checkpointed, without the tables that hold no transcript, packed."""
    file = source / "agent" / "openclaw-agent.sqlite"
    copied = target / "agent" / file.name
    copied.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(file, copied)
    with closing(sqlite3.connect(copied, isolation_level=None)) as connection:
        # A table's CHECK uses this function, which SQLite has only since 3.43.
        connection.create_function("octet_length", 1, lambda text: len(text.encode()), deterministic=True)
        connection.execute("PRAGMA journal_mode = DELETE")
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if table.startswith(EMPTIED_PREFIXES) and "_fts_" not in table:
                connection.execute(f'DELETE FROM "{table}"')
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")


def copy_jsonl(source: Path, target: Path) -> None:
    """One agent's session files; of the traces beside them only the beginning."""
    (target / "sessions").mkdir(parents=True)
    for file in sorted((source / "sessions").iterdir()):
        copied = target / "sessions" / file.name
        if file.name.endswith(".trajectory.jsonl"):
            copied.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:1]))
        elif file.is_file():
            shutil.copyfile(file, copied)


def read_back(agent: Path) -> dict[str, Any]:
    """Session id → number of events and hash of their lines, read as simply as can be."""
    return {
        session_id: {"events": len(lines), "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
        for session_id, lines in sessions_of(agent)
    }


def sessions_of(agent: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Every transcript of one agent as (session id, event lines with their line ends)."""
    # A reset renames the old transcript to `<session id>.jsonl.reset.<time>`.
    for file in sorted(agent.glob("sessions/*.jsonl*")):
        if not file.name.endswith(".trajectory.jsonl"):
            yield file.name.split(".")[0], file.read_bytes().splitlines(keepends=True)
    for file in agent.glob("agent/openclaw-agent.sqlite"):
        with closing(sqlite3.connect(file)) as connection:
            order = "SELECT session_id, event_json, event_zstd FROM transcript_events ORDER BY session_id, seq"
            found: dict[str, list[bytes]] = {}
            for session_id, plain, packed in connection.execute(order):
                line = plain.encode() if plain is not None else unpack(packed)
                found.setdefault(session_id, []).append(line + b"\n")
            yield from found.items()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stores", nargs="*", default=["sqlite", "jsonl"], choices=["sqlite", "jsonl"])
    parser.add_argument("--home", type=Path, default=Path("/home/agent"))
    options = parser.parse_args()
    for name in options.stores:
        record(name, options.home)


if __name__ == "__main__":
    main()
