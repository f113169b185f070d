"""The stand-in for OpenClaw, from a test's side: how it shall behave, and what it was asked."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.gateway_server import TOKEN
from tests.support import events
from tests.support.moon import FAKES, Moon
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon.cli.run_tool import run_tool
from moon.clock import format_ms
from moon.openclaw import openclaw_command

KEY = "agent:main:main"
WAYS = ("socket", "command")
DESTRUCTIVE = ("sessions.compact", "sessions.reset", "sessions.create", "agent")


class Gateway:
    """A Moon beside a stand-in OpenClaw with one session; tools run in this process.

    The stand-in answers as the `openclaw` command, and after `listen` over WebSocket too.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moon = Moon(folder)
        self.plan_file = folder / "fake.json"
        self.store = SqliteStoreBuilder(self.moon.state_dir)
        self.environment = {**self.moon.env, "FAKE_OPENCLAW": str(self.plan_file)}
        self.monkeypatch = monkeypatch
        for name in list(os.environ):
            if name.startswith(("MOON_", "OPENCLAW_")):
                monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def behave(self, **plan: Any) -> None:
        """Set how the stand-in behaves from now on."""
        self.plan_file.write_text(json.dumps(plan))

    def listen(self, port: int, token: str = TOKEN) -> None:
        """Write OpenClaw's configuration, so that Moon finds the stand-in's port."""
        auth = {"mode": "token", "token": token}
        document = {"gateway": {"mode": "local", "port": port, "auth": auth}}
        (self.moon.state_dir / "openclaw.json").write_text(json.dumps(document))

    @property
    def listens(self) -> bool:
        """Can Moon find the stand-in's port?"""
        return (self.moon.state_dir / "openclaw.json").exists()

    def set(self, **variables: str) -> None:
        """Set environment variables for tools."""
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def hurry(self) -> float:
        """Limits for calls that hang, short, but ten times what this machine takes to answer as busy as it is now."""
        started = time.monotonic()
        self.openclaw("gateway", "call", "sessions.list", "--json")
        seconds = max(1.0, 10 * (time.monotonic() - started))
        self.monkeypatch.setattr(openclaw_command, "ANSWER_SECONDS", seconds)
        self.set(MOON_OPENCLAW__TIMEOUT_SECONDS=str(seconds), MOON_OPENCLAW__ACTION_TIMEOUT_SECONDS=str(seconds))
        return seconds

    def openclaw(self, *arguments: str) -> None:
        """Ask the stand-in's command something, as anybody might, without its noting that."""
        environment = {name: value for name, value in self.environment.items() if name != "FAKE_OPENCLAW"}
        subprocess.run([FAKES / "openclaw", *arguments], env=environment, capture_output=True, check=False)

    def relax(self) -> None:
        """The usual limits again, and a stand-in that does what it should."""
        self.behave()
        for name in ("MOON_OPENCLAW__TIMEOUT_SECONDS", "MOON_OPENCLAW__ACTION_TIMEOUT_SECONDS"):
            self.monkeypatch.delenv(name)

    def later(self, seconds: int) -> None:
        """Set Moon's clock so many seconds after the usual now."""
        self.set(MOON_NOW=format_ms(NOW_MS + seconds * 1000))

    def fill(self, turns: int = 8, used: int = 45_000, **usage: Any) -> list[bytes]:
        """A session with a conversation."""
        lines = events.conversation("s1", turns)
        lines.append(events.message("big", "the lighthouse ledger holds 4711 entries " * 100))
        self.store.put(KEY, "s1", lines, used=used, **usage)
        return lines

    def run(self, tool: str, *arguments: str) -> int:
        """Run a tool in this process; its exit code."""
        return run_tool(f"moon-{tool}", importlib.import_module(f"moon.cli.{tool}").main, list(arguments))

    def archive_and_index(self) -> None:
        """What must come before anything destructive."""
        assert self.run("archive", "--session", KEY) == 0
        assert self.run("index", "--session", KEY) == 0

    def entry(self, station: str) -> dict[str, Any]:
        """What the latest cycle says of the session at a station."""
        document = self.moon.cycles()[-1]
        (record,) = [each for each in document["stations"] if each["station"] == station]
        (entry,) = record["sessions"]
        found: dict[str, Any] = entry
        return found

    def calls(self, *names: str) -> list[list[str]]:
        """What the stand-in was asked, of these commands and methods."""
        log = Path(f"{self.plan_file}.log")
        asked = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [each for each in asked if not names or set(names) & set(each[1:3])]

    def transcript(self, session_id: str = "s1") -> list[dict[str, Any]]:
        """The plain rows of a transcript as the store has them now."""
        connection = self.store.connect()
        rows = connection.execute(
            "SELECT event_json FROM transcript_events WHERE session_id = ? AND event_json IS NOT NULL ORDER BY seq",
            (session_id,),
        ).fetchall()
        connection.close()
        return [json.loads(text) for (text,) in rows]

    def maps(self, session_id: str = "s1") -> list[dict[str, Any]]:
        """The continuity maps that arrived in a transcript."""
        return [event for event in self._turns(session_id) if "moon-again" not in _key_of(event)]

    def sent_again(self, session_id: str = "s1") -> list[dict[str, Any]]:
        """The messages that Moon sent again because they were cut off."""
        return [event for event in self._turns(session_id) if "moon-again" in _key_of(event)]

    def _turns(self, session_id: str) -> list[dict[str, Any]]:
        return [event for event in self.transcript(session_id) if _key_of(event).startswith("moon-")]

    def resets(self) -> int:
        """How often the session was reset."""
        return sum(event["type"] == "reset" for event in self.transcript())

    def links(self) -> list[dict[str, Any]]:
        """The ledger's links."""
        return [line for line in self.moon.ledger() if line["kind"] == "link"]


def _key_of(event: dict[str, Any]) -> str:
    return str(event.get("message", {}).get("idempotencyKey", ""))
