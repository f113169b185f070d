"""A home in which two conversations have lived for some days, and a search for a word in all of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.support import events
from tests.support.moon import Moon
from tests.support.stores import SqliteStoreBuilder

from moon.fulltext import open_reader
from moon.vault import segments

PLAN, PICNIC = "agent:main:plan", "agent:main:picnic"
SECRET = "saffronlighthouse7741"
LATER = {"MOON_NOW": "2026-11-29T08:00:00.000Z"}


def said(name: str, count: int, text: str) -> list[bytes]:
    """A conversation in which something is laid down."""
    lines = events.conversation(name, count)
    return [*lines[:-1], events.message(f"{name}-rule", f"We decided: always keep {text} in the drawer."), lines[-1]]


def lived_in(folder: Path) -> Moon:
    """Two conversations, archived, indexed and distilled on two days, and joined."""
    moon = Moon(folder, {"MOON_DISTILL__PROVIDERS": "local", "MOON_TIMEZONE": "UTC"})
    store = SqliteStoreBuilder(moon.state_dir)
    for hour, number in (("07", 2), ("08", 4)):
        now = {"MOON_NOW": f"2026-11-25T{hour}:00:00.000Z"}
        store.put(PLAN, "p1", said("p1", number, SECRET), used=900)
        store.put(PICNIC, "q1", said("q1", number, "the red kite"), used=900)
        moon.ok("snapshot", env=now)
    moon.ok("distill", "--all", env=now)
    moon.ok("archive", "--pack", env=LATER)
    moon.ok("index", "--all", env=LATER)
    return moon


def places_of(word: str, folder: Path) -> Iterator[str]:
    """Every file below a folder in whose bytes a word stands: as they are, unpacked, or in a row of a database."""
    wanted = word.casefold().encode()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".zst":
            data += b"\n".join(segments.lines(path))
        if path.name == "recall.sqlite":
            with open_reader(path) as index:
                ids = index.message_ids()
                data += "\n".join(row.text for row in index.rows(ids)).encode() if ids else b""
        if wanted in data.lower():
            yield str(path.relative_to(folder))
