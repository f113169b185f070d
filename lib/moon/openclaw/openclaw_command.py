"""The `openclaw` command: every question and every action, with a timeout, and with answers that are checked.

Exit code 0 is not success and standard output is not always JSON (docs/openclaw.md); only an answer of the expected
shape counts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from moon.config import Config
from moon.errors import OpenClawFailed, ProgramAbsent
from moon.openclaw.locate import state_dir
from moon.openclaw.transcript_store import SessionEntry, read_entry
from moon.programs import Completed, find_json, run

Answer = dict[str, Any]
# The command itself needs a moment to start and to print what the gateway answered in time.
ANSWER_SECONDS = 15
LIST_LIMIT = 1000


class OpenClaw:
    """One installed OpenClaw, by its command."""

    def __init__(self, config: Config) -> None:
        self.program = str(Path(config.openclaw.bin).expanduser())
        self.timeout = config.openclaw.timeout_seconds
        self.action_timeout = config.openclaw.action_timeout_seconds
        self.environment = {**os.environ, "OPENCLAW_STATE_DIR": str(state_dir(config)), "NO_COLOR": "1"}
        self.environment.pop("MOON_LOCK_FD", None)

    def _run(self, arguments: list[str], timeout: float) -> Completed:
        try:
            return run([self.program, *arguments], timeout=timeout, env=self.environment)
        except ProgramAbsent as error:
            raise OpenClawFailed(
                f"{error.message}",
                path=self.program,
                hint="install OpenClaw, or set openclaw.bin to its command; see `moon-verify`",
            ) from error

    def ask(self, arguments: list[str], *, timeout: float | None = None) -> Answer:
        """Run a command that answers with a JSON object; the object, whatever the exit code was.

        Raises `OpenClawFailed` when there is no such answer.
        """
        done = self._run(arguments, timeout or self.timeout)
        what = "openclaw " + " ".join(word for word in arguments[:3] if not word.startswith(("-", "{")))
        if done.code is None:
            raise OpenClawFailed(f"{what} {done.describe()}", hint="is the gateway well? try `openclaw health`")
        answer = find_json(done.stdout, dict)
        if answer is None:
            raise OpenClawFailed(f"{what} {done.describe()}, without a JSON answer", hint="try the command by hand")
        return answer

    def call(self, method: str, parameters: Answer, *, timeout: float | None = None, final: bool = False) -> Answer:
        """Call a gateway method. Raises `OpenClawFailed`, also for an answer that says it failed."""
        limit = timeout or self.timeout
        arguments = ["gateway", "call", method, "--json", "--timeout", str(int(limit * 1000))]
        if final:
            arguments.append("--expect-final")
        answer = self.ask([*arguments, "--params", json.dumps(parameters)], timeout=limit + ANSWER_SECONDS)
        if answer.get("ok") is False or answer.get("error"):
            kind = OpenClawFailed if _is_unreachable(answer) else GatewayRefused
            raise kind(f"{method}: {reason_of(answer)}", hint="is the gateway running? try `openclaw health`")
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

    def has_active_run(self, session_key: str) -> bool:
        """Is a run in progress in this session? Raises `OpenClawFailed` when the gateway does not say."""
        # The rows of sessions.describe lack the mark. The list is cut at 100 rows unless it is told otherwise.
        wanted = {"search": session_key, "limit": LIST_LIMIT, "includeGlobal": True, "includeUnknown": True}
        rows = self.call("sessions.list", wanted).get("sessions")
        named = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
        row = next((each for each in named if each.get("key") == session_key), None)
        if row is None or not isinstance(row.get("hasActiveRun"), bool):
            raise OpenClawFailed(
                f"the gateway does not say whether a run is active in {session_key}",
                hint="nothing was changed; try again at the next tick",
            )
        return bool(row["hasActiveRun"])

    def compact(self, session_key: str, agent: str, max_lines: int | None = None) -> Answer:
        """`sessions compact`: a summary of the older part, or with `max_lines` the deletion of it. The raw answer."""
        extra = [] if max_lines is None else ["--max-lines", str(max_lines)]
        wait = ["--timeout", str(int(self.action_timeout * 1000))]
        arguments = ["sessions", "compact", session_key, "--agent", agent, "--json", *wait, *extra]
        return self.ask(arguments, timeout=self.action_timeout + ANSWER_SECONDS)

    def reset(self, session_key: str, session_id: str) -> Answer:
        """Start a new window, only if the session is still the one that was looked at."""
        parameters = {"key": session_key, "reason": "new", "expectedSessionId": session_id}
        return self.call("sessions.reset", parameters, timeout=self.timeout)

    def create_child(self, session_key: str, agent: str, child_key: str) -> Answer:
        """Make a session that succeeds this one, under a key of its own."""
        parameters = {"key": child_key, "agentId": agent, "parentSessionKey": session_key, "succeedsParent": True}
        return self.call("sessions.create", {**parameters, "emitCommandHooks": True})

    def send_turn(self, session_key: str, agent: str, message: str, idempotency_key: str) -> Answer:
        """Give the model a message as a turn of this session; nothing goes out to a channel.

        The gateway runs the same `idempotency_key` once, and the transcript keeps it with the message.
        """
        parameters = {
            "message": message,
            "agentId": agent,
            "sessionKey": session_key,
            "idempotencyKey": idempotency_key,
            "deliver": False,
        }
        return self.call("agent", parameters, timeout=self.action_timeout, final=True)


class GatewayRefused(OpenClawFailed):
    """The gateway answered, and the answer is no."""

    code = "gateway_refused"


def _is_unreachable(answer: Answer) -> bool:
    error = answer.get("error")
    return isinstance(error, dict) and error.get("type") != "gateway_request_error"


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
