"""What somebody asked to be forgotten, and the note of it that survives a crash: `state/forget.json`.

The note is on the disk before anything is removed and goes when nothing is left to do. It holds the text that was asked
for, because only that finds the rest after a crash; it is the last place from which the text goes.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from moon import schema
from moon.clock import now_ms, parse_ms
from moon.errors import DocumentInvalid
from moon.files import sync_folder, unusable
from moon.paths import Home
from moon.text_match import TextMatch
from moon.vault.catalog import Part
from moon.vault.forgetting import Doomed
from moon.vault.forgotten import name_and_time

# After so many attempts of ticks, one that fails is tried again once an hour.
QUICK_ATTEMPTS = 3
RETRY_MS = 3_600_000


class Request(NamedTuple):
    """`sessions`: keys or ids, empty for all. `before`: RFC 3339, empty for any time. `match`: a text, empty for any.

    What fits all of these goes. `reason` is what the tombstones say beside that.
    """

    asked_at: str
    sessions: tuple[str, ...] = ()
    agent: str = ""
    before: str = ""
    match: str = ""
    reason: str = ""
    attempts: int = 0

    @property
    def is_whole(self) -> bool:
        """Do whole conversations go?"""
        return not self.before and not self.match

    @property
    def until(self) -> int:
        """Up to when all of a session goes, in milliseconds; 0 where it is single events that go."""
        if self.match:
            return 0
        return (parse_ms(self.before) or 1) - 1 if self.before else parse_ms(self.asked_at) or 0

    def words(self) -> str:
        """Why, for the ledger: no text, and no name."""
        asked = "asked for"
        if self.match:
            asked = "asked for, by a text" + (" and a date" if self.before else "")
        elif self.before:
            asked = f"asked for, all before {self.before[:10]}"
        return f"{asked}: {self.reason}" if self.reason else asked

    def doomed(self) -> Doomed:
        """Which events of a file go; a new one for each file. Raises `UsageWrong` for a text that is too short."""
        match = TextMatch(self.match) if self.match else None
        before, until = parse_ms(self.before) or 0, self.until
        last = 0

        def judge(part: Part, data: bytes) -> bool:
            nonlocal last
            if match is not None and not match.is_in_line(data):
                return False
            at = name_and_time(data)[1] if before or not match else None
            archived_at = parse_ms(part.archived_at) or 0
            if before:
                # What says no time happened when the event before it did.
                last = at or last
                return (at or last or archived_at) < before
            return match is not None or archived_at <= until or at is None or at <= until

        return judge


def note_path(home: Home) -> Path:
    """Where the note lies."""
    return home.state / "forget.json"


def write_note(home: Home, request: Request) -> None:
    """Note the request, durably, before anything is done."""
    document = {"schema": "moon.forgetting/1", **request._asdict(), "sessions": list(request.sessions)}
    schema.write("forgetting", document, note_path(home))


def read_note(home: Home) -> Request | None:
    """The request that was not finished; one that cannot be read is set aside. Raises `DocumentTooNew`."""
    path = note_path(home)
    try:
        document = schema.read("forgetting", path)
    except FileNotFoundError:
        return None
    except DocumentInvalid as error:
        if error.code != DocumentInvalid.code:
            raise
        path.unlink(missing_ok=True)
        return None
    fields = {name: document[name] for name in Request._fields if name in document}
    return Request(**{**fields, "sessions": tuple(document["sessions"])})


def remove_note(home: Home) -> None:
    """Nothing is left to do."""
    path = note_path(home)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unusable(path, error) from error
    sync_folder(path.parent)


def is_due(home: Home, request: Request) -> bool:
    """Is an unfinished request to be tried by this tick?"""
    if request.attempts < QUICK_ATTEMPTS:
        return True
    try:
        tried = int(note_path(home).stat().st_mtime * 1000)
    except OSError:
        return False
    return not 0 <= now_ms() - tried < RETRY_MS
