"""Let the catalog follow the ledger: read in each line that it has not, whatever kind it is.

A line that cannot be read is passed over, and so are the events of an archive that is not what the ledger says: they
count as lost until the file is whole again, and `moon-archive --verify` names both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moon.clock import parse_ms
from moon.errors import ArchiveDamaged
from moon.openclaw.events import event_id
from moon.vault import segments
from moon.vault.catalog_database import TABLES
from moon.vault.forgotten import NAMELESS
from moon.vault.ledger import GENESIS, decoded, line_hash
from moon.vault.standing import Line, kept_of, left_of, measures
from moon.vault.tombstones import lost_tombstones

if TYPE_CHECKING:
    from moon.documents import Member
    from moon.vault.catalog import Catalog


def follow(catalog: Catalog) -> None:
    """Read in what the ledger has gained; all of it where the catalog does not fit the ledger."""
    ledger = catalog.ledger
    start, tip = catalog.position()
    if start and ledger.hash_before(start) != tip:
        _reset(catalog)
        start = 0
    if start == ledger.size():
        return
    moved = _moved(catalog, start)
    for offset, raw, record in ledger.read(start):
        with catalog.connection:
            if record is not None:
                read_in(catalog, record, moved)
            catalog.set_position(offset, line_hash(raw))
    if not start:
        with catalog.connection:
            for record in lost_tombstones(ledger):
                read_in(catalog, record)


def rebuild(catalog: Catalog) -> None:
    """Forget everything and read the whole ledger in."""
    _reset(catalog)
    follow(catalog)


def _reset(catalog: Catalog) -> None:
    with catalog.connection:
        for table in TABLES:
            catalog.connection.execute(f"DELETE FROM {table}")
        catalog.connection.execute("UPDATE meta SET packed_until = ''")
        catalog.set_position(0, GENESIS)


def _moved(catalog: Catalog, start: int) -> set[str]:
    """The segments that a later line moves or takes out: their own files are gone, and need not be looked for."""
    found: set[str] = set()
    for _, raw in catalog.ledger.raw_lines(start):
        moves = any(kind in raw for kind in (b'"pack"', b'"retired"', b'"forgotten"'))
        record = decoded(raw) if moves else None
        if record is None:
            continue
        if record.get("kind") == "pack":
            found |= {member["archive_path"] for member in record["segments"]}
        elif record.get("kind") == "retired":
            found.add(record["archive_path"])
        elif record.get("kind") == "forgotten":
            found |= {gone["archive_path"] for gone in record["gone"]}
            found |= {each["archive_path"] for each in left_of(record)["segments"]} if record.get("left") else set()
    return found


def read_in(catalog: Catalog, record: Line, moved: Iterable[str] = ()) -> None:
    """Enter one line of the ledger."""
    kind = record.get("kind")
    if kind == "archive":
        _read_archive(catalog, record, record["archive_path"] not in moved)
    elif kind == "pack":
        read_pack(catalog, record)
    elif kind == "retired":
        read_retired(catalog, record)
    elif kind == "forgotten":
        read_forgotten(catalog, record)
    elif kind == "aside":
        catalog.add_set_aside(record)
    elif kind == "link":
        catalog.connection.execute(
            "INSERT INTO links VALUES (?, ?, ?)", (record["agent"], record["session_key"], record["linked_at"])
        )


def _read_archive(catalog: Catalog, record: Line, stands: bool) -> None:
    if catalog.has_path(record["archive_path"]):
        return  # a line that names a file again says nothing new
    session = catalog.session(record["agent"], record["session_key"], record["session_id"])
    number = catalog.next_segment()
    catalog.add_segment(number, session, record, entered=False)
    if stands:
        enter_events(catalog, session, catalog.home.root / record["archive_path"], [(number, record)])


def read_pack(catalog: Catalog, record: Line, place: int = 0) -> None:
    """Let a pack take the place of the files that held its segments before; `place`: where it comes in order."""
    run = catalog.connection.execute
    session = catalog.session(record["agent"], record["session_key"], record["session_id"])
    numbers = [_number(catalog, session, member) for member in record["segments"]]
    marks = ",".join("?" * len(numbers))
    old = [file for (file,) in run(f"SELECT DISTINCT file FROM segments WHERE id IN ({marks})", numbers).fetchall()]
    _remember_packs(catalog, old)
    run("DELETE FROM files WHERE path = ?", (record["archive_path"],))
    run("DELETE FROM former_packs WHERE path = ?", (record["archive_path"],))
    cursor = run(
        "INSERT INTO files (place, session, ordinal, sha256, path, events, bytes, torn, archived_at, parts) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (place or min(numbers), session, *measures(record), " ".join(each["sha256"] for each in record["segments"])),
    )
    line = 0
    for number, member in zip(numbers, record["segments"], strict=True):
        run("UPDATE segments SET file = ?, first_line = ? WHERE id = ?", (cursor.lastrowid, line, number))
        line += member["events"]
    _drop_empty(catalog, old)
    _enter_missing(
        catalog,
        session,
        catalog.home.root / record["archive_path"],
        list(zip(numbers, record["segments"], strict=True)),
    )


def _remember_packs(catalog: Catalog, files: Iterable[int]) -> None:
    """Note the packs among files that something takes the place of, so that what is left over of them is known."""
    for file in files:
        catalog.connection.execute(
            "INSERT OR REPLACE INTO former_packs SELECT path, (SELECT min(id) FROM segments WHERE file = files.id) "
            "FROM files WHERE id = ? AND parts != ''",
            (file,),
        )


def _number(catalog: Catalog, session: int, member: Line | Member) -> int:
    """The number of a pack's segment; made where its own line was not read."""
    row = catalog.connection.execute("SELECT id FROM segments WHERE path = ?", (member["archive_path"],)).fetchone()
    if row:
        return int(row[0])
    number = catalog.next_segment()
    catalog.insert_segment(number, session, member, file=0, first_line=0, entered=False)
    return number


def _drop_empty(catalog: Catalog, files: Iterable[int]) -> None:
    for file in files:
        catalog.connection.execute(
            "DELETE FROM files WHERE id = ? AND NOT EXISTS (SELECT 1 FROM segments WHERE file = ?)", (file, file)
        )


def _enter_missing(catalog: Catalog, session: int, path: Path, members: Sequence[tuple[int, Line | Member]]) -> None:
    rows = catalog.connection.execute(
        "SELECT segments.id FROM segments JOIN files ON files.id = file WHERE files.path = ? AND NOT entered",
        (catalog.home.relative(path),),
    )
    if rows.fetchall():
        enter_events(catalog, session, path, members)


def enter_file(catalog: Catalog, path: Path) -> None:
    """Enter the events of a file that could not be read before and can be now."""
    file = next((each for each in catalog.segments() if each.path == path), None)
    if file is None:
        return
    session = catalog.find_session(file.agent, file.session_id) or 0
    members = [(part.number, part.as_member()) for part in catalog.parts(path)]
    with catalog.connection:
        enter_events(catalog, session, path, members)


def enter_events(catalog: Catalog, session: int, path: Path, members: Sequence[tuple[int, Line | Member]]) -> None:
    """Read a file and enter the events of each segment in it that is what the ledger says."""
    identifier = catalog.identifier(session)
    try:
        stream = segments.lines(path)
        for number, member in members:
            total = hashlib.sha256()
            events = []
            for _, data in zip(range(member["events"]), stream, strict=False):
                total.update(data + b"\n")
                events.append((event_id(data), hashlib.sha256(data).digest()))
            if total.hexdigest() == member["sha256"] and not catalog.is_entered(number):
                catalog.add_events(session, number, (identifier.name(*event) for event in events))
    except ArchiveDamaged:
        # The ledger still knows these segments; `moon-archive --verify` reports them, and their events count as lost.
        return


def read_retired(catalog: Catalog, record: Line) -> None:
    """Take out a segment that is lost; what is left of it stands in its place."""
    run = catalog.connection.execute
    session = catalog.session(record["agent"], record["session_key"], record["session_id"])
    number = _number(catalog, session, record)
    _take_out(catalog, session, [number])
    # What is lost may still be in the store: its transcripts are to be compared anew, whatever their marks say.
    run("DELETE FROM transcripts WHERE agent = ? AND session_id = ?", (record["agent"], record["session_id"]))
    if record.get("kept") and not catalog.has_path(record["kept"]["archive_path"]):
        kept = kept_of(record)
        left = catalog.next_segment()
        catalog.add_segment(left, session, kept, entered=False, place=number)
        enter_events(catalog, session, catalog.home.root / kept["archive_path"], [(left, kept)])


def _take_out(catalog: Catalog, session: int, numbers: Sequence[int]) -> None:
    """Let these segments lie nowhere, and their events be unknown."""
    run = catalog.connection.execute
    old = {run("SELECT file FROM segments WHERE id = ?", (number,)).fetchone()[0] for number in numbers}
    _remember_packs(catalog, old)
    for number in numbers:
        run("DELETE FROM events WHERE session = ? AND segment = ?", (session, number))
        run("UPDATE segments SET file = 0, entered = 0 WHERE id = ?", (number,))
    _drop_empty(catalog, old)


def read_forgotten(catalog: Catalog, record: Line) -> None:
    """Take out what was forgotten, let what is left of its file stand in its place, and know it from now on."""
    run = catalog.connection.execute
    session = catalog.session(record["agent"], record["session_key"], record["session_id"])
    sql = "SELECT id FROM segments WHERE path = ?"
    found = [run(sql, (gone["archive_path"],)).fetchone() for gone in record["gone"]]
    numbers = [int(row[0]) for row in found if row]
    old = run("SELECT place FROM files WHERE path = ?", (record.get("archive_path", ""),)).fetchone()
    _take_out(catalog, session, numbers)
    names = [*record.get("event_ids", []), *(f"{NAMELESS}{each}" for each in record.get("digests", []))]
    rows = [(session, name, 0) for name in names]
    rows += [(session, "", parse_ms(record.get("until")) or 0)]
    catalog.connection.executemany(
        "INSERT INTO forgotten VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)", rows
    )
    for digest in record.get("digests", []):
        run("DELETE FROM events WHERE session = ? AND segment = 0 AND digest = ?", (session, bytes.fromhex(digest)))
    if record.get("left"):
        read_pack(catalog, left_of(record), place=int(old[0]) if old else 0)
