"""The QMD engine: word queries in the form that works, answers checked, every failure in words.

QMD joins the words of a plain search with AND and so finds nothing for most questions; several `lex:` lines, each with
fewer words, do better and need no model. Its pages lead back to events through `moon.projection`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from moon.config import Qmd as Settings
from moon.fulltext.words import fold
from moon.paths import Home
from moon.programs import find_json
from moon.projection import place_at, read_head
from moon.qmd import Qmd, QmdFailed
from moon.recall.question import Term

SECONDS = 5.0
RESULTS = 20
MAX_WORDS = 8
FEW_WORDS = 3


class Found(NamedTuple):
    """One page that QMD found, as far as it could be traced: to a session, and to an event where a line was given."""

    agent: str
    session_id: str
    event_id: str


def is_there(settings: Settings) -> bool:
    """Is there a QMD index of Moon's at all? QMD itself answers an empty list when there is none."""
    return settings.enabled is not False and _index_file(settings).exists()


def has_model(settings: Settings) -> bool:
    """Is an embedding model on this machine, so that asking for vectors downloads nothing?"""
    folder = _index_file(settings).parent / "models"
    return folder.is_dir() and any("embed" in path.name.lower() for path in folder.iterdir())


def _index_file(settings: Settings) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "qmd" / f"{settings.index}.sqlite"


def lines_for(terms: list[Term], question: str, *, vectors: bool) -> str:
    """The query document: all words, the `FEW_WORDS` rarest, the rarest; `terms` come rarest first."""
    plain = [" ".join(fold(term.text).split()) for term in terms[:MAX_WORDS]]
    lines = [" ".join(plain[:count]) for count in (len(plain), FEW_WORDS, 1)]
    shown = [f"lex: {line}" for line in dict.fromkeys(lines) if line]
    return "\n".join([*shown, *([f"vec: {' '.join(question.split())}"] if vectors else [])])


def search(home: Home, settings: Settings, lines: str) -> list[Found]:
    """Ask QMD. Raises `QmdFailed` when it is absent, too slow, or answers what cannot be used."""
    arguments = ["query", lines, "--no-rerank", "--json", "-c", settings.collection, "-n", str(RESULTS)]
    done = Qmd(settings).run(arguments, timeout=min(SECONDS, settings.timeout_seconds))
    if done.code != 0:
        raise QmdFailed(f"qmd query {done.describe()}")
    return list(_traced(home, _rows(done.stdout)))


def _rows(output: bytes) -> list[dict[str, Any]]:
    """The list in QMD's output, which may stand behind other lines."""
    text = output.decode("utf-8", "replace")
    if not text.strip() or text.strip() == "No results found.":
        return []
    rows = find_json(output, list)
    if rows is not None:
        return [row for row in rows if isinstance(row, dict)]
    raise QmdFailed("qmd query answered without a JSON list")


def _traced(home: Home, rows: list[dict[str, Any]]) -> Iterator[Found]:
    for row in rows[:RESULTS]:
        page = _page(home, row.get("file"))
        if page is None:
            continue
        try:
            lines = page.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        head = read_head(lines)
        number = row.get("line")
        place = place_at(lines, number) if isinstance(number, int) and not isinstance(number, bool) else None
        if head.get("session_id"):
            yield Found(head.get("agent", ""), head["session_id"], place.event_id if place else "")


def _page(home: Home, name: object) -> Path | None:
    """`qmd://history/main/name.md?index=moon` → the page, if it lies among Moon's pages."""
    if not isinstance(name, str) or not name.startswith("qmd://"):
        return None
    path = home.markdown / unquote(urlsplit(name).path).lstrip("/")
    return path if path.suffix == ".md" and ".." not in path.parts else None
