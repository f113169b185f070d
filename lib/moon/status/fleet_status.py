"""Every host of every place that copies go to: when it looked last, how far it is, what is wrong there.

Told from the head objects alone, so a machine that only has the URL and the rights can ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moon.clock import format_ms, now_ms, parse_ms
from moon.copies.copy_due import HEAD_MS
from moon.copies.copy_errors import CopyFailed
from moon.copies.copy_head import Head, read_heads
from moon.copies.place import open_place
from moon.errors import MoonError
from moon.text import counted, readable_size, span

Document = dict[str, Any]
SECONDS = 20.0
# A host puts its head at least once an hour; one that has missed two of them is silent.
SILENT_MS = 2 * HEAD_MS + HEAD_MS // 2


def gather_fleet(urls: Sequence[str]) -> Document:
    """The `moon.fleet/1` document; a place or head that cannot be read is a problem of its own."""
    now, hosts, problems = now_ms(), list[Document](), list[Document]()
    for url in urls:
        try:
            for name, head in read_heads(open_place(url, seconds=SECONDS)):
                if isinstance(head, CopyFailed):
                    problems.append({"url": url, "host": name, **head.as_dict()})
                else:
                    hosts.append(host_entry(url, head, now))
        except MoonError as error:
            problems.append({"url": url, "host": "", **error.as_dict()})
    return {"schema": "moon.fleet/1", "taken_at": format_ms(now), "hosts": hosts, "problems": problems}


def host_entry(url: str, head: Head, now: int) -> Document:
    """What a head says, and what its age says. Pure."""
    seen = parse_ms(head["updated_at"]) or 0
    ticked = parse_ms(head["heartbeat"]) if head["heartbeat"] else None
    return {
        "url": url,
        "host": head["host"],
        "name": head["name"],
        "version": head["version"],
        "sealed": head["sealed"],
        "updated_at": head["updated_at"],
        "last_tick": head["heartbeat"],
        "tick_before_copy_seconds": None if ticked is None else max(0, seen - ticked) // 1000,
        "silent": now - seen > SILENT_MS,
        "lag_lines": head["behind"],
        "missing": head["missing"],
        "objects": head["objects"],
        "bytes": head["bytes"],
        "ledger_bytes": head["ledger_bytes"],
        "problems": head["problems"],
    }


def is_well(document: Document) -> bool:
    """Does no host need anybody?"""
    return not document["problems"] and not any(_troubles(each) for each in document["hosts"])


def _troubles(host: Document) -> list[str]:
    found = ["SILENT"] if host["silent"] else []
    found += [f"{counted(host['lag_lines'], 'line')} behind"] if host["lag_lines"] else []
    found += [f"{counted(host['missing'], 'archive')} missing"] if host["missing"] else []
    return [*found, *host["problems"]]


def describe_fleet(document: Document) -> list[str]:
    """A line a host, those that need somebody first."""
    now = parse_ms(document["taken_at"]) or 0
    lines = [f"! {each['host'] or each['url']}: {each['message']}" for each in document["problems"]]
    for host in sorted(document["hosts"], key=lambda each: (not _troubles(each), each["host"])):
        age = span(max(0, now - (parse_ms(host["updated_at"]) or 0)) // 1000)
        tick = host["last_tick"] or "never"
        said = ", ".join(_troubles(host)) or "well"
        size = f"{counted(host['objects'], 'object')}, {readable_size(host['bytes'])}"
        mark = "!" if _troubles(host) else " "
        lines.append(f"{mark} {host['host']:<36} copied {age} ago, last tick {tick}, {size}: {said}")
    return lines or ["no host has a copy there"]
