"""Answer questions: the embedded engine first, QMD where it helps, the bare archives where there is no index."""

from __future__ import annotations

import time
from collections.abc import Iterator

from moon.clock import now_ms
from moon.config import Config
from moon.errors import IndexUnusable
from moon.paths import Home
from moon.recall import embedded
from moon.recall.dates import Calendar
from moon.recall.document import Document, document, neighbour
from moon.recall.plan import Query
from moon.recall.types import Answer, Hit, Request
from moon.textindex import TextIndex, open_reader

TRIED = "nothing found; try other or fewer words, drop limits such as --agent or --since, or run `moon-index` first"


class Recall:
    """Recall over one MOON_HOME, for one question or many. Use it in a `with` block."""

    def __init__(self, home: Home, config: Config) -> None:
        self.home = home
        self.config = config
        self.identity: tuple[int, int] | None
        self.index: TextIndex
        self.degraded: tuple[str, ...]
        self._open()

    def __enter__(self) -> Recall:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    def ask(self, request: Request) -> Document:
        """The RecallResult for one question."""
        started = time.monotonic()
        self._follow()
        answer = self.answer(request)
        return document(request, answer, int((time.monotonic() - started) * 1000))

    def answer(self, request: Request) -> Answer:
        """What is found for one question, with neighbours where they are asked for."""
        calendar = Calendar(now_ms(), self.config.timezone)
        degraded = self.degraded
        try:
            found = embedded.search(self.index, request.text, request.filters, request.limit, calendar)
        except IndexUnusable as error:
            self.index.close()
            self.index, self.degraded = _without_index(self.home, error)
            degraded = self.degraded
            found = embedded.search(self.index, request.text, request.filters, request.limit, calendar)
        notes = found.notes if found.hits else (*found.notes, *_tried(found.query))
        hits = tuple(self._with_context(hit, request.context) for hit in found.hits) if request.context else found.hits
        return Answer(hits, ("embedded",), degraded, notes, _highlights(found.query))

    def around(self, event_id: str, before: int, after: int, session: str | None = None) -> list[Document]:
        """The messages around an event, it among them; empty when it is not indexed."""
        self._follow()
        rows = self.index.event_rows(event_id, session)
        if not rows:
            return []
        found = [
            *self.index.around(rows[0].id, before, after=False),
            *rows,
            *self.index.around(rows[-1].id, after, after=True),
        ]
        return [neighbour(row) for row in found]

    def _follow(self) -> None:
        """Open the index again when another file has taken its place."""
        if _identity(self.home) != self.identity:
            self.index.close()
            self._open()

    def _open(self) -> None:
        self.identity = _identity(self.home)
        self.index, self.degraded = _open(self.home)

    def _with_context(self, hit: Hit, count: int) -> Hit:
        before = self.index.around(hit.row.id, count, after=False)
        return hit._replace(before=tuple(before), after=tuple(self.index.around(hit.row.id, count, after=True)))


def _open(home: Home) -> tuple[TextIndex, tuple[str, ...]]:
    try:
        return open_reader(home.text_index), ()
    except IndexUnusable as error:
        return _without_index(home, error)


def _identity(home: Home) -> tuple[int, int] | None:
    try:
        found = home.text_index.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _without_index(home: Home, error: IndexUnusable) -> tuple[TextIndex, tuple[str, ...]]:
    from moon.recall.archives import index_of_archives

    return index_of_archives(home, error)


def _highlights(query: Query) -> frozenset[str]:
    return frozenset(stem for term in query.terms for stem in term.stems)


def _tried(query: Query) -> Iterator[str]:
    if not query.terms:
        yield "the query holds no word to search for"
        return
    yield f"searched for: {', '.join(term.text for term in query.terms)}"
    yield TRIED
