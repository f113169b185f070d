"""Run the executables as a user would, in a home of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.stores import NOW_MS

from moon.clock import format_ms
from moon.openclaw.events import event_id
from moon.paths import Home
from moon.vault import segments
from moon.vault.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
FAKES = ROOT / "tests" / "fakes"
PATIENCE = 120


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str

    def json(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.stdout)


@dataclass
class Moon:
    """A Moon with its own home and its own OpenClaw state folder."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.folder / "moon")

    @property
    def state_dir(self) -> Path:
        return self.folder / "openclaw"

    @property
    def env(self) -> dict[str, str]:
        """What the executables see: nothing of the user's own home, a clock that stands still, no network program."""
        return {
            "PATH": f"{FAKES}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "MOON_HOME": str(self.home.root),
            "MOON_PYTHON": sys.executable,
            "MOON_NOW": format_ms(NOW_MS),
            "MOON_QMD__ENABLED": "false",
            "MOON_INDEX__PROJECTION": "always",  # pages are looked at, although nothing here reads them
            "MOON_REDACT__RULES": "builtin",
            "OPENCLAW_STATE_DIR": str(self.state_dir),
            "FAKE_PYTHON": sys.executable,
            **self.extra,
        }

    def run(
        self, tool: str, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> Result:
        """Run `bin/moon-<tool>` to its end."""
        done = subprocess.run(
            [str(ROOT / "bin" / f"moon-{tool}"), *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env={**self.env, **(env or {})},
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def ok(self, tool: str, *arguments: str, **options: Any) -> Result:
        """Run, and insist on exit code 0."""
        done = self.run(tool, *arguments, **options)
        assert done.code == 0, f"moon-{tool} {arguments}: exit {done.code}\n{done.stderr}"
        return done

    def copy(self, folder: Path) -> Moon:
        """The same Moon once more in a folder of its own: what many tests begin with is made once."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Moon(folder, dict(self.extra))

    def ledger(self) -> list[dict[str, Any]]:
        """The lines of the ledger."""
        return list(Ledger(self.home.ledger).lines())

    def audit(self, action: str = "") -> list[dict[str, Any]]:
        """The audit log's lines, of one action where it is named."""
        try:
            lines = self.home.audit_log.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(json.loads, lines) if action in ("", entry["action"])]

    def cycles(self) -> list[dict[str, Any]]:
        """The cycle documents, the one written last at the end; names do not tell while the clock stands still."""
        found = sorted(self.home.cycles.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_bytes()) for path in found]


def archived_events(home: Home, session_id: str = "") -> Iterator[bytes]:
    """The bytes of every archived event, from ledger and files alone."""
    for record in Ledger(home.ledger).archives():
        if session_id in ("", record["session_id"]):
            yield from segments.lines(home.root / record["archive_path"])


def archived_identities(home: Home, session_id: str) -> list[tuple[str, bytes]]:
    """(event id, bytes) of every archived event of a session."""
    return [(event_id(data), data) for data in archived_events(home, session_id)]


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
