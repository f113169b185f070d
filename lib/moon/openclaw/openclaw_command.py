"""The `openclaw` command: every question and every action, with a timeout, and with answers that are checked.

Exit code 0 is not success and standard output is not always JSON (docs/openclaw.md); only an answer of the expected
shape counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moon.config import Config
from moon.errors import OpenClawFailed, ProgramAbsent
from moon.openclaw.gateway_socket import GatewayRefused, GatewayUnreachable, NoAnswer, SecretRefused, refused
from moon.openclaw.locate import state_dir
from moon.openclaw.transcript_store import SessionEntry, read_entry
from moon.programs import Completed, find_json, run

Answer = dict[str, Any]
# The command itself needs a moment to start and to print what the gateway answered in time.
ANSWER_SECONDS = 15
# What a line of a log has beside its text, and no answer of OpenClaw: they are JSON too where logging is set so.
LOG_MARKS = frozenset({"level", "logLevelName", "_meta", "severity", "subsystem"})
# What OpenClaw says when the first Node on the PATH is not new enough for it.
NODE_TOO_OLD = re.compile(r"^openclaw: Node .*|.*requires? Node.*|.*\bNode(?:\.js)? v?[\d.+]+ is required.*", re.M)


def is_answer(document: Answer) -> bool:
    """Is this JSON object an answer, and not a line of a log?"""
    return not LOG_MARKS & document.keys()


class OpenClaw:
    """One installed OpenClaw, by its command."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.program = str(Path(config.openclaw.bin).expanduser())
        self.timeout = config.openclaw.timeout_seconds
        self.action_timeout = config.openclaw.action_timeout_seconds
        self.environment = {**os.environ, "OPENCLAW_STATE_DIR": str(state_dir(config)), "NO_COLOR": "1"}
        self.environment.pop("MOON_LOCK_FD", None)

    def _run(self, arguments: list[str], timeout: float, held: Sequence[int] = ()) -> Completed:
        try:
            return run([self.program, *arguments], timeout=timeout, env=self.environment, held=held)
        except ProgramAbsent as error:
            raise OpenClawFailed(f"{error.message}", path=self.program, code="openclaw_absent") from error

    def ask(self, arguments: list[str], *, timeout: float | None = None, held: Sequence[int] = ()) -> Answer:
        """Run a command that answers with a JSON object; the object, whatever the exit code was.

        `held` are descriptors that the command keeps open as long as it lives. Raises `NoAnswer`, or `OpenClawFailed`
        when the command cannot be started.
        """
        done = self._run(arguments, timeout or self.timeout, held)
        what = "openclaw " + " ".join(word for word in arguments[:3] if not word.startswith(("-", "{")))
        if done.code is None:
            raise NoAnswer(f"{what} {done.describe()}")
        answer = find_json(done.stdout, dict, is_answer)
        if answer is None:
            words, code = why_it_ended(done)
            raise NoAnswer(f"{what} {words}, without a JSON answer", code=code)
        return answer

    def call(
        self, method: str, parameters: Answer, *, timeout: float, final: bool = False, held: Sequence[int] = ()
    ) -> Answer:
        """Call a gateway method; its payload. Raises `GatewayRefused`, `NoAnswer`."""
        arguments = ["gateway", "call", method, "--json", "--timeout", str(int(timeout * 1000))]
        if final:
            arguments.append("--expect-final")
        arguments += ["--params", json.dumps(parameters)]
        answer = self.ask(arguments, timeout=timeout + ANSWER_SECONDS, held=held)
        error = answer.get("error")
        if isinstance(error, dict) and error.get("type") == "gateway_request_error":
            raise refused(method, error)
        if error:
            words = reason_of(answer)
            if "pairing required" in words:
                # It was turned away at the door, so nothing of what was asked is under way.
                raise GatewayRefused(f"{method}: {words}", code="gateway_scope")
            kind = SecretRefused if "unauthorized" in words.lower() else GatewayUnreachable
            raise NoAnswer(f"{method}: {words}", code=kind.code)
        return answer

    def list_sessions(self) -> list[SessionEntry]:
        """What `openclaw sessions --json --all-agents` lists. Raises `OpenClawFailed`."""
        rows = self.ask(["sessions", "--json", "--all-agents", "--limit", "all"]).get("sessions")
        if not isinstance(rows, list):
            raise OpenClawFailed("openclaw sessions listed no sessions", hint="try the command by hand")
        found = []
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("sessionId"), str):
                agent = row.get("agentId") if isinstance(row.get("agentId"), str) else agent_of(row["key"])
                found.append(read_entry(agent or "main", row["key"], row["sessionId"], row))
        return found


def why_it_ended(done: Completed) -> tuple[str, str]:
    """(words, code) for a command that ended badly: Node is too old for it, or something else."""
    found = NODE_TOO_OLD.search(done.stderr.decode("utf-8", "replace"))
    if found is None:
        return done.describe(), OpenClawFailed.code
    return f"ended with exit code {done.code}: {found[0].strip()[:200]}", "node_too_old"


def agent_of(session_key: str) -> str:
    """`agent:ops:main` → `ops`; `main` for keys of another form."""
    parts = session_key.split(":")
    return parts[1] if len(parts) > 2 and parts[0] == "agent" else "main"


def reason_of(answer: Answer) -> str:
    """Why an answer is a no, in its own words."""
    error = answer.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    return str(error or answer.get("reason") or "no reason given")[:300]
