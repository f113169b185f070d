"""A real OpenClaw in a scratch home: start it, talk to it, look into its store, and stop all of it.

Promise: nothing outside the folder that the caller gives is written, the gateway listens on a loopback port that
was free, and leaving the `with` block ends every process that was started. The store is only ever read.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

START_SECONDS = 120
COMMAND_SECONDS = 180


class OpenClawFailed(RuntimeError):
    """The real program did not do what the harness needs."""


@dataclass(frozen=True)
class Completed:
    """What one command left behind."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """The standard output as JSON."""
        try:
            return json.loads(self.stdout)
        except ValueError as error:
            raise OpenClawFailed(f"no JSON (exit {self.code}): {self.stdout[-800:]}\n{self.stderr[-800:]}") from error


@dataclass
class OpenClaw:
    """One scratch installation: home, state folder, configuration, workspace, gateway."""

    home: Path
    bin_dir: Path
    model_url: str
    agents: tuple[str, ...] = ("main",)
    context_window: int = 64_000
    reset: Mapping[str, Any] = field(default_factory=lambda: {"mode": "idle", "idleMinutes": 100_000})
    extra_env: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_port())
    token: str = "loopback-only"
    _gateway: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        """`$OPENCLAW_STATE_DIR`."""
        return self.home / ".openclaw"

    def workspace(self, agent: str = "main") -> Path:
        """Where the agent's commands run."""
        return self.home / "workspace" / agent

    def __enter__(self) -> OpenClaw:
        self.configure()
        self.start_gateway()
        # 2026.6.9 grants a device the rights of its first call; of the calls here this one needs the most.
        self.run("sessions", "compact", "agent:main:nobody", "--json")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_gateway()

    def configure(self) -> None:
        """Write `openclaw.json` and the workspaces."""
        self.state.mkdir(parents=True, exist_ok=True)
        for agent in self.agents:
            self.workspace(agent).mkdir(parents=True, exist_ok=True)
        (self.state / "openclaw.json").write_text(json.dumps(self.config(), indent=1), encoding="utf-8")

    def config(self) -> dict[str, Any]:
        """A configuration that uses the loopback model only."""
        model = {
            "id": "mock-1",
            "name": "mock-1",
            "contextWindow": self.context_window,
            "maxTokens": 2048,
            "input": ["text"],
        }
        provider = {"baseUrl": self.model_url, "apiKey": "none", "api": "openai-completions", "models": [model]}
        listed = [{"id": agent, "workspace": str(self.workspace(agent))} for agent in self.agents]
        return {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": self.token},
            },
            "models": {"providers": {"mock": provider}},
            "session": {"reset": dict(self.reset)},
            "agents": {
                "defaults": {
                    "model": {"primary": "mock/mock-1"},
                    "workspace": str(self.workspace()),
                    "skipBootstrap": True,
                    "heartbeat": {"every": "0m"},
                    "compaction": {"memoryFlush": {"enabled": False}},
                },
                "list": listed,
            },
        }

    def env(self) -> dict[str, str]:
        """The environment for every program that shall see this installation."""
        return {
            "PATH": f"{self.bin_dir}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "OPENCLAW_STATE_DIR": str(self.state),
            "OPENCLAW_CONFIG_PATH": str(self.state / "openclaw.json"),
            **self.extra_env,
        }

    def start_gateway(self) -> None:
        """Start the gateway in its own process group and wait until it listens."""
        with (self.home / "gateway.log").open("ab") as log:
            self._gateway = subprocess.Popen(
                ["openclaw", "gateway", "run"],
                env=self.env(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self._gateway.poll() is not None or time.monotonic() > deadline:
                self.stop_gateway()
                raise OpenClawFailed(f"the gateway did not start:\n{(self.home / 'gateway.log').read_text()[-2000:]}")
            time.sleep(0.25)

    def is_ready(self) -> bool:
        """Whether the gateway's port accepts a connection."""
        with closing(socket.socket()) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop_gateway(self) -> None:
        """End the gateway and all that it started."""
        if self._gateway is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._gateway.pid, sign)
                self._gateway.wait(timeout=20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._gateway = None

    def run(self, *arguments: str, timeout: float = COMMAND_SECONDS) -> Completed:
        """Run `openclaw …` to its end."""
        done = subprocess.run(
            ["openclaw", *arguments],
            env=self.env(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call one gateway method; its payload."""
        done = self.run("gateway", "call", method, "--json", "--params", json.dumps(params or {}))
        if done.code != 0:
            raise OpenClawFailed(f"{method}: exit {done.code}: {done.stdout[-800:]}{done.stderr[-800:]}")
        return done.json()

    def turn(self, message: str, key: str = "agent:main:main") -> Any:
        """Say something in a session and wait for the answer."""
        done = self.run(*self.turn_arguments(key, message))
        if done.code != 0:
            raise OpenClawFailed(f"turn: exit {done.code}: {done.stdout[-800:]}{done.stderr[-800:]}")
        return done.json()

    def start_turn(self, message: str, key: str = "agent:main:main") -> subprocess.Popen[bytes]:
        """Say something and do not wait: the run stays active until the model answers."""
        return subprocess.Popen(
            ["openclaw", *self.turn_arguments(key, message)],
            env=self.env(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @staticmethod
    def turn_arguments(key: str, message: str) -> list[str]:
        """The command line of one turn through the gateway."""
        return ["agent", "--agent", key.split(":")[1], "--session-key", key, "--message", message, "--json"]

    def database(self, agent: str = "main") -> Path:
        """The SQLite store of one agent."""
        return self.state / "agents" / agent / "agent" / "openclaw-agent.sqlite"

    def query(self, sql: str, *values: Any, agent: str = "main") -> list[tuple[Any, ...]]:
        """Read from the store of one agent, read-only."""
        with closing(sqlite3.connect(f"file:{self.database(agent)}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()

    def sessions_dir(self, agent: str = "main") -> Path:
        """The JSONL store of one agent."""
        return self.state / "agents" / agent / "sessions"

    def entry(self, key: str = "agent:main:main") -> dict[str, Any]:
        """What the store says of a session, in either generation."""
        agent = key.split(":")[1]
        if not self.database(agent).exists():
            listed = json.loads((self.sessions_dir(agent) / "sessions.json").read_bytes())
            kept: dict[str, Any] = listed[key]
            return kept
        rows = self.query("SELECT entry_json FROM session_nodes WHERE session_key = ?", key, agent=agent)
        if not rows:
            raise OpenClawFailed(f"no session {key!r} in the store")
        entry: dict[str, Any] = json.loads(rows[0][0])
        return entry

    def event_lines(self, session_id: str, agent: str = "main") -> list[bytes]:
        """The exact bytes of every event of one session, in order."""
        if not self.database(agent).exists():
            return (self.sessions_dir(agent) / f"{session_id}.jsonl").read_bytes().splitlines()
        columns = self.query("SELECT name FROM pragma_table_info('transcript_events')", agent=agent)
        packed = "event_zstd" if ("event_zstd",) in columns else "NULL"  # since 2026.9
        rows = self.query(
            f"SELECT event_json, {packed} FROM transcript_events WHERE session_id = ? ORDER BY seq",
            session_id,
            agent=agent,
        )
        return [plain.encode() if plain is not None else unpack(packed) for plain, packed in rows]


def unpack(packed: bytes) -> bytes:
    """The bytes behind `event_zstd`."""
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def free_port() -> int:
    """A loopback port that is free now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
