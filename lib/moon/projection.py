"""The Markdown projection of an archive segment: its form, written by the index station and read back by recall.

    archives/raw/main/<name>.jsonl[.zst]  →  archives/md/main/<name>.md

Front matter names the session and the archive. Each message has one `## ` heading with its role, time, line and event
id, so that a hit in the file leads back to the event. What people and models wrote stands in quotes (`> `), what
programs took and gave in code fences longer than any inside; so no text can pose as a heading or leave its place.
The same archive always gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from moon.openclaw.events import Piece
from moon.paths import Home
from moon.text import dump_json, inline, lines

# Folder names that QMD passes over wherever they stand; as an agent's name they get a suffix.
PASSED_OVER = frozenset({"node_modules", "vendor", "dist", "build"})
TOOL_CHARS = 4_000
TEXT_CHARS = 100_000
HEADING = re.compile(r"## (?P<role>[^·]*) · (?P<time>[^·]*) · line (?P<line>\d+) · event (?P<event>.*)")


class Message(NamedTuple):
    """One event of an archive as people read it, already redacted. `line` is its line in the archive, from 1."""

    line: int
    event_id: str
    role: str
    timestamp: str | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Source:
    """The archive behind a page. `archive_path` is relative to MOON_HOME."""

    agent: str
    session_key: str
    session_id: str
    archive_path: str
    sha256: str
    archived_at: str


def page_path(home: Home, archive: Path) -> Path:
    """Where the page of an archive lies."""
    agent = archive.parent.name
    folder = f"{agent}.agent" if agent in PASSED_OVER else agent
    return home.markdown / folder / f"{archive.name.partition('.jsonl')[0]}.md"


def render_head(source: Source) -> str:
    """Front matter and title."""
    fields = {
        "agent": source.agent,
        "session_key": source.session_key,
        "session_id": source.session_id,
        "archive": source.archive_path,
        "sha256": source.sha256,
        "archived_at": source.archived_at,
    }
    front = [f"{name}: {dump_json(value)}" for name, value in fields.items()]
    title = in_heading(source.session_key or source.session_id)
    return "---\n" + "\n".join(front) + f"\n---\n\n# {title} · {in_heading(source.archived_at[:10])}\n"


def render_message(message: Message) -> str:
    """A heading, and below it every piece of the message."""
    when = in_heading(message.timestamp or "no time")
    heading = f"## {in_heading(message.role)} · {when} · line {message.line} · event {in_heading(message.event_id)}"
    return "\n".join(["", heading, *(_render_piece(piece, message.line) for piece in message.pieces)])


def _render_piece(piece: Piece, line: int) -> str:
    limit = TOOL_CHARS if _is_tool(piece) else TEXT_CHARS
    return quoted(piece, shorten(lines(piece.text).rstrip("\n"), limit, line))


def _is_tool(piece: Piece) -> bool:
    return piece.role in ("toolCall", "toolResult") or piece.tool is not None


def quoted(piece: Piece, text: str) -> str:
    """The text of a piece as Markdown in which it can neither pose as a heading nor leave its place."""
    if not _is_tool(piece):
        return "\n" + "\n".join(f"> {each}".rstrip() for each in text.split("\n")) + "\n"
    label = "call" if piece.role == "toolCall" else "result"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"\n{label} {in_heading(piece.tool or '')}".rstrip() + f"\n\n{fence}text\n{text}\n{fence}\n"


def shorten(text: str, limit: int, line: int) -> str:
    """Head and tail of a long text, with a note that the middle is missing and where it stands in full."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}\n[… the middle is left out; line {line} of the archive has it …]\n{text[-tail:]}"


def in_heading(text: str) -> str:
    """Text as part of a heading, whose parts stand between dots."""
    return inline(text.replace("·", " "))


@dataclass(frozen=True)
class Place:
    """Where a line of a page comes from: the event and its line in the archive."""

    event_id: str
    line: int
    role: str
    timestamp: str | None


def place_at(page: Iterable[str], number: int) -> Place | None:
    """The message that stands at a line (from 1) of a page; the first one for a line above all messages."""
    found: Place | None = None
    fence = ""
    for current, line in enumerate(page, 1):
        if found is not None and current > number:
            break
        text = line.rstrip("\n")
        if fence:
            fence = "" if text == fence else fence
        elif text.startswith("```"):
            fence = text.removesuffix("text")
        else:
            found = _read_heading(text) or found
    return found


def _read_heading(text: str) -> Place | None:
    match = HEADING.fullmatch(text)
    if match is None:
        return None
    when = None if match["time"] == "no time" else match["time"]
    return Place(match["event"], int(match["line"]), match["role"], when)


def read_head(page: Iterable[str]) -> dict[str, str]:
    """The front matter of a page; empty when it has none."""
    return dict(_fields(iter(page)))


def _fields(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    if next(lines, "").rstrip("\n") != "---":
        return
    for line in lines:
        name, colon, value = line.rstrip("\n").partition(": ")
        if not colon:
            return
        try:
            yield name, str(json.loads(value))
        except ValueError:
            return
