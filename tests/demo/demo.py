"""`make demo`: the whole job on recorded sessions, explained as it goes.

Runs the executables in bin/ as a person would, on copies of the two stores in tests/recorded, with everything that Moon
writes in a temporary folder that is removed at the end. No OpenClaw is needed, and one that is installed is not
touched: the openclaw command is switched off, so the stations that need its gateway show how they wait for it. Lives
with the tests because it reads what only they have. Standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
RECORDED = REPO / "tests" / "recorded"
QUESTIONS = (
    "How often do we calibrate the barometers, and what else calls for it?",
    "From which network may port 5022 be reached?",
)
MEANING = {
    "archive": "copied every event, byte for byte, into the archive, and read it back",
    "index": "made the archived messages searchable",
    "prune": "lets OpenClaw compact a session that is 85 % full",
    "distill": "wrote decisions, rules, open tasks and identifiers into daily memory",
    "rollover": "starts a fresh window with a continuity map, from 90 % on",
}
TIME_LIMIT = 60


class DemoFailed(Exception):
    """The demo did not show what it promises."""


class Scene:
    """One temporary machine: two OpenClaw state folders and one MOON_HOME."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "moon"
        for generation in ("sqlite", "jsonl"):
            shutil.copytree(RECORDED / generation, folder / generation)
        self.now = shortly_after_the_recording(folder)

    def environment(self, generation: str) -> dict[str, str]:
        """What the executables see: nothing of this machine's Moon or OpenClaw."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MOON_", "OPENCLAW_"))}
        return {
            **own,
            "HOME": str(self.folder),
            "MOON_HOME": str(self.home),
            "MOON_NOW": self.now,
            "MOON_OPENCLAW__BIN": "openclaw-switched-off-for-the-demo",
            "MOON_QMD__ENABLED": "false",
            "MOON_DISTILL__PROVIDERS": "local",
            # The maintained rule set compiles itself for seconds in a home folder that is new.
            "MOON_REDACT__RULES": "builtin",
            "OPENCLAW_STATE_DIR": str(self.folder / generation),
        }

    def run(self, *argv: str, generation: str = "sqlite", given: str | None = None) -> str:
        """Run one of Moon's executables; what it prints."""
        done = subprocess.run(
            [str(REPO / "bin" / argv[0]), *argv[1:]],
            env=self.environment(generation),
            input=given or "",
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
        )
        if done.returncode != 0:
            raise DemoFailed(f"`{' '.join(argv)}` ended with exit code {done.returncode}:\n{done.stderr}")
        return done.stdout

    def last_cycle(self) -> dict[str, Any]:
        """The newest cycle document."""
        newest = max((self.home / "state" / "cycles").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        document: dict[str, Any] = json.loads(newest.read_bytes())
        return document

    def what_is_kept(self) -> str:
        """A hash over archives and daily memory."""
        total = hashlib.sha256()
        for path in sorted([*self.home.glob("archives/**/*"), *self.home.glob("memory/*")]):
            if path.is_file():
                total.update(f"{path}\n".encode() + path.read_bytes())
        return total.hexdigest()


def shortly_after_the_recording(folder: Path) -> str:
    """Twenty minutes after the last recorded word: the numbers are fresh, and nobody is at work any more."""
    instants = []
    for path in folder.glob("sqlite/agents/*/agent/openclaw-agent.sqlite"):
        database = sqlite3.connect(path)
        instants += [row[0] for row in database.execute("SELECT updated_at FROM session_nodes")]
        database.close()
    for path in folder.glob("jsonl/agents/*/sessions/sessions.json"):
        instants += [entry["updatedAt"] for entry in json.loads(path.read_bytes()).values()]
    moment = datetime.fromtimestamp(max(instants) / 1000 + 20 * 60, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def say(text: str = "", indent: int = 0) -> None:
    """A paragraph of plain words."""
    space = " " * indent
    # A long word is a key or a path, and stays whole.
    print(
        textwrap.fill(
            text,
            100,
            initial_indent=space,
            subsequent_indent=space + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
        flush=True,
    )


def title(number: int, text: str) -> None:
    """The head of a chapter."""
    print(f"\n{number}. {text}", flush=True)


def show_usage(scene: Scene) -> None:
    """How full every session is."""
    title(1, "How full is each session?   (moon-sample --no-exec)")
    usage = json.loads(scene.run("moon-sample", "--no-exec", "--json"))
    for row in usage["sessions"]:
        due = ", ".join(row["due"]) or "nothing"
        say(f"{row['ratio']:4.0%} of its prompt budget   {row['session_key']}: {due} due", 3)
    say("A session below 80 % is due when it has been idle for 15 minutes, so that it can be found too.", 3)


def tick(scene: Scene) -> None:
    """One tick of the timer, station by station."""
    title(2, "One tick of the timer   (moon-sample)")
    scene.run("moon-sample")
    for record in scene.last_cycle()["stations"]:
        say(f"moon-{record['station']} {MEANING[record['station']]}:", 3)
        for entry in record["sessions"]:
            words = entry.get("words") or entry.get("reason", "")
            say(f"{entry['outcome']}: {entry['session_key']}" + (f" ({words})" if words else ""), 5)
    waiting = [entry for record in scene.last_cycle()["stations"] for entry in record["sessions"]]
    if any(entry["outcome"] == "deferred" for entry in waiting):
        say(
            "What is deferred needs OpenClaw's gateway, which this demo does without. Nothing is lost by that, and a"
            " later tick tries again. `make e2e` shows all of it with the real OpenClaw.",
            3,
        )


def tick_again(scene: Scene) -> None:
    """A second tick adds nothing."""
    title(3, "The same tick again")
    before = scene.what_is_kept()
    scene.run("moon-sample")
    if scene.what_is_kept() != before:
        raise DemoFailed("a second tick changed archives or memory")
    say("Not a byte of archives and memory changed.", 3)


def pipe(scene: Scene) -> None:
    """The stations as filters, on the older store."""
    title(4, "An older OpenClaw with JSONL files   (moon-archive --all | moon-index)")
    document = scene.run("moon-archive", "--all", "--json", generation="jsonl")
    scene.run("moon-index", "--json", generation="jsonl", given=document)
    entries = json.loads(document)["stations"][0]["sessions"]
    say(f"{sum(entry['outcome'] == 'done' for entry in entries)} more transcripts archived and indexed.", 3)


def prove(scene: Scene) -> None:
    """Every transcript comes back byte for byte."""
    title(5, "Is it lossless?   (moon-archive --verify, moon-archive --restore)")
    report = json.loads(scene.run("moon-archive", "--verify", "--json"))
    say(report["outcome"] + ".", 3)
    transcripts = events = 0
    for generation in ("sqlite", "jsonl"):
        for agent, sessions in json.loads((RECORDED / generation / "expected.json").read_bytes()).items():
            for session_id, expected in sessions.items():
                target = scene.folder / "restored.jsonl"
                scene.run("moon-archive", "--restore", session_id, "--agent", agent, "--to", str(target), "--force")
                if hashlib.sha256(target.read_bytes()).hexdigest() != expected["sha256"]:
                    raise DemoFailed(f"{session_id} was not restored byte for byte")
                transcripts += 1
                events += expected["events"]
    say(f"{transcripts} transcripts rebuilt from the archive alone: all {events} events, byte for byte.", 3)


def ask(scene: Scene) -> None:
    """Questions, answered from the archive."""
    title(6, "And now, who remembers?   (moon-recall)")
    for question in QUESTIONS:
        say(f'$ moon-recall "{question}"', 3)
        found = json.loads(scene.run("moon-recall", question, "--limit", "2", "--json"))
        if not found["results"]:
            raise DemoFailed(f"nothing was found for {question!r}")
        for result in found["results"]:
            snippet = " ".join(result["snippet"].replace("**", "").split())
            say(f"{result['rank']}. {snippet}", 5)
            say(f"   {result['session_key']}, {result['role']}, {result['timestamp']}", 5)
        first = found["results"][0]
        say(f"The first one word for word: line {first['line']} of {first['archive_path']}", 5)


def main() -> int:
    """Play every chapter; 1 when one of them does not show what it promises."""
    say("Moon on two session stores that the real OpenClaw wrote: copies, in a temporary folder.")
    with tempfile.TemporaryDirectory(prefix="moon-demo-") as name:
        scene = Scene(Path(name))
        try:
            for chapter in (show_usage, tick, tick_again, pipe, prove, ask):
                chapter(scene)
        except (DemoFailed, subprocess.TimeoutExpired) as error:
            print(f"\ndemo: {error}", file=sys.stderr)
            return 1
    say()
    say("The temporary folder is gone. Next: `make test`, or `make install` to let Moon look after your own sessions.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
