"""The store of OpenClaw up to 2026.7.1: `sessions.json` and one JSONL file a transcript.

Also reads the copies that a reset or a deletion leaves beside them, in either generation: `<id>.jsonl.reset.<time>`,
`<id>.jsonl.deleted.<time>`, and the same with `.zst` behind it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from moon.errors import MoonError, StoreForeign
from moon.files import read_bounded
from moon.openclaw.transcript_store import (
    Holding,
    SessionEntry,
    StoredEvent,
    Transcript,
    TranscriptPass,
    read_entry,
    storable,
)
from moon.openclaw.unpacking import Unpackable, unpacked_lines

TRANSCRIPT = re.compile(r"(?P<id>.+?)\.jsonl(?P<left>\.(?:reset|deleted)\..+)?", re.DOTALL)
SESSIONS_LIMIT = 256 << 20
# OpenClaw packs no more than this into one archive.
UNPACKED_LIMIT = 1 << 30
BLOCK = 1 << 20
READ = 256 << 10


class JsonlStore:
    """Sessions and transcripts below `agents/<agent>/sessions`.

    `beside_newer`: a store of the newer generation holds the same agent, so that a session id alone does not say which
    of the two is meant; every transcript then has its file's name as its place.
    """

    generation = "jsonl"
    notice = None

    def __init__(self, agent: str, folder: Path, beside_newer: bool = False) -> None:
        self.agent = agent
        self.folder = folder
        self.beside_newer = beside_newer
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
                hint="its transcripts are archived all the same; `openclaw doctor` may repair the file",
            ) from error
        if not isinstance(listed, dict):
            raise StoreForeign(
                f"{path} is not an object of sessions", path=str(path), hint="is this an OpenClaw store?"
            )
        return listed

    def holdings(self) -> list[Holding]:
        """Every transcript file, live ones first. Where sessions.json cannot be read, any of them may be in use."""
        try:
            keys: dict[str, str] | None = {entry.session_id: entry.key for entry in self.sessions()}
        except MoonError:
            keys = None
        ids = {name: session_id for session_id, name in self._file_names().items()}
        found = [self._holding(name, stat, keys, ids) for name, stat in self._files()]
        return sorted((each for each in found if each), key=lambda each: (bool(each.transcript.place), each.transcript))

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(self.folder) as folder:
                for each in folder:
                    stat = _stat_of_file(each) if ".jsonl" in each.name else None
                    if stat is not None:
                        yield each.name, stat
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(self.folder, error) from error

    def _holding(
        self, name: str, stat: os.stat_result, keys: dict[str, str] | None, ids: dict[str, str]
    ) -> Holding | None:
        match = TRANSCRIPT.fullmatch(name)
        if match is None or match["id"].endswith(".trajectory") or storable(name) != name:
            return None
        session_id = ids.get(name, match["id"])
        left = bool(match["left"])
        # One file only is what the session id alone means.
        aside = left or self.beside_newer or not self._is_live_name(name, session_id)
        return Holding(
            Transcript(self.agent, (keys or {}).get(session_id, ""), session_id, name if aside else ""),
            _mark_of(stat),
            stat.st_mtime_ns // 1_000_000,
            live=not left and (keys is None or session_id in keys),
        )

    def _path(self, transcript: Transcript) -> Path:
        name = transcript.place or transcript.session_id
        if "/" in name or "\0" in name or not name or transcript.place in (".", ".."):
            raise StoreForeign(f"{name!r} cannot name a transcript file", path=str(self.folder))
        return self.folder / (transcript.place or self._live_name(transcript.session_id))

    def _is_live_name(self, name: str, session_id: str) -> bool:
        return name == f"{session_id}.jsonl" or name == self._live_name(session_id)

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
        """The file itself, its size and its time of change."""
        try:
            return _mark_of(self._path(transcript).stat())
        except (OSError, MoonError):
            return ""

    def path_of(self, transcript: Transcript) -> str:
        """The transcript's own file."""
        return str(self._path(transcript))

    def size(self, transcript: Transcript) -> int:
        """The file's bytes."""
        try:
            return self._path(transcript).stat().st_size
        except (OSError, MoonError):
            return 0

    def events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The lines up to the size that the file has now; a last line without its newline is marked as torn."""
        return self.read(transcript).events

    def read(self, transcript: Transcript, bookmark: str = "") -> TranscriptPass:
        """The lines behind the bookmark where the bytes before it hash to what they did then; else all lines.

        Such a file can be rewritten anywhere without a trace in its size or name, so the bytes before the bookmark are
        hashed again; they are not parsed and not looked up.
        """
        path = self._path(transcript)
        if path.suffix == ".zst":
            return TranscriptPass(self._packed_lines(path))
        start, digest = _before(path, bookmark)
        passed = TranscriptPass(iter(()), resumed=start > 0)
        passed.events = self._lines(path, start, digest, passed)
        return passed

    def _lines(self, path: Path, start: int, digest: hashlib._Hash, passed: TranscriptPass) -> Iterator[StoredEvent]:
        begun: list[bytes] = []  # of a line whose end is still to come
        try:
            with path.open("rb", buffering=0) as stream:
                left = os.fstat(stream.fileno()).st_size - start
                stream.seek(start)
                while left > 0 and (block := stream.read(min(left, READ))):
                    left -= len(block)
                    end = block.rfind(b"\n")
                    if end < 0:
                        begun.append(block)
                        continue
                    lines = b"".join([*begun, block[:end]])
                    digest.update(lines)
                    digest.update(b"\n")
                    start += len(lines) + 1
                    begun = [block[end + 1 :]] if end + 1 < len(block) else []
                    found = lines.split(b"\n")
                    del lines, block  # one line may be large
                    yield from map(StoredEvent, found)
            if begun:
                yield StoredEvent(b"".join(begun), "torn")
            passed.bookmark = f"{start}:{digest.hexdigest()}"
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(path, error) from error

    def _packed_lines(self, path: Path) -> Iterator[StoredEvent]:
        """The lines of a copy that was compressed; where it does not unpack, what came before and the file as it is."""
        try:
            with path.open("rb") as stream:
                for line in unpacked_lines(stream, UNPACKED_LIMIT):
                    yield StoredEvent(line.removesuffix(b"\n"), "" if line.endswith(b"\n") else "torn")
        except Unpackable as error:
            yield StoredEvent(read_bounded(path, UNPACKED_LIMIT), f"undecodable: {path.name}: {error}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(path, error) from error


def _stat_of_file(entry: os.DirEntry[str]) -> os.stat_result | None:
    """None for what is no file, went away meanwhile, or is a link that leads nowhere: that concerns no other file."""
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:
        return None


def _mark_of(stat: os.stat_result) -> str:
    # The time of the inode's change as well: nobody can put that one back.
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}:{stat.st_ctime_ns}"


def _unreadable(path: Path, error: OSError) -> StoreForeign:
    return StoreForeign(f"cannot read {path}: {error.strerror}", path=str(path), hint="check its permissions")


def _before(path: Path, bookmark: str) -> tuple[int, hashlib._Hash]:
    """Where to go on, and the hash of the bytes before that; (0, nothing hashed) unless they are as they were."""
    position, _, expected = bookmark.partition(":")
    start = int(position) if position.isdigit() else 0
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            if start and _hash_up_to(stream, start, digest) and digest.hexdigest() == expected:
                return start, digest
    except OSError:
        pass
    return 0, hashlib.sha256()


def _hash_up_to(stream: IO[bytes], length: int, digest: hashlib._Hash) -> bool:
    """Take in so many bytes; False when there are fewer."""
    while length > 0:
        block = stream.read(min(length, BLOCK))
        if not block:
            return False
        digest.update(block)
        length -= len(block)
    return True
