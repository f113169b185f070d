"""A stand-in for OpenClaw's gateway that edits an SQLite store as the real program was seen to do.

It is the `openclaw` command as well (`main`), and answers over WebSocket from `gateway_server.py`. It reads how to
behave from the JSON file `$FAKE_OPENCLAW` (`{"down": …, "active": […], "<action>": "<mood>", "delay": {"<action>":
seconds}}`) and notes every call in `$FAKE_OPENCLAW.log`. Actions: list, compact, reset, create, agent. Moods:

    ok       does it and says so             hang        does nothing and never answers
    lie      does nothing and says ok        garbage     does nothing and prints what is no JSON
    error0   does nothing, exit 0, says no   silent      does it and says nothing
    no       does nothing, exit 1, says no   hang_after  does it and never answers
    already  "Already compacted"             active      says that a run is active
    late     a user's message slips in before it is done, and gets no answer
    taken    the same, but the message stands in no transcript, only among the inputs that were interrupted
    collide  for agent: somebody's message begins beside it, and its run fails
    behind   the same, but the message is written behind the reset and its run fails
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

Answer = dict[str, Any]
DOES_NOTHING = {"hang", "lie", "garbage", "error0", "no", "already", "active"}


class Reply(Exception):
    """What is answered; `code` is the command's exit code."""

    def __init__(self, answer: Answer, code: int = 0) -> None:
        super().__init__(answer)
        self.answer = answer
        self.code = code


class Hang(Exception):
    """There is no answer, ever."""


class Noise(Exception):
    """What is said is no answer."""


def agents() -> Path:
    """Where the stores lie."""
    return Path(os.environ["OPENCLAW_STATE_DIR"]) / "agents"


def plan() -> Answer:
    """How to behave."""
    try:
        loaded: Answer = json.loads(Path(os.environ["FAKE_OPENCLAW"]).read_text())
    except (KeyError, FileNotFoundError):
        return {}
    return loaded


def note(arguments: list[str]) -> None:
    """Remember the call."""
    if "FAKE_OPENCLAW" in os.environ:
        with Path(os.environ["FAKE_OPENCLAW"] + ".log").open("a") as log:
            log.write(json.dumps(arguments) + "\n")


def now_ms() -> int:
    """The same clock as Moon's in a test, so that times agree."""
    from datetime import datetime

    fixed = os.environ.get("MOON_NOW", "")
    return int(datetime.fromisoformat(fixed.replace("Z", "+00:00")).timestamp() * 1000) if fixed else 0


def reply(answer: Answer, code: int = 0) -> NoReturn:
    """Say it."""
    raise Reply(answer, code)


def refuse(message: str, code: int = 1, kind: str = "INVALID_REQUEST") -> NoReturn:
    """The gateway's no."""
    reply({"ok": False, "error": {"type": "gateway_request_error", "code": kind, "message": message}}, code)


class Session:
    """One session of an agent's database."""

    def __init__(self, agent: str, key: str) -> None:
        self.key = key
        path = agents() / agent / "agent" / "openclaw-agent.sqlite"
        self.database = sqlite3.connect(path, timeout=10, isolation_level=None)
        row = self.database.execute(
            "SELECT current_session_id, entry_json FROM session_nodes WHERE session_key = ?", (key,)
        ).fetchone()
        self.exists = row is not None
        self.id, self.entry = (row[0], json.loads(row[1])) if row else ("", {})

    def append(self, event: Answer) -> None:
        """One more row of the transcript."""
        (last,) = self.database.execute(
            "SELECT coalesce(max(seq), -1) FROM transcript_events WHERE session_id = ?", (self.id,)
        ).fetchone()
        line = {"parentId": None, "timestamp": os.environ.get("MOON_NOW", ""), "id": f"f{last + 1}-{os.getpid()}"}
        text = json.dumps({**line, **event}, ensure_ascii=False, separators=(",", ":"))
        self.database.execute(
            "INSERT INTO transcript_events (session_id, seq, event_json, created_at, event_utf8_bytes) "
            "VALUES (?, ?, ?, ?, ?)",
            (self.id, last + 1, text, now_ms() + last + 1, len(text.encode())),
        )
        # Every write moves the transcript's time on, as in the real program.
        self.database.execute(
            "UPDATE session_windows SET transcript_updated_at = max(?, coalesce(transcript_updated_at, 0) + 1) "
            "WHERE session_id = ?",
            (now_ms(), self.id),
        )

    def events(self) -> list[tuple[int, Answer]]:
        """Rows that are stored as plain text."""
        rows = self.database.execute(
            "SELECT seq, event_json FROM transcript_events WHERE session_id = ? AND event_json IS NOT NULL", (self.id,)
        )
        return [(seq, json.loads(text)) for seq, text in rows if text.startswith("{")]

    def save(self, changes: Answer, without: tuple[str, ...] = ()) -> None:
        """Write the entry back."""
        kept = {name: value for name, value in self.entry.items() if name not in without}
        self.entry = {**kept, "sessionId": self.id, **changes, "updatedAt": now_ms()}
        self.database.execute(
            "INSERT INTO session_nodes (session_key, current_session_id, entry_json, updated_at, status) "
            "VALUES (?, ?, ?, ?, 'done') ON CONFLICT (session_key) DO UPDATE SET entry_json = excluded.entry_json, "
            "updated_at = excluded.updated_at, status = 'done'",
            (self.key, self.id, json.dumps(self.entry), now_ms()),
        )

    def user_message(self, text: str) -> None:
        """Somebody writes."""
        self.append({"type": "message", "message": {"role": "user", "content": text}})

    def interrupted_input(self, text: str, state: str = "interrupted") -> None:
        """Somebody wrote, and the message is in no transcript."""
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS session_pending_inputs (input_id TEXT, session_key TEXT, session_id TEXT, "
            "message_json TEXT, state TEXT, accepted_at INTEGER, consumed_event_id TEXT)"
        )
        message = {"role": "user", "content": text, "timestamp": now_ms(), "idempotencyKey": "theirs:user"}
        self.database.execute(
            "INSERT INTO session_pending_inputs VALUES ('i1', ?, ?, ?, ?, ?, NULL)",
            (self.key, self.id, json.dumps(message), state, now_ms()),
        )


def act(action: str, session: Session, deed: Any, said: Answer) -> NoReturn:
    """Do it, or not, and answer, or not, as the plan has it."""
    planned = plan()
    mood = planned.get(action, "ok")
    time.sleep(planned.get("delay", {}).get(action, 0))
    if mood == "late":
        session.user_message("a word that slips in just before")
    if mood == "taken":
        session.interrupted_input("a word that is in no transcript")
    if mood not in DOES_NOTHING:
        deed(session)
    if mood == "behind":
        session.user_message("a word whose run fails")
        session.append({"type": "message", "message": {"role": "assistant", "content": [], "stopReason": "error"}})
    if mood in ("hang", "hang_after"):
        raise Hang
    if mood in ("garbage", "silent"):
        raise Noise("<html>502 Bad Gateway</html>" if mood == "garbage" else "")
    if mood in ("no", "error0"):
        refuse(f"{action} is not possible now", 0 if mood == "error0" else 1)
    if mood == "already":
        reply({"ok": False, "key": session.key, "compacted": False, "reason": "Already compacted"})
    if mood == "active":
        refuse(f"Session {session.key} has an active run; retry after it finishes.")
    reply(said)


def summarise(session: Session) -> None:
    """`sessions compact`: a compaction row, fewer tokens."""
    session.append({"type": "compaction", "summary": "## Decisions\nnone", "fromHook": True})
    fewer = {"totalTokens": session.entry.get("totalTokens", 0) * 2 // 3, "totalTokensFresh": True}
    count = session.entry.get("compactionCount", 0) + 1
    session.save({**fewer, "compactionCount": count}, without=("contextBudgetStatus",))


def reset(session: Session) -> None:
    """`sessions.reset`: the same session id, one reset row, an empty context."""
    session.append({"type": "reset", "reason": "new"})
    gone = ("contextTokens", "contextBudgetStatus", "lastInteractionAt", "status")
    session.save({"totalTokens": 0, "totalTokensFresh": True, "compactionCount": 0}, without=gone)


def take_turn(session: Session, message: str, key: str) -> None:
    """The gateway's `agent`: a user message that carries the key, once, and an answer."""
    mark = f"{key}:user"
    if any(event.get("message", {}).get("idempotencyKey") == mark for _, event in session.events()):
        return
    session.append({"type": "model_change", "provider": "mock", "modelId": "mock-1"})
    collides = plan().get("agent") == "collide" and "again" not in key
    if collides:
        theirs = {"role": "user", "content": "a word that meets the map", "idempotencyKey": "theirs-2:user"}
        session.append({"type": "message", "message": theirs})
    user = {"role": "user", "content": message.rstrip("\n"), "idempotencyKey": mark}
    session.append({"type": "message", "message": user})
    session.append(
        {"type": "message", "message": {"role": "assistant", "content": [{"type": "text", "text": "Noted."}]}}
    )
    if collides:
        error = {"role": "assistant", "content": [], "stopReason": "error", "idempotencyKey": "theirs-2:terminal-error"}
        session.append({"type": "message", "message": error})
    session.save({"totalTokens": 900, "totalTokensFresh": True, "contextTokens": 64_000, "lastInteractionAt": now_ms()})


def create(session: Session) -> None:
    """`sessions.create`: a session of its own."""
    session.id = f"child-{now_ms()}"
    session.append({"type": "session", "version": 4, "id": session.id})
    session.save({"totalTokens": 0, "totalTokensFresh": True})


def list_sessions(with_runs: bool) -> NoReturn:
    """`openclaw sessions`, or `sessions.list` of the gateway, which alone knows of active runs."""
    mood = plan().get("list", "ok")
    if mood == "hang":
        raise Hang
    if mood == "garbage":
        raise Noise("Segmentation fault")
    rows = []
    for path in sorted(agents().glob("*/agent/openclaw-agent.sqlite")):
        agent = path.parents[1].name
        database = sqlite3.connect(path, timeout=10)
        for key, entry_json in database.execute("SELECT session_key, entry_json FROM session_nodes"):
            row = {**json.loads(entry_json), "key": key, "agentId": agent}
            if with_runs and mood != "mute":
                row["hasActiveRun"] = key in plan().get("active", [])
                row["activeRunIds"] = ["run-1"] if row["hasActiveRun"] else []
            rows.append(row)
        database.close()
    reply({"sessions": [] if mood == "empty" else rows, "limitApplied": 100, "hasMore": False})


def gateway_call(method: str, parameters: Answer) -> NoReturn:
    """`openclaw gateway call METHOD`."""
    if plan().get("down"):
        text = "Gateway not reachable at ws://127.0.0.1:1 (ECONNREFUSED)."
        reply({"ok": False, "error": {"type": "gateway_transport_error", "kind": "closed", "message": text}}, 1)
    if method in ("sessions.list", "agents.list", "skills.status"):
        tell(method)
    key = parameters.get("key") or parameters.get("sessionKey") or ""
    session = Session(parameters.get("agentId") or agent_of(key), key)
    if method == "sessions.reset":
        check_guard(session, parameters)
        act("reset", session, reset, {"ok": True, "key": key, "entry": session.entry})
    if method == "sessions.compact":
        if not session.exists:
            reply({"ok": True, "key": key, "compacted": False, "reason": "no sessionId"})
        act("compact", session, summarise, {"ok": True, "key": key, "compacted": True, "result": {}})
    if method == "sessions.create":
        act("create", session, create, {"ok": True, "key": key})
    if method == "agent":
        if not session.exists:
            refuse("unknown session")
        mark = parameters["idempotencyKey"]
        said = {"runId": mark, "status": "ok", "summary": "completed"}
        act("agent", session, lambda one: take_turn(one, parameters["message"], mark), said)
    refuse(f"unknown method {method}")


def check_guard(session: Session, parameters: Answer) -> None:
    """Is it the session that the caller means? `before_2026_8`: a gateway that does not know the question."""
    expected = parameters.get("expectedSessionId")
    if plan().get("before_2026_8"):
        if expected is not None:
            refuse("invalid sessions.reset params: at root: unexpected property 'expectedSessionId'")
    elif not session.exists or expected != session.id:
        refuse(f"Session {session.key} changed before reset. Retry.")


def tell(method: str) -> NoReturn:
    """Sessions, agents, and what agents see of Moon; the plan's `skills` in place of that."""
    if method == "sessions.list":
        list_sessions(with_runs=True)
    if method == "agents.list":
        reply({"defaultId": "main", "agents": [{"id": "main"}]})
    usual = {"name": "moon-recall", "modelVisible": True, "missing": {"bins": []}}
    reply({"skills": plan().get("skills", [usual])})


def agent_of(key: str) -> str:
    """The agent that a session key names."""
    parts = key.split(":")
    return parts[1] if len(parts) > 2 else "main"


def option(arguments: list[str], name: str) -> str:
    """The word behind an option."""
    return arguments[arguments.index(name) + 1]


def run(arguments: list[str]) -> NoReturn:
    """What the command does."""
    if arguments == ["--version"]:
        print("OpenClaw 2026.9.6 (stand-in)")
        sys.exit(0)
    note(arguments)
    if arguments[:1] == ["sessions"]:
        list_sessions(with_runs=False)
    if arguments[:2] == ["gateway", "call"]:
        gateway_call(arguments[2], json.loads(option(arguments, "--params")))
    print(f"unknown command {arguments}", file=sys.stderr)
    sys.exit(1)


def main(arguments: list[str]) -> None:
    """Be the command."""
    try:
        run(arguments)
    except Reply as said:
        print(json.dumps(said.answer))
        sys.exit(said.code)
    except Noise as noise:
        print(noise, end="")
    except Hang:
        Path(os.environ["FAKE_OPENCLAW"] + ".pid").write_text(str(os.getpid()))
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1:])
