"""Asking other machines: the shared index in place of this machine's own, ranked the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from moon.config import Config
from moon.errors import UsageWrong
from moon.fulltext import Filters
from moon.host_id import known_host
from moon.paths import Home
from moon.recall import embedded
from moon.recall.dates import Calendar
from moon.recall.recall_types import ALL, OWN, Answer, Hit, Request
from moon.text import counted, span

if TYPE_CHECKING:
    from moon.recall.reading import Conversation
    from moon.shared_index.shared_reader import SharedIndex

# A machine that has sent nothing for so long may have said something since.
LATE_SECONDS = 86_400


class Machines:
    """The shared index of one home, for many questions. Methods raise `IndexUnusable`, `UsageWrong`."""

    def __init__(self, home: Home, config: Config) -> None:
        self.home = home
        self.config = config
        self._index: SharedIndex | None = None

    def wanted(self, host: str) -> str:
        """The machine that a question is about: a name, `all`, or `own` for this machine's own index."""
        asked = host or self.config.recall.host
        if asked == OWN:
            return OWN
        if self.config.index.engine != "postgresql":
            raise UsageWrong(
                "other machines can be asked only with a shared index",
                hint="set index.engine: postgresql in moon.yaml; docs/fleet.md shows how",
            )
        own = known_host(self.home)
        return OWN if own is not None and asked == own.id else asked

    def close(self) -> None:
        """Let go of the connection."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _open(self) -> SharedIndex:
        """The connection, made anew after it broke."""
        if self._index is None or self._index.connection.closed:
            from moon.shared_index.shared_reader import open_shared

            settings = self.config.index.postgresql
            self._index = open_shared(settings, settings.timeout_seconds)
        return self._index

    def answer(self, request: Request, host: str, calendar: Calendar) -> Answer:
        """What is found on that machine, or on all."""
        index = self._open()
        with index.snapshot():
            filters = request.filters._replace(host=_named(index, host))
            found = embedded.search(index, request.text, filters, calendar)
            hits = tuple(
                _with_context(index, hit, request.context) for hit in embedded.hits(index, found.scored, request.limit)
            )
            degraded = tuple(self._missing(index, filters))
            notes = found.notes if hits else (*found.notes, *_tried(index, found))
        return Answer(hits, ("postgresql",), degraded, notes, embedded.highlights(found.query))

    def _missing(self, index: SharedIndex, filters: Filters) -> Iterator[str]:
        """What an answer may lack."""
        if index.outdated:
            yield f"machines: {index.outdated}; `moon-index --rebuild` there makes it better"
        if not index.has_trigrams():
            yield "machines: the database has no pg_trgm, so that fewer mistyped words are corrected"
        if self.config.recall.semantic.source != "off":
            yield "machines: what rows mean is compared on this machine only; other machines are asked by words"
        for host, age, waiting in index.lateness():
            if filters.host in (None, host) and (waiting or age > LATE_SECONDS):
                left = f", and then had {counted(waiting, 'archive')} left to send" if waiting else ""
                yield f"machines: {host} last sent something {span(age)} ago{left}"

    def around(self, event: str, before: int, after: int, session: str | None) -> Conversation:
        """The messages around an event of any machine, as they are indexed. Raises `EventUnknown`, too."""
        from moon.recall.reading import indexed_around

        index = self._open()
        with index.snapshot():
            return indexed_around(index, event, before, after, session)


def _named(index: SharedIndex, asked: str) -> str | None:
    """The machine of that name, or the one whose name begins so; None for all."""
    if asked == ALL:
        return None
    hosts = index.hosts()
    found = [each for each in hosts if each == asked] or [each for each in hosts if each.startswith(asked)]
    if len(found) == 1:
        return found[0]
    which = "several machines begin with" if found else "there is no machine"
    raise UsageWrong(f"{which} {asked!r}", hint=f"this role sees: {', '.join(found or hosts) or 'none'}")


def _with_context(index: SharedIndex, hit: Hit, count: int) -> Hit:
    hit = hit._replace(engines=("postgresql",))
    if not count:
        return hit
    before = tuple(index.around(hit.row.id, count, after=False))
    return hit._replace(before=before, after=tuple(index.around(hit.row.id, count, after=True)))


def _tried(index: SharedIndex, found: embedded.Searched) -> Iterator[str]:
    """What was looked for where nothing was found."""
    yield f"searched for: {', '.join(term.text for term in found.query.terms) or 'nothing: the query holds no word'}"
    if not index.sources:
        yield "this role sees no machine that has sent anything: `SELECT moon.allow(…)` lets it (docs/fleet.md)"
    elif not index.has_any(found.filters):
        yield "no message at all lies within these limits (machine, agent, session, role, tool, time)"
    else:
        yield "nothing found; try other or fewer words, or drop limits such as --host, --agent or --since"
