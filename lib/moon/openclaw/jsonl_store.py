"""The store of OpenClaw up to 2026.7.1: `sessions.json` and one JSONL file a transcript.

Also reads the copies that a reset or a deletion leaves beside them (`<id>.jsonl.reset.<time>`, `.deleted.<time>`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moon.errors import MoonError, StoreForeign
from moon.files import read_bounded
from moon.openclaw.transcript_store import SessionEntry, StoredEvent, Transcript, read_entry, storable

TRANSCRIPT = re.compile(r"^(?P<id>.+?)\.jsonl(?P<left>\.(?:reset|deleted)\..+)?$")
SESSIONS_LIMIT = 256 << 20


class JsonlStore:
    """Sessions and transcripts below `agents/<agent>/sessions`."""

    generation = "jsonl"

    def __init__(self, agent: str, folder: Path) -> None:
        self.agent = agent
        self.folder = folder
        self._named: dict[str, str] | None = None

    def sessions(self) -> list[SessionEntry]:
        """Every entry of sessions.json that names a session id. Raises `StoreForeign`."""
        found = []
        self._named = {}
        for key, entry in self._read_sessions().items():
            session_id = entry.get("sessionId") if isinstance(entry, dict) else None
            if not isinstance(session_id, str) or not session_id:
                continue
            if isinstance(entry.get("sessionFile"), str):
                self._named[session_id] = Path(entry["sessionFile"]).name
            if entry.get("archivedAt"):
                continue
            found.append(read_entry(self.agent, storable(key), session_id, entry))
        return found

    def _read_sessions(self) -> dict[str, Any]:
        path = self.folder / "sessions.json"
        try:
            listed = json.loads(read_bounded(path, SESSIONS_LIMIT))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise StoreForeign(
                f"{path} is not JSON: {error}",
                path=str(path),
                hint="`moon-archive --all` still archives its transcripts; `openclaw doctor` may repair the file",
            ) from error
        if not isinstance(listed, dict):
            raise StoreForeign(
                f"{path} is not an object of sessions", path=str(path), hint="is this an OpenClaw store?"
            )
        return listed

    def transcripts(self) -> list[Transcript]:
        """Every transcript file, live ones first."""
        try:
            keys = {entry.session_id: entry.key for entry in self.sessions()}
        except StoreForeign:
            keys = {}
        ids = {name: session_id for session_id, name in self._file_names().items()}
        live: list[Transcript] = []
        left: list[Transcript] = []
        for name in sorted(path.name for path in self.folder.glob("*.jsonl*") if path.is_file()):
            match = TRANSCRIPT.match(name)
            if match is None or match["id"].endswith(".trajectory"):
                continue
            session_id = ids.get(name, match["id"])
            found = Transcript(self.agent, keys.get(session_id, ""), session_id, name if match["left"] else "")
            (left if match["left"] else live).append(found)
        return live + left

    def _path(self, transcript: Transcript) -> Path:
        session_id = transcript.session_id
        if "/" in session_id or "\0" in session_id or session_id in ("", ".", ".."):
            raise StoreForeign(f"session id {session_id!r} cannot name a transcript file", path=str(self.folder))
        return self.folder / (transcript.place or self._live_name(session_id))

    def _live_name(self, session_id: str) -> str:
        """The file of a session id: by its usual name, else by the one that the session's entry gives."""
        usual = f"{session_id}.jsonl"
        return usual if (self.folder / usual).exists() else self._file_names().get(session_id, usual)

    def _file_names(self) -> dict[str, str]:
        """Session id → file name, for those whose entry names a file."""
        if self._named is None:
            try:
                self.sessions()
            except MoonError:
                self._named = {}
        return self._named or {}

    def mark(self, transcript: Transcript) -> str:
        """The file's size and time of change."""
        try:
            stat = self._path(transcript).stat()
        except (OSError, MoonError):
            return ""
        return f"{stat.st_size}:{stat.st_mtime_ns}"

    def size(self, transcript: Transcript) -> int:
        """The file's bytes."""
        try:
            return self._path(transcript).stat().st_size
        except (OSError, MoonError):
            return 0

    def events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The lines up to the size that the file has now; a last line without its newline is marked as torn."""
        path = self._path(transcript)
        try:
            with path.open("rb") as stream:
                left = path.stat().st_size
                while left > 0:
                    line = stream.readline(left)
                    if not line:
                        return
                    left -= len(line)
                    if line.endswith(b"\n"):
                        yield StoredEvent(line[:-1])
                    else:
                        yield StoredEvent(line, "torn")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreForeign(
                f"cannot read {path}: {error.strerror}", path=str(path), hint="check its permissions"
            ) from error
