"""What each transcript of the stores looked like when it was last archived.

Kept in the catalog, so that it goes when the catalog does: then everything is compared anew. Nothing destructive relies
on it; the guard compares event by event.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from moon.openclaw.transcript_store import Transcript
from moon.paths import Home

if TYPE_CHECKING:
    # An idle tick reads the marks, and has no use for what writes them.
    from moon.vault.catalog import Catalog

Identity = tuple[str, str, str]


class Known(NamedTuple):
    """The mark of a transcript when it was archived to its end, and the bookmark that its store gave."""

    mark: str = ""
    bookmark: str = ""


def identity(transcript: Transcript) -> Identity:
    """What tells one transcript from another: (agent, session id, place)."""
    return transcript.agent, transcript.session_id, transcript.place


def known_marks(home: Home) -> dict[Identity, str]:
    """The mark of every transcript as it was archived. Only reads; empty where the catalog is not there or is behind.

    A catalog that knows more ledger than there is belongs to another past of this home, so it says nothing.
    """
    if not home.catalog.exists():
        return {}
    # Without a WAL there is no writer, and nothing beside the file needs to be made to read it.
    at_rest = "" if home.catalog.with_name(f"{home.catalog.name}-wal").exists() else "&immutable=1"
    try:
        place = f"file:{quote(str(home.catalog))}?mode=ro{at_rest}"
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=1)) as connection:
            (entered,) = connection.execute("SELECT ledger_bytes FROM meta").fetchone()
            if entered > (home.ledger.stat().st_size if home.ledger.exists() else 0):
                return {}
            rows = connection.execute("SELECT agent, session_id, place, mark FROM transcripts")
            return {(agent, session_id, where): mark for agent, session_id, where, mark in rows}
    except (sqlite3.Error, OSError, TypeError):
        return {}


def known(catalog: Catalog, transcript: Transcript) -> Known:
    """What the catalog knows of one transcript."""
    sql = "SELECT mark, bookmark FROM transcripts WHERE agent = ? AND session_id = ? AND place = ?"
    row = catalog.connection.execute(sql, identity(transcript)).fetchone()
    return Known(str(row[0]), str(row[1])) if row else Known()


def note(catalog: Catalog, transcript: Transcript, now: Known) -> None:
    """Remember that a transcript with this mark is archived to its end. The caller commits."""
    catalog.connection.execute(
        "INSERT OR REPLACE INTO transcripts VALUES (?, ?, ?, ?, ?)", (*identity(transcript), *now)
    )
