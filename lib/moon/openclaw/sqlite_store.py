"""The store of OpenClaw 2026.7.2 and later: one SQLite database an agent, in WAL mode.

Opened read-only and for one short transaction at a time; never written, never copied. Tables and columns as recorded in
docs/openclaw.md. Larger events lie compressed in `event_zstd`, with their length in `event_utf8_bytes`. What a session
leaves behind lies in `session_transcript_archives`, what went into cold storage in a file of its own (cold_archive.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moon.errors import MoonError, StoreBusy, StoreForeign, StoreTooNew
from moon.openclaw import cold_archive
from moon.openclaw.transcript_store import (
    Holding,
    SessionEntry,
    StoredEvent,
    Transcript,
    TranscriptPass,
    read_entry,
    whole,
)
from moon.openclaw.unpacking import Unpackable, unpack_exactly, unpacked_lines

NEWEST_KNOWN = 23
BUSY_SECONDS = 5.0
# OpenClaw keeps no compressed event above 4 MiB; the bound guards against a forged length.
EVENT_LIMIT = 64 << 20
# OpenClaw packs no more than this into what a deletion leaves.
LEFT_LIMIT = 1 << 30
# So many events are decoded to see whether a schema that is not known still means what it says.
SAMPLE = 24
NEEDED = {
    "session_nodes": {"session_key", "current_session_id", "entry_json"},
    "transcript_events": {"session_id", "seq", "event_json", "created_at"},
}
# Read where they are there; which columns they have is asked once.
OPTIONAL = ("session_windows", "transcript_rewrite_watermarks", "session_transcript_archives", cold_archive.TABLE)
BUDGET = "contextBudgetStatus.promptBudgetBeforeReserve"
# What `read_entry` wants of a session's entry.
READ = (
    *("totalTokens", "contextTokens", "totalTokensFresh", "updatedAt", "lastInteractionAt", "status"),
    *("compactionCount", BUDGET),
)
Row = tuple[object, ...]


class SqliteStore:
    """Sessions and transcripts in `agents/<agent>/agent/openclaw-agent.sqlite`."""

    generation = "sqlite"

    def __init__(self, agent: str, path: Path) -> None:
        self.agent = agent
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._columns: dict[str, set[str]] = {}
        self._frozen: tuple[int, int, int] | None = None
        self.version = 0  # of the schema, known once the store was read

    @property
    def notice(self) -> MoonError | None:
        """A schema version that this Moon does not know, in a store whose shape it does know."""
        if self.version <= NEWEST_KNOWN:
            return None
        return StoreTooNew(
            f"{self.path} has schema version {self.version}; this Moon knows {NEWEST_KNOWN} and older",
            path=str(self.path),
            hint="its transcripts are archived as before; nothing is pruned or rolled over until Moon is updated",
        )

    def _ensure_open(self) -> sqlite3.Connection:
        """The read-only connection, opened and checked on first use. Raises `StoreForeign`, `StoreBusy`."""
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
        try:
            return self._connect("mode=ro")
        except sqlite3.Error as error:
            if not self._cannot_be_locked(error):
                raise self._failed(error) from error
        # A database at rest in a folder that nobody can write has no WAL to read and opens only as immutable.
        self._frozen = self._stamp()
        try:
            return self._connect("mode=ro&immutable=1")
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{quote(str(self.path))}?{mode}", uri=True, timeout=BUSY_SECONDS)
        try:
            connection.text_factory = bytes
            connection.isolation_level = None
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _cannot_be_locked(self, error: sqlite3.Error) -> bool:
        """Is the folder read-only and the database without any sign of a writer, so that locks do not matter?"""
        if not isinstance(error, sqlite3.OperationalError) or _is_lock(error):
            return False
        beside = any(Path(f"{self.path}{suffix}").exists() for suffix in ("-wal", "-journal"))
        effective = os.access in os.supports_effective_ids
        return not beside and not os.access(self.path.parent, os.W_OK, effective_ids=effective)

    def _stamp(self) -> tuple[int, int, int]:
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns, int(Path(f"{self.path}-wal").exists())

    def _failed(self, error: sqlite3.Error) -> MoonError:
        if _is_lock(error):
            return StoreBusy(
                f"{self.path} is locked by another process",
                path=str(self.path),
            )
        return self._foreign(f"cannot be read as an SQLite database: {error}")

    def _foreign(self, what: str) -> StoreForeign:
        return StoreForeign(
            f"{self.path} {what}",
            path=str(self.path),
        )

    def _check(self, connection: sqlite3.Connection) -> None:
        try:
            for table in (*NEEDED, *OPTIONAL):
                rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
                self._columns[table] = {name.decode() for (name,) in rows}
                missing = ", ".join(sorted(NEEDED.get(table, set()) - self._columns[table]))
                if missing:
                    raise self._foreign(f"is not an OpenClaw session store: {table} lacks {missing}")
            found = connection.execute("SELECT max(schema_version) FROM schema_meta").fetchone()
            self.version = found[0] if found and isinstance(found[0], int) else 0
            if self.version > NEWEST_KNOWN:
                self._check_sample(connection)
        except sqlite3.Error as error:
            if _is_lock(error):
                raise self._failed(error) from error
            raise self._foreign(f"is not an OpenClaw session store: {error}") from error

    def _check_sample(self, connection: sqlite3.Connection) -> None:
        """Do the latest events of a schema that is not known decode, at the lengths that are recorded?"""
        rows = connection.execute(f"{self._select_events()} ORDER BY rowid DESC LIMIT {SAMPLE}").fetchall()
        for seq, text, packed, size in rows:
            event = _event(seq, text, packed, size)
            length_differs = isinstance(size, int) and size != len(event.data)
            if event.problem or length_differs or not _is_object(event.data):
                raise self._foreign(
                    f"has schema version {self.version}, which this Moon does not know, and its events are not kept "
                    f"as they were: {event.problem or f'event {seq} is not what its row says'}"
                )

    def _rows(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[Row]:
        try:
            yield from self._ensure_open().execute(sql, parameters)
        except sqlite3.Error as error:
            raise (
                self._failed(error) if _is_lock(error) else self._foreign(f"failed while it was read: {error}")
            ) from error
        if self._frozen is not None and self._frozen != self._stamp():
            raise self._foreign("changed while it was read as a file at rest; the next tick reads it again")

    def _has(self, table: str, column: str = "") -> bool:
        """Is there such a table, with that column?"""
        self._ensure_open()
        found = self._columns.get(table, set())
        return column in found if column else bool(found)

    def _column(self, table: str, name: str, otherwise: str = "NULL") -> str:
        """A column that only some versions have."""
        return name if self._has(table, name) else otherwise

    def sessions(self) -> list[SessionEntry]:
        """Every session that OpenClaw has not archived."""
        archived = self._column("session_nodes", "archived_at")
        status = self._column("session_nodes", "status")
        found = []
        for key, session_id, taken, entire, now in self._rows(
            f"SELECT session_key, current_session_id, {self._entry_parts()}, {status} FROM session_nodes "
            f"WHERE {archived} IS NULL ORDER BY session_key"
        ):
            if session_id:  # a row without an id points to no transcript
                entry = _of_parts(taken) if taken is not None else _parsed(entire)
                entry["status"] = _text(now) or entry.get("status")
                found.append(read_entry(self.agent, _text(key), _text(session_id), entry))
        return found

    def _entry_parts(self) -> str:
        """SQL for two columns: what is read of an entry, as an array; else, where SQLite cannot tell it, the whole.

        An entry is 14 kB of JSON, most of it prompts and skills; SQLite finds eight numbers in it at a quarter of the
        cost of parsing it here.
        """
        try:
            next(self._rows("SELECT json_valid('{}')"))
        except StoreForeign:  # an SQLite that was built without JSON
            return "NULL, entry_json"
        paths = ", ".join(f"'$.{path}'" for path in READ)
        taken = f"json_extract(entry_json, {paths})"
        valid = "json_valid(entry_json)"
        return f"CASE WHEN {valid} THEN {taken} END, CASE WHEN NOT {valid} THEN entry_json END"

    def holdings(self) -> list[Holding]:
        """Every transcript: live, of an earlier window, put away, in cold storage, left by a reset or a deletion."""
        archived = self._column("session_nodes", "archived_at")
        keys: dict[str, str] = {}
        live = set()
        for key, session_id, put_away in self._rows(
            f"SELECT session_key, current_session_id, {archived} FROM session_nodes"
        ):
            keys[_text(session_id)] = _text(key)
            if put_away is None:
                live.add(_text(session_id))
        kept = [*self._kept(_EVERY_ID), *self._kept_cold()]
        for session_id, key, *_ in kept:
            keys.setdefault(session_id, key)
        return [
            Holding(Transcript(self.agent, keys[session_id], session_id), mark, changed_at, session_id in live)
            for session_id, _, mark, changed_at in kept
        ] + self._left(keys)

    def _kept(self, ids: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[str, str, str, int | None]]:
        """(session id, key, mark, changed at) of the transcripts in `transcript_events` with these ids.

        OpenClaw's own fence: every append moves `transcript_updated_at` on, every rewrite also gives the transcript a
        new generation. A version without the two costs a look at each event's length.
        """
        length = self._column("transcript_events", "event_utf8_bytes")
        events = "FROM transcript_events AS event WHERE event.session_id = ids.session_id"
        extent = f"(SELECT count(*) || ':' || sum(coalesce({length}, length(event_json))) {events})"
        updated, generation = self._fence()
        window, watermark = self._joined()
        key = "window.session_key" if window else "NULL"
        for session_id, owner, updated_at, made, last, whole_extent, last_at in self._rows(
            f"WITH RECURSIVE ids(session_id) AS ({ids}) "
            f"SELECT ids.session_id, {key}, {updated}, {generation}, (SELECT max(seq) {events}), "
            f"CASE WHEN {updated} IS NULL OR {generation} IS NULL THEN {extent} END, "
            f"coalesce({updated}, (SELECT created_at {events} ORDER BY seq DESC LIMIT 1)) "
            f"FROM ids {window} {watermark} WHERE ids.session_id IS NOT NULL",
            parameters,
        ):
            if last is not None:
                mark = _mark(made, updated_at, last, whole_extent)
                yield _text(session_id), _text(owner), mark, whole(last_at)

    def _kept_cold(self, session_id: str = "") -> Iterator[tuple[str, str, str, int | None]]:
        """The same of the transcripts in cold storage; OpenClaw takes them out again under the same mark."""
        if not self._has(cold_archive.TABLE):
            return
        updated, _ = self._fence()
        window, _ = self._joined("cold")
        key = "window.session_key" if window else "NULL"
        for found, owner, updated_at, generation, last in self._rows(
            f"SELECT cold.session_id, {key}, {updated}, cold.generation, cold.last_seq "
            f"FROM {cold_archive.TABLE} AS cold {window} WHERE ? IN ('', cold.session_id)",
            (session_id,),
        ):
            yield _text(found), _text(owner), _mark(generation, updated_at, last, None), whole(updated_at)

    def _fence(self) -> tuple[str, str]:
        """The columns that change with a transcript; NULL where this version has none."""
        updated = "window.transcript_updated_at" if self._has("session_windows", "transcript_updated_at") else "NULL"
        return updated, "watermark.generation" if self._has("transcript_rewrite_watermarks", "generation") else "NULL"

    def _joined(self, ids: str = "ids") -> tuple[str, str]:
        """The joins that bring these columns in."""
        window = f"LEFT JOIN session_windows AS window ON window.session_id = {ids}.session_id"
        watermark = f"LEFT JOIN transcript_rewrite_watermarks AS watermark ON watermark.session_id = {ids}.session_id"
        return (
            window if self._has("session_windows") else "",
            watermark if self._has("transcript_rewrite_watermarks") else "",
        )

    def _left(self, keys: dict[str, str]) -> list[Holding]:
        """What resets and deletions moved into a blob each; such a row never changes."""
        if not self._has("session_transcript_archives"):
            return []
        # Only columns in front of the blob: one behind it would cost reading the blob.
        return [
            Holding(
                Transcript(self.agent, keys.get(_text(session_id)) or _text(key), _text(session_id), _text(generation)),
                _text(generation),
            )
            for session_id, generation, key in self._rows(
                "SELECT session_id, generation, session_key FROM session_transcript_archives ORDER BY rowid"
            )
        ]

    def mark(self, transcript: Transcript) -> str:
        """The mark of one transcript; empty where there is none."""
        if transcript.place:
            return transcript.place if any(True for _ in self._left_blob(transcript, "1")) else ""
        for _, _, mark, _ in self._kept("SELECT ?", (transcript.session_id,)):
            return mark
        for _, _, mark, _ in self._kept_cold(transcript.session_id) if transcript.session_id else ():
            return mark
        return ""

    def path_of(self, transcript: Transcript) -> str:
        """The database, whatever table holds it."""
        return str(self.path)

    def size(self, transcript: Transcript) -> int:
        """The sum of the events' bytes; of what was left behind, the compressed bytes."""
        if transcript.place:
            total = next(self._left_blob(transcript, "length(archive_blob)"), (0,))[0]
            return total if isinstance(total, int) else 0
        length = self._column("transcript_events", "event_utf8_bytes")
        sql = f"SELECT sum(coalesce({length}, length(event_json))) FROM transcript_events WHERE session_id = ?"
        total = next(self._rows(sql, (transcript.session_id,)))[0]
        if isinstance(total, int):
            return total
        cold = self._cold(transcript)
        return cold.raw_bytes if cold else 0

    def events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The events in order of `seq`, all as of one moment."""
        return self.read(transcript).events

    def read(self, transcript: Transcript, bookmark: str = "") -> TranscriptPass:
        """The events behind the bookmark, where the generation is the same and the event there has the same bytes."""
        passed = TranscriptPass(iter(()))
        if transcript.place:
            passed.events = self._left_events(transcript)
            return passed
        with self._one_moment():
            generation = self._generation(transcript)
            last = self._last_before(transcript, bookmark, generation)
            passed.resumed = last is not None
            # Where nothing came behind it, the bookmark stays what it was.
            passed.bookmark = bookmark if passed.resumed else ""
            passed.events = self._kept_events(transcript, -1 if last is None else last, generation, passed)
            # The first row opens the statement, which keeps this moment until it is read to its end.
            passed.events = _begun(passed.events)
        return passed

    @contextlib.contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Several statements of one read transaction."""
        connection = self._ensure_open()
        try:
            connection.execute("BEGIN")
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("COMMIT")

    def _generation(self, transcript: Transcript) -> str:
        if not self._has("transcript_rewrite_watermarks", "generation"):
            return ""
        sql = "SELECT generation FROM transcript_rewrite_watermarks WHERE session_id = ?"
        return _text(next(self._rows(sql, (transcript.session_id,)), ("",))[0])

    def _last_before(self, transcript: Transcript, bookmark: str, generation: str) -> int | None:
        """The `seq` that the bookmark names, if nothing up to it was changed since."""
        seq, _, rest = bookmark.partition(":")
        made, _, digest = rest.partition(":")
        if not seq.isdigit() or not made or made != generation:
            return None
        for event in self._select(transcript, "seq = ?", int(seq)):
            return int(seq) if not event.problem and _digest(event.data) == digest else None
        return None

    def _select_events(self) -> str:
        packed = self._columns["transcript_events"] & {"event_zstd"}
        length = self._columns["transcript_events"] & {"event_utf8_bytes"}
        return f"SELECT seq, event_json, {'event_zstd' if packed else 'NULL'}, " + (
            f"{'event_utf8_bytes' if length else 'NULL'} FROM transcript_events"
        )

    def _select(self, transcript: Transcript, where: str, seq: int) -> Iterator[StoredEvent]:
        self._ensure_open()
        sql = f"{self._select_events()} WHERE session_id = ? AND {where} ORDER BY seq"
        for row in self._rows(sql, (transcript.session_id, seq)):
            yield _event(*row)

    def _kept_events(
        self, transcript: Transcript, after: int, generation: str, passed: TranscriptPass
    ) -> Iterator[StoredEvent]:
        """The rows behind a `seq`; the bookmark behind the last of them. One statement sees one moment."""
        self._ensure_open()
        sql = f"{self._select_events()} WHERE session_id = ? AND seq > ? ORDER BY seq"
        last: tuple[int, StoredEvent] | None = None
        for seq, text, packed, size in self._rows(sql, (transcript.session_id, after)):
            event = _event(seq, text, packed, size)
            last = (seq, event) if isinstance(seq, int) else None
            yield event
        if last is None and after < 0:
            cold = self._cold(transcript)
            if cold is not None:
                yield from cold_archive.events(cold)
        elif last is not None:
            sound = generation and not last[1].problem
            passed.bookmark = f"{last[0]}:{generation}:{_digest(last[1].data)}" if sound else ""

    def _cold(self, transcript: Transcript) -> cold_archive.ColdArchive | None:
        if not self._has(cold_archive.TABLE):
            return None
        sql = f"SELECT {cold_archive.COLUMNS} FROM {cold_archive.TABLE} WHERE session_id = ?"
        for row in self._rows(sql, (transcript.session_id,)):
            return cold_archive.from_row(self.path, row)
        return None

    def _left_blob(self, transcript: Transcript, columns: str) -> Iterator[Row]:
        if not self._has("session_transcript_archives"):
            return iter(())
        sql = f"SELECT {columns} FROM session_transcript_archives WHERE session_id = ? AND generation = ?"
        return self._rows(sql, (transcript.session_id, transcript.place))

    def _left_events(self, transcript: Transcript) -> Iterator[StoredEvent]:
        """The lines that a reset or deletion moved into a blob; where it does not unpack, also the blob as it is."""
        for encoding, blob in self._left_blob(transcript, "encoding, archive_blob"):
            data = blob if isinstance(blob, bytes) else b""
            lines: Iterable[bytes] = data.split(b"\n")
            if _text(encoding) == "zstd":
                lines = unpacked_lines(data, LEFT_LIMIT)
            try:
                for line in lines:
                    if line.rstrip(b"\n"):
                        yield StoredEvent(line.removesuffix(b"\n"))
            except Unpackable as error:
                yield StoredEvent(data, f"undecodable: what was left of it does not unpack: {error}")

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


# Every session id that has events, found by seeking from one to the next: no scan over the events.
_EVERY_ID = (
    "SELECT min(session_id) FROM transcript_events UNION ALL SELECT (SELECT min(session_id) FROM transcript_events "
    "WHERE session_id > ids.session_id) FROM ids WHERE ids.session_id IS NOT NULL"
)


def _of_parts(taken: object) -> dict[str, Any]:
    """An entry with what is read of it."""
    values = json.loads(taken) if isinstance(taken, (bytes, str)) else []
    entry = dict(zip(READ, values, strict=False))
    entry["contextBudgetStatus"] = {"promptBudgetBeforeReserve": entry.get(BUDGET)}
    return entry


def _parsed(entire: object) -> dict[str, Any]:
    """An entry from all of its JSON; empty where that is no object."""
    try:
        entry = json.loads(entire) if isinstance(entire, (bytes, str)) else None
    except (ValueError, RecursionError):
        entry = None
    return entry if isinstance(entry, dict) else {}


def _is_lock(error: sqlite3.Error) -> bool:
    return "locked" in str(error) or "busy" in str(error)


def _mark(generation: object, updated_at: object, last: object, extent: object) -> str:
    made = f"{_text(generation)}:{updated_at or 0}:{last}"
    return f"{made}:{_text(extent)}" if extent is not None else made


def _begun(events: Iterator[StoredEvent]) -> Iterator[StoredEvent]:
    """The same events, with the first of them taken already."""
    first = next(events, None)

    def rest() -> Iterator[StoredEvent]:
        if first is not None:
            yield first
            yield from events

    return rest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _event(seq: object, text: object, packed: object, size: object) -> StoredEvent:
    """An event from its row; one that cannot be unpacked to its recorded length is handed on as it lies there."""
    if isinstance(text, bytes):
        return StoredEvent(text)
    if not isinstance(packed, bytes) or not isinstance(size, int) or not 0 < size <= EVENT_LIMIT:
        return StoredEvent(
            packed if isinstance(packed, bytes) else b"", f"undecodable: event {seq} has no usable content"
        )
    try:
        return StoredEvent(unpack_exactly(packed, size))
    except Unpackable as error:
        return StoredEvent(packed, f"undecodable: event {seq}: {error}")
