"""`moon-archive --restore … --to-openclaw FOLDER`: transcripts as OpenClaw's own import reads them.

`openclaw doctor --session-sqlite import` takes in `agents/<agent>/sessions/sessions.json` and the JSONL files that it
names, byte for byte; the session then goes on where it ended.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from moon.clock import now_ms
from moon.errors import MoonError, UsageWrong
from moon.files import atomic_writer, read_bounded, write_all, write_atomic
from moon.text import dump_json
from moon.vault.catalog import Catalog
from moon.vault.restore import Restored, restore

SESSIONS_LIMIT = 256 << 20
HINT = "name another folder, or write over it with --force"


def restore_for_openclaw(
    catalog: Catalog, found: list[tuple[str, str, str]], folder: Path, *, force: bool
) -> list[Restored]:
    """Write every transcript and list it. `found`: (agent, key, session id), the latest of a key last.

    Only the latest of a key can have it; earlier ones get keys of their own. Raises `UsageWrong`, `HomeUnusable`.
    """
    latest = {(agent, key): session_id for agent, key, session_id in found}
    done = []
    for agent, key, session_id in found:
        sessions = folder / "agents" / _as_name(agent) / "sessions"
        path = sessions / f"{_as_name(session_id)}.jsonl"
        if not key or latest[agent, key] != session_id:
            key = f"{key or f'agent:{agent}'}:restored-{session_id}"
        listed = _listed(sessions / "sessions.json")
        if not force and (path.exists() or key in listed):
            raise UsageWrong(f"{folder} has {key} already", hint=HINT)
        with atomic_writer(path) as descriptor:
            done.append(restore(catalog, agent, session_id, functools.partial(write_all, descriptor)))
        listed[key] = {"sessionId": session_id, "updatedAt": now_ms(), "sessionFile": str(path.absolute())}
        write_atomic(sessions / "sessions.json", dump_json(listed, indent=1).encode() + b"\n")
    return done


def _as_name(text: str) -> str:
    """An agent or a session id as the name of a file, which is what OpenClaw makes of it."""
    if not text or "/" in text or "\0" in text or text in (".", ".."):
        raise UsageWrong(f"{text!r} can name no file of OpenClaw's", hint="restore it with --to FILE")
    return text


def _listed(path: Path) -> dict[str, Any]:
    try:
        listed = json.loads(read_bounded(path, SESSIONS_LIMIT))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise MoonError(f"{path} is not JSON: {error}", path=str(path), hint="name another folder") from error
    if not isinstance(listed, dict):
        raise MoonError(f"{path} is no list of sessions", path=str(path), hint="name another folder")
    return listed
