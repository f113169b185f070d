"""The cycle document: the usage that was measured, and a record from every station that worked on it.

It travels down the pipeline (`archive → index → prune → distill → rollover`); each station adds its record and writes
it. A document without `finished_at` belongs to a cycle that was cut short and is taken up by the next tick.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

from moon import schema
from moon.clock import format_ms, now_ms, now_text
from moon.documents import CycleDocument, Row, SessionRecord, StationRecord, UsageDocument
from moon.errors import DocumentInvalid
from moon.files import write_atomic
from moon.paths import Home

Document = CycleDocument
STATIONS = ("archive", "index", "prune", "distill", "rollover")


def new_cycle(usage: UsageDocument, origin: str) -> Document:
    """A cycle document around a usage document. `origin`: `timer`, or `manual` for a person's pipe."""
    instant = now_ms()
    stamp = format_ms(instant).replace("-", "").replace(":", "").replace(".", "")
    return {
        "schema": "moon.cycle/1",
        "cycle_id": f"{stamp}-{os.urandom(3).hex()}",
        "origin": origin,
        "created_at": format_ms(instant),
        "finished_at": None,
        "usage": usage,
        "stations": [],
    }


def cycle_path(home: Home, cycle_id: str) -> Path:
    """Where the document of that cycle lies."""
    return home.cycles / f"{cycle_id}.json"


def write(home: Home, document: Document) -> str:
    """Check and write a cycle document at its place; its text, since the check of a long one is dear."""
    text = schema.dump("cycle", document)
    write_atomic(cycle_path(home, document["cycle_id"]), text)
    return text


def parse(data: bytes, path: str = "") -> Document:
    """Read a usage or a cycle document; a usage document becomes a new manual cycle. Raises `DocumentInvalid`."""

    try:
        name = json.loads(data).get("schema", "")
    except (ValueError, AttributeError, RecursionError) as error:
        raise DocumentInvalid(
            "not a JSON document",
            path=path,
            hint="pipe in what `moon-sample --no-exec` or a station prints, or name a session with --session",
        ) from error
    if str(name).startswith("moon.usage/"):
        return new_cycle(cast(UsageDocument, schema.parse("usage", data, path=path)), "manual")
    return cast(Document, schema.parse("cycle", data, path=path))


def sessions_due(document: Document, station: str) -> list[Row]:
    """The usage rows of the sessions in which this station has work."""
    return [
        row for row in document["usage"]["sessions"] if station in row["due"] and station not in row.get("deferred", [])
    ]


def record_of(document: Document, station: str) -> StationRecord | None:
    """A station's record, or None when it has not worked yet."""
    return next((record for record in document["stations"] if record["station"] == station), None)


def session_record(document: Document, station: str, row: Row) -> SessionRecord | None:
    """What a station did for the session of a usage row."""
    record = record_of(document, station)
    for entry in record["sessions"] if record else []:
        if all(entry[name] == row[name] for name in ("agent", "session_key", "session_id")):
            return entry
    return None


def outcomes(document: Document, row: Row) -> dict[str, str]:
    """What became of each station that was due in the session of a usage row.

    `unreachable` is a deferral because OpenClaw did not answer; what a cycle never came to counts as `failed`.
    """
    found = {}
    for station in row["due"]:
        if station not in row.get("deferred", []):
            entry = session_record(document, station, row)
            found[station] = ("unreachable" if entry.get("backoff") else entry["outcome"]) if entry else "failed"
    return found


def set_record(document: Document, record: StationRecord) -> None:
    """Add a station's record, or put it in place of the one from a run that was cut short."""
    others = [each for each in document["stations"] if each["station"] != record["station"]]
    document["stations"] = sorted([*others, record], key=lambda each: STATIONS.index(each["station"]))


def next_station(document: Document, after: str = "") -> str:
    """The first station behind `after` that has work and has not finished it; empty when there is none."""
    start = STATIONS.index(after) + 1 if after else 0
    for station in STATIONS[start:]:
        record = record_of(document, station)
        if sessions_due(document, station) and (record is None or record["finished_at"] is None):
            return station
    return ""


def remove_old(home: Home, days: int, keep: str) -> int:
    """Remove cycle documents that nobody wrote to for so many days, but not the cycle `keep`; their number."""
    limit = now_ms() / 1000 - days * 86_400
    removed = 0
    for path in home.cycles.glob("*.json"):
        if path.stem != keep and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def finish(document: Document) -> None:
    """Note that no station has work left."""
    document["finished_at"] = now_text()
