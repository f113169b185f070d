"""The store of OpenClaw 2026.7.2 and later: one SQLite database an agent, in WAL mode.

Opened read-only and for one short transaction at a time; never written, never copied. Tables and columns as recorded in
docs/openclaw.md. Larger events lie compressed in `event_zstd`, with their length in `event_utf8_bytes`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from moon.errors import StoreForeign, StoreTooNew
from moon.openclaw.transcript_store import SessionEntry, StoredEvent, Transcript, read_entry

NEWEST_KNOWN = 23
# OpenClaw keeps no compressed event above 4 MiB; the bound guards against a forged length.
EVENT_LIMIT = 64 << 20
NEEDED = {
    "session_nodes": {"session_key", "current_session_id", "entry_json"},
    "transcript_events": {"session_id", "seq", "event_json", "created_at"},
}


class SqliteStore:
    """Sessions and transcripts in `agents/<agent>/agent/openclaw-agent.sqlite`."""

    generation = "sqlite"

    def __init__(self, agent: str, path: Path) -> None:
        self.agent = agent
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._columns: dict[str, set[str]] = {}
        self.version = 0  # of the schema, known once the store was read

    def _ensure_open(self) -> sqlite3.Connection:
        """The read-only connection, opened and checked on first use. Raises `StoreForeign`, `StoreTooNew`."""
        if self._connection is None:
            connection = self._open()
            try:
                self._check(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _open(self) -> sqlite3.Connection:
        # A database at rest in a folder that cannot be written has no WAL to read and opens only as immutable.
        at_rest = not Path(f"{self.path}-wal").exists()
        failure: sqlite3.Error | None = None
        for mode in ("mode=ro", "mode=ro&immutable=1") if at_rest else ("mode=ro",):
            try:
                connection = sqlite3.connect(f"file:{quote(str(self.path))}?{mode}", uri=True, timeout=5)
                connection.text_factory = bytes
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                return connection
            except sqlite3.Error as error:
                failure = error
        raise self._foreign(f"cannot be read as an SQLite database: {failure}") from failure

    def _foreign(self, what: str) -> StoreForeign:
        return StoreForeign(
            f"{self.path} {what}",
            path=str(self.path),
            hint="Moon reads the stores that OpenClaw writes and never changes them; `openclaw doctor` may repair it",
        )

    def _check(self, connection: sqlite3.Connection) -> None:
        try:
            for table, needed in NEEDED.items():
                rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
                self._columns[table] = {name.decode() for (name,) in rows}
                if not needed <= self._columns[table]:
                    missing = ", ".join(sorted(needed - self._columns[table]))
                    raise self._foreign(f"is not an OpenClaw session store: {table} lacks {missing}")
            found = connection.execute("SELECT max(schema_version) FROM schema_meta").fetchone()
        except sqlite3.Error as error:
            raise self._foreign(f"is not an OpenClaw session store: {error}") from error
        version = found[0] if found and isinstance(found[0], int) else 0
        self.version = version
        if version > NEWEST_KNOWN:
            raise StoreTooNew(
                f"{self.path} has schema version {version}; this Moon knows {NEWEST_KNOWN} and older",
                path=str(self.path),
                hint="update Moon; until then usage comes from the openclaw command and nothing is pruned",
            )

    def _rows(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
        try:
            yield from self._ensure_open().execute(sql, parameters)
        except sqlite3.Error as error:
            raise self._foreign(f"failed while it was read: {error}") from error

    def _column(self, table: str, name: str, otherwise: str = "NULL") -> str:
        """A column that only some versions have."""
        self._ensure_open()
        return name if name in self._columns[table] else otherwise

    def sessions(self) -> list[SessionEntry]:
        """Every session that OpenClaw has not archived."""
        archived = self._column("session_nodes", "archived_at")
        status = self._column("session_nodes", "status")
        found = []
        for key, session_id, entry_json, now in self._rows(
            f"SELECT session_key, current_session_id, entry_json, {status} FROM session_nodes "
            f"WHERE {archived} IS NULL ORDER BY session_key"
        ):
            found.append(self._entry(_text(key), _text(session_id), entry_json, _text(now)))
        return found

    def _entry(self, key: str, session_id: str, entry_json: object, status: str) -> SessionEntry:
        try:
            entry = json.loads(entry_json) if isinstance(entry_json, (bytes, str)) else {}
        except (ValueError, RecursionError):
            entry = {}
        entry = entry if isinstance(entry, dict) else {}
        return read_entry(self.agent, key, session_id, {**entry, "status": status or entry.get("status")})

    def transcripts(self) -> list[Transcript]:
        """Every transcript in the database: live, of earlier windows, and what resets and deletions left."""
        keys = {
            _text(row[1]): _text(row[0])
            for row in self._rows("SELECT session_key, current_session_id FROM session_nodes")
        }
        if self._has("session_windows"):
            for session_id, key in self._rows("SELECT session_id, session_key FROM session_windows"):
                keys.setdefault(_text(session_id), _text(key))
        live = [_text(row[0]) for row in self._rows("SELECT DISTINCT session_id FROM transcript_events")]
        found = [Transcript(self.agent, keys.get(session_id, ""), session_id) for session_id in live]
        if self._has("session_transcript_archives"):
            found += [
                Transcript(self.agent, _text(key), _text(session_id), _text(name))
                for session_id, key, name in self._rows(
                    "SELECT session_id, session_key, archive_name FROM session_transcript_archives ORDER BY created_at"
                )
            ]
        return found

    def _has(self, table: str) -> bool:
        return any(True for _ in self._rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))

    def mark(self, transcript: Transcript) -> str:
        """The last event's position, time and length."""
        if transcript.place:
            return transcript.place
        length = self._column("transcript_events", "event_utf8_bytes")
        for seq, created, size in self._rows(
            f"SELECT seq, created_at, {length} FROM transcript_events WHERE session_id = ? ORDER BY seq DESC LIMIT 1",
            (transcript.session_id,),
        ):
            return f"{seq}:{created}:{size or 0}"
        return ""

    def size(self, transcript: Transcript) -> int:
        """The sum of the events' bytes."""
        length = self._column("transcript_events", "event_utf8_bytes")
        sql = f"SELECT sum(coalesce({length}, length(event_json))) FROM transcript_events WHERE session_id = ?"
        total = next(self._rows(sql, (transcript.session_id,)))[0]
        return total if isinstance(total, int) else 0

    def events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The events in order of `seq`, all as of one moment."""
        if transcript.place:
            yield from self._left_events(transcript)
            return
        packed = self._column("transcript_events", "event_zstd")
        length = self._column("transcript_events", "event_utf8_bytes")
        # One statement is one read transaction: it sees one moment, however long the caller takes.
        for seq, text, zstd, size in self._rows(
            f"SELECT seq, event_json, {packed}, {length} FROM transcript_events WHERE session_id = ? ORDER BY seq",
            (transcript.session_id,),
        ):
            if isinstance(text, bytes):
                yield StoredEvent(text)
            else:
                yield _unpack(seq, zstd, size)

    def _left_events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The lines of a transcript that a reset or deletion moved into a blob of JSONL."""
        sql = "SELECT encoding, archive_blob FROM session_transcript_archives WHERE archive_name = ?"
        for encoding, blob in self._rows(sql, (transcript.place,)):
            data = blob if isinstance(blob, bytes) else b""
            lines = _zstd_lines(data) if _text(encoding) == "zstd" else iter(data.split(b"\n"))
            yield from (StoredEvent(line) for line in lines if line)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _unpack(seq: object, packed: object, size: object) -> StoredEvent:
    """Decompress an event and hold it against its recorded length; on failure hand on the packed bytes."""
    import zstandard

    if not isinstance(packed, bytes) or not isinstance(size, int) or not 0 < size <= EVENT_LIMIT:
        return StoredEvent(
            packed if isinstance(packed, bytes) else b"", f"undecodable: event {seq} has no usable content"
        )
    try:
        data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    except zstandard.ZstdError as error:
        return StoredEvent(packed, f"undecodable: event {seq}: {error}")
    if len(data) != size:
        return StoredEvent(packed, f"undecodable: event {seq} has {len(data)} bytes, {size} are recorded")
    return StoredEvent(data)


def _zstd_lines(blob: bytes) -> Iterator[bytes]:
    import io

    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blob)) as reader:
        yield from (line.rstrip(b"\n") for line in io.BufferedReader(reader))
