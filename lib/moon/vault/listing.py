"""The archives as a list: which session, which day, how much, under which hash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from moon.clock import local_date, parse_ms
from moon.text import counted, readable_size, shown
from moon.vault.catalog import Catalog, Segment


class Listed(TypedDict):
    """One file of the archive. `archives`: how many archives it holds; `sha256` is of its uncompressed bytes."""

    agent: str
    session_key: str
    session_id: str
    day: str
    events: int
    bytes: int
    archives: int
    sha256: str
    archive_path: str


def list_archives(catalog: Catalog, found: Sequence[Segment], zone_name: str) -> list[Listed]:
    """An entry for each file, in the order given; `day` is the local date on which its last part was archived."""
    return [
        {
            "agent": file.agent,
            "session_key": file.session_key,
            "session_id": file.session_id,
            "day": local_date(parse_ms(file.archived_at) or 0, zone_name).isoformat(),
            "events": file.events,
            "bytes": file.bytes,
            "archives": max(1, len(file.parts)),
            "sha256": file.sha256,
            "archive_path": catalog.home.relative(file.path),
        }
        for file in found
    ]


def as_lines(listed: Sequence[Listed]) -> list[str]:
    """The list for people: a heading for each session, a line for each file."""
    lines: list[str] = []
    heading = ("", "", "")
    for each in listed:
        own = (each["agent"], each["session_key"], each["session_id"])
        if own != heading:
            heading = own
            lines.append(shown(f"{each['session_key'] or 'no key'}  {each['session_id']}  of {each['agent']}"))
        joined = f"  {counted(each['archives'], 'archive')} joined" if each["archives"] > 1 else ""
        events, size = counted(each["events"], "event"), readable_size(each["bytes"])
        lines.append(f"  {each['day']}  {events:>13}  {size:>9}  {each['sha256'][:12]}{joined}")
    return lines
