"""Answer questions: the embedded engine first, QMD where it helps, the bare archives where there is no index."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moon.clock import now_ms
from moon.config import Config
from moon.errors import IndexUnusable, MoonError, PackageAbsent
from moon.fulltext import TextIndex, open_reader
from moon.health.behind import behind
from moon.paths import Home
from moon.recall import embedded
from moon.recall.dates import Calendar
from moon.recall.question import Term
from moon.recall.recall_document import Document, document
from moon.recall.recall_types import OWN, Answer, Hit, Request

if TYPE_CHECKING:
    from moon.recall.machines import Machines
    from moon.recall.meaning import Meaning
    from moon.recall.reading import Conversation
    from moon.redact import Redactor


class Recall:
    """Recall over one MOON_HOME, for one question or many. Use it in a `with` block."""

    def __init__(self, home: Home, config: Config, doubts: tuple[str, ...] = ()) -> None:
        """`doubts` are said with every answer, as what is `degraded`."""
        self.home = home
        self.config = config
        self.doubts = doubts
        self.identity: tuple[int, int] | None
        self.index: TextIndex
        self.degraded: tuple[str, ...]
        self._meaning: Meaning | None = None
        self._machines: Machines | None = None
        self._open()

    def __enter__(self) -> Recall:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()
        if self._machines is not None:
            self._machines.close()

    def ask(self, request: Request) -> Document:
        """The RecallResult for one question."""
        started = time.monotonic()
        self._follow()
        answer = self.answer(request)
        return document(request, answer, int((time.monotonic() - started) * 1000))

    def answer(self, request: Request) -> Answer:
        """What is found for one question, with neighbours where they are asked for."""
        if request.host or self.config.recall.host != OWN:
            wanted = self.machines.wanted(request.host)
            if wanted != OWN:
                return self._answer_of_others(request, wanted)
        return self._answer_of_own(request)

    @property
    def machines(self) -> Machines:
        """The shared index, opened when it is first asked."""
        if self._machines is None:
            from moon.recall.machines import Machines

            self._machines = Machines(self.home, self.config)
        return self._machines

    def _answer_of_others(self, request: Request, host: str) -> Answer:
        """What the shared index finds; where it cannot be asked, this machine's own, and what is missing then."""
        try:
            found = self.machines.answer(request, host, Calendar(now_ms(), self.config.timezone))
        except (IndexUnusable, PackageAbsent) as error:
            self.machines.close()
            own = self._answer_of_own(request)
            missing = f"machines: {error.message}; {error.hint}; only this machine was asked, not {host!r}"
            return own._replace(degraded=(missing, *own.degraded))
        return found._replace(degraded=(*self._doubts(), *found.degraded))

    def _answer_of_own(self, request: Request) -> Answer:
        try:
            with self.index.snapshot():
                return self._answer(request)
        except IndexUnusable as error:
            self.index.close()
            self.index, self.degraded = _without_index(self.home, error)
            return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        calendar = Calendar(now_ms(), self.config.timezone)
        engines, degraded = ["embedded"], [*self._doubts(), *self.degraded]
        found = self._search(request, calendar, degraded)
        engines += ["meaning"] if found.by_meaning else []
        shown = embedded.hits(self.index, found.scored, request.limit)
        if found.query.terms and self._is_qmd_wanted(len(found.scored) < request.limit):
            from moon.recall.fuse import fused
            from moon.recall.qmd_engine import has_model, lines_for, search

            try:
                lines = lines_for(self._rarest_first(found), request.text, vectors=has_model(self.config.qmd))
                shown = fused(self.index, found, search(self.home, self.config.qmd, lines), request.limit)
                engines.append("qmd")
            except MoonError as error:
                degraded.append(f"qmd: {error.message}")
        notes = found.notes if shown else (*found.notes, *self._tried(found))
        hits = tuple(self._with_context(hit, request.context) for hit in shown)
        return Answer(hits, tuple(engines), tuple(degraded), notes, embedded.highlights(found.query))

    def _doubts(self) -> Iterator[str]:
        """What everybody who asks should know: a configuration that is not the user's, an archive that is behind."""
        yield from self.doubts
        late = behind(self.home, self.config.timer.interval_seconds)
        if late:
            yield late

    def _search(self, request: Request, calendar: Calendar, degraded: list[str]) -> embedded.Searched:
        """By words, and by meaning where that is configured and possible; if not, `degraded` says why."""
        ask = functools.partial(embedded.search, self.index, request.text, request.filters, calendar)
        if self.config.recall.semantic.source == "off" or self.index.is_in_memory:
            return ask()
        from moon.fulltext.vectors import VectorsUnusable
        from moon.model.model_port import ModelFailed
        from moon.recall.meaning import Meaning

        try:
            self._meaning = self._meaning or Meaning(self.home, self.config)
            return ask(functools.partial(self._meaning.likeness, self.index))
        except (VectorsUnusable, ModelFailed) as error:
            self._meaning = None
            degraded.append(f"meaning: {error.message}" + (f"; {error.hint}" if error.hint else ""))
            return ask()

    def _tried(self, found: embedded.Searched) -> Iterator[str]:
        from moon.recall.nothing import tried

        return tried(self.home, self.index, found.query, found.filters)

    def _is_qmd_wanted(self, has_room: bool) -> bool:
        """QMD takes longer to start than a whole embedded answer, so by itself (`auto`) it is asked only when that
        left places empty; `qmd.enabled: true` asks it for every question.
        """
        setting = self.config.qmd.enabled
        if setting is False or (setting == "auto" and not has_room):
            return False
        from moon.recall.qmd_engine import is_there

        return setting is True or is_there(self.config.qmd)

    def _rarest_first(self, found: embedded.Searched) -> list[Term]:
        common = self.index.frequencies({stem for term in found.query.terms for stem in term.stems})
        return sorted(found.query.terms, key=lambda term: sum(common.get(stem, 0) for stem in term.stems))

    def around(self, event: str, before: int, after: int, session: str | None = None, host: str = "") -> Conversation:
        """The messages around an event, it among them. Raises `EventUnknown`, `ArchiveDamaged`; of another machine also
        `IndexUnusable`.
        """
        from moon.recall.reading import Around

        if host and self.machines.wanted(host) != OWN:
            return self.machines.around(event, before, after, session)

        self._follow()
        try:
            with self.index.snapshot():
                found = Around(self.home, self.index, self._redactor).read(event, before, after, session)
        except IndexUnusable as error:
            self.index.close()
            self.index, self.degraded = _without_index(self.home, error)
            found = Around(self.home, self.index, self._redactor).read(event, before, after, session)
        found["degraded"] = [*self._doubts(), *self.degraded, *found["degraded"]]
        return found

    def short_id(self, event: str) -> str:
        """A beginning of an event id that is enough to name it, for people to copy."""
        from moon.recall.original import short_id

        return short_id(self.index, event)

    @functools.cached_property
    def _redactor(self) -> Redactor:
        from moon.redact import Redactor

        return Redactor.from_config(self.config.redact)

    def _follow(self) -> None:
        """Open the index again when another file has taken its place."""
        if _identity(self.home) != self.identity:
            self.index.close()
            self._open()

    def _open(self) -> None:
        self.identity = _identity(self.home)
        self.index, self.degraded = _open(self.home)

    def _with_context(self, hit: Hit, count: int) -> Hit:
        if not count:
            return hit
        before = self.index.around(hit.row.id, count, after=False)
        return hit._replace(before=tuple(before), after=tuple(self.index.around(hit.row.id, count, after=True)))


def doubts_about(wrong: MoonError | None) -> tuple[str, ...]:
    """The line that goes with every answer while the configuration cannot be understood."""
    if wrong is None:
        return ()
    return (f"configuration: {wrong.message}; the last valid one is used, or the defaults",)


def _open(home: Home) -> tuple[TextIndex, tuple[str, ...]]:
    try:
        index = open_reader(home.text_index)
        return index, _outdated(index)
    except IndexUnusable as error:
        return _without_index(home, error)


def _outdated(index: TextIndex) -> tuple[str, ...]:
    return (f"embedded: {index.outdated}; `moon-index --rebuild` makes it better",) if index.outdated else ()


def _identity(home: Home) -> tuple[int, int] | None:
    try:
        found = home.text_index.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _without_index(home: Home, error: IndexUnusable) -> tuple[TextIndex, tuple[str, ...]]:
    from moon.recall.without_index import index_of_archives

    return index_of_archives(home, error)
