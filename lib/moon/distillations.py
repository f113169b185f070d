"""Which archives have a DistillationRecord: told from one listing of the folder and a small index of what was read.

The index keeps of each record what decides whether there is work, beside size and time of its file. So only a record
that is new or was changed is read and checked. The index is derived: without it, every record is read once.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple, cast

from moon import schema
from moon.documents import ContinuityMap, DistillationRecord
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError
from moon.files import read_bounded, unusable, write_atomic
from moon.paths import Home
from moon.text import dump_json

LISTS = ("summary", "decisions", "rules", "milestones", "open_tasks", "commands", "identifiers")
VERSION = 1
ENDING = ".json"
# What somebody writes under a heading that has nothing: "Open tasks: none noted", "n/a", "nichts offen".
_NOTHING = re.compile(
    r"(?i)\(?(?:n/?a|none|nil|nothing"
    r"|no (?:open |pending |further )*(?:tasks?|items?|points?|questions?|todos?|issues?)"
    r"|nichts|keine?s?|rien|aucune?|nada|ningun[ao]?|niente|nessun[ao]?|nenhum(?:a)?|niets|geen|нет|ничего|无|没有|なし|없음)"
    r"(?: (?:is|are|was|were|noted|open|pending|known|left|to do|yet|so far|at (?:the moment|present)|for now"
    r"|outstanding|remaining|offen|bekannt|notiert|à signaler|en attente|pendiente|de momento|открыто))*\)?[.!。]?"
)
_LABELS = re.compile(
    r"(?i)\A(?:still |noch )?(?:open|next|pending|remaining|offen\w*|tasks?|to-?dos?|steps?|points?|items?|questions?"
    r"|decisions?|rules?|milestones?|aufgaben|pendientes|tareas|tâches)"
    r"(?: (?:tasks?|steps?|points?|items?|questions?))?\s?[:：]\s*"
)


def says_nothing(text: str) -> bool:
    """Whether this line only says that there is nothing to say."""
    return bool(_NOTHING.fullmatch(_LABELS.sub("", text.strip(" -*_·"), count=1)))


class Known(NamedTuple):
    """What is known of a record without reading it.

    `archives`: the SHA-256 of what it was made from. `grows`: it takes in what its session adds on the same day; one
    that an earlier version made of a single archive stays as it is. `unwritten`: its memory block is still to be made.
    """

    name: str
    agent: str
    session_id: str
    archives: tuple[str, ...]
    provider: str
    grows: bool
    unwritten: bool


# Size and time of change of a record's file.
Mark = tuple[int, int]


def record_path(home: Home, sha256: str) -> Path:
    """Where the DistillationRecord of that name lies."""
    return home.distillations / f"{sha256}{ENDING}"


def read_record(home: Home, sha256: str) -> DistillationRecord | None:
    """A record; None when there is none, or none that can be read (it is then made again).

    Raises `DocumentTooNew` for the record of a newer Moon, which stays as it is.
    """
    try:
        return cast(DistillationRecord, schema.read("distillation", record_path(home, sha256)))
    except DocumentTooNew:
        raise
    except (FileNotFoundError, DocumentInvalid):
        return None


def lists_of(record: DistillationRecord | ContinuityMap) -> dict[str, list[str]]:
    """The lists of a record or a map, by their names in `LISTS`."""
    return {
        "summary": record["summary"],
        "decisions": record["decisions"],
        "rules": record["rules"],
        "milestones": record["milestones"],
        "open_tasks": record["open_tasks"],
        "commands": record.get("commands", []),
        "identifiers": record["identifiers"],
    }


def says_something(record: DistillationRecord) -> bool:
    """Whether a record has anything to write into a daily memory."""
    return any(lists_of(record).values())


def known_of(record: DistillationRecord) -> Known:
    """What is to be kept in mind of a record."""
    return Known(
        name=record["archive_sha256"],
        agent=record.get("agent", ""),
        session_id=record.get("session_id", ""),
        archives=tuple(record.get("archives", [record["archive_sha256"]])),
        provider=record["provider"],
        grows="archives" in record,
        unwritten=record.get("memory_file") is None and says_something(record),
    )


class Distillations:
    """The records of a home, by the archives that they were made from. Raises `HomeUnusable`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept = _load(_index_path(home))
        self._changed = False
        marks = _list(home.distillations)
        for name in [name for name in self._kept if name not in marks]:
            del self._kept[name]
            self._changed = True
        for name, mark in marks.items():
            if name not in self._kept or self._kept[name][0] != mark:
                self._look(name, mark)
        self._by_archive = {sha: known for _, known in self._kept.values() for sha in known.archives}

    def of(self, sha256: str) -> Known | None:
        """The record that was made from this archive, alone or with others."""
        return self._by_archive.get(sha256)

    def note(self, record: DistillationRecord) -> None:
        """Take in a record that was just written."""
        known = known_of(record)
        status = record_path(self._home, known.name).stat()
        self._kept[known.name] = ((status.st_size, status.st_mtime_ns), known)
        self._by_archive.update(dict.fromkeys(known.archives, known))
        self._changed = True

    def save(self) -> None:
        """Write the index where it has changed. Only a saving of time, so a failure to write it is no failure."""
        if not self._changed:
            return
        rows = {name: [list(mark), list(known)] for name, (mark, known) in self._kept.items()}
        try:
            write_atomic(_index_path(self._home), dump_json({"version": VERSION, "records": rows}).encode())
        except MoonError:
            return
        self._changed = False

    def _look(self, name: str, mark: Mark) -> None:
        """Read one record. One that cannot be read is none, and whoever makes it again finds out why."""
        self._changed = True
        self._kept.pop(name, None)
        try:
            record = read_record(self._home, name)
        except DocumentTooNew:
            return
        if record is not None:
            self._kept[name] = (mark, known_of(record))


def _index_path(home: Home) -> Path:
    return home.cache / "distillations.json"


def _list(folder: Path) -> dict[str, Mark]:
    """The records' names and the marks of their files."""
    try:
        with os.scandir(folder) as found:
            entries = [each for each in found if each.name.endswith(ENDING) and not each.name.startswith(".")]
            stats = [(each.name[: -len(ENDING)], each.stat()) for each in entries]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise unusable(folder, error) from error
    return {name: (status.st_size, status.st_mtime_ns) for name, status in stats}


def _load(path: Path) -> dict[str, tuple[Mark, Known]]:
    try:
        kept = json.loads(read_bounded(path))
        rows = kept["records"].items() if kept["version"] == VERSION else ()
        return {name: ((int(mark[0]), int(mark[1])), _from_row(*row)) for name, (mark, row) in rows}
    except (FileNotFoundError, MoonError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return {}


def _from_row(
    name: str, agent: str, session_id: str, archives: list[str], provider: str, grows: bool, unwritten: bool
) -> Known:
    return Known(name, agent, session_id, tuple(archives), provider, grows, unwritten)
