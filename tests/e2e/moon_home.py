"""Moon as a user runs it: the executables in bin/, a MOON_HOME, and plain readers for what they leave there.

The readers know nothing of Moon's code, so that they can judge it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.harness import Completed, OpenClaw, unpack

BIN = Path(__file__).resolve().parents[2] / "bin"
# Files that say that Moon ran, not that it did anything.
SIGNS_OF_LIFE = ("state/heartbeat", "state/moon_state.json", "state/cycle.lock")


@dataclass
class Moon:
    """One MOON_HOME beside one OpenClaw."""

    home: Path
    openclaw: OpenClaw
    settings: Mapping[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        """The user's environment; no thresholds are changed, only waiting times."""
        return {
            **self.openclaw.env(),
            "MOON_HOME": str(self.home),
            "MOON_GUARD__IDLE_SECONDS": "0",
            "MOON_ARCHIVE__IDLE_SECONDS": "0",
            "MOON_THRESHOLDS__COOLDOWN_SECONDS": "0",
            "XDG_CACHE_HOME": str(self.home.parent / "cache"),
            "XDG_CONFIG_HOME": str(self.home.parent / "config"),
            **self.settings,
        }

    def run(self, tool: str, *arguments: str, stdin: str = "", **settings: str) -> Completed:
        """Run one executable to its end; `settings` are further environment variables."""
        done = subprocess.run(
            [str(BIN / tool), *arguments],
            env={**self.env(), **settings},
            cwd=self.openclaw.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def tick(self, **settings: str) -> Completed:
        """What the timer does."""
        return self.run("moon-sample", **settings)

    def usage(self, key: str) -> dict[str, Any]:
        """The session's row in the usage document."""
        rows = self.run("moon-sample", "--no-exec", "--json").json()["sessions"]
        found: dict[str, Any] = next(row for row in rows if row["session_key"] == key)
        return found

    def audit(self, key: str = "") -> list[dict[str, Any]]:
        """The audit lines, of one session if it is named."""
        lines = read_lines(self.home / "skills" / "moon-system" / "logs" / "audit.log")
        return [line for line in lines if not key or line.get("session_key") == key]

    def actions(self, key: str, outcome: str = "done") -> list[str]:
        """Which stations acted on a session, in order."""
        return [line["action"] for line in self.audit(key) if line["outcome"] == outcome]

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """The ledger's lines of one kind."""
        return [line for line in read_lines(self.home / "archives" / "ledger.jsonl") if line["kind"] == kind]

    def archived(self) -> set[bytes]:
        """Every event line in every archive."""
        found: set[bytes] = set()
        for file in (self.home / "archives" / "raw").rglob("*.jsonl*"):
            data = file.read_bytes()
            found.update((unpack(data) if file.suffix == ".zst" else data).splitlines())
        return found

    def picture(self) -> dict[str, str]:
        """Path → hash of every file that a tick without work must leave as it is."""
        files = (file for file in sorted(self.home.rglob("*")) if file.is_file())
        named = {file.relative_to(self.home).as_posix(): file for file in files}
        return {
            name: hashlib.sha256(file.read_bytes()).hexdigest()
            for name, file in named.items()
            if name not in SIGNS_OF_LIFE and not name.startswith("state/cache/") and not name.endswith(("-wal", "-shm"))
        }

    def through_the_command(self) -> dict[str, str]:
        """Settings with which Moon cannot know the gateway's port and asks through the `openclaw` command."""
        url = f"ws://127.0.0.1:{self.openclaw.port}"
        return {"OPENCLAW_GATEWAY_URL": url, "OPENCLAW_GATEWAY_TOKEN": self.openclaw.token}

    def stopped_before(self, tmp: Path, words: str) -> Path:
        """An `openclaw` that kills its caller, as a power cut would, when the command line holds these words."""
        script = tmp / "openclaw"
        script.write_text(
            f'#!/bin/sh\ncase "$*" in *"{words}"*) kill -9 $PPID; exit 1;; esac\n'
            f'exec "{self.openclaw.bin_dir}/openclaw" "$@"\n'
        )
        script.chmod(0o755)
        return script


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file; nothing when it is missing."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def qmd_search(moon: Moon, words: str) -> list[dict[str, Any]]:
    """What the real QMD finds in Moon's collection."""
    env = {**os.environ, **moon.env()}
    argv = ["qmd", "--index", "moon", "search", words, "--json", "-c", "history"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
