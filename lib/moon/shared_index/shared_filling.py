"""What is to be entered into the shared index, gathered for many segments and written in few statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from moon.fulltext.index_database import AGENT_SHIFT, EPISODE_SHIFT
from moon.fulltext.index_filling import Numbering
from moon.fulltext.index_rows import MessageRow, SegmentSource
from moon.shared_index.shared_reader import clean
from moon.shared_index.words_query import lexemes

if TYPE_CHECKING:
    import psycopg

# So many rows are held before they are written.
BATCH_ROWS = 10_000
MESSAGES = (
    "INSERT INTO moon.message (source, id, at, line, digest, size, event, role, tool, language, body) SELECT * FROM "
    "unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[], %s::text[], "
    "%s::text[], %s::text[], %s::text[], %s::text[])"
)
POSTINGS = (
    "INSERT INTO moon.posting SELECT source, id, array_to_tsvector(string_to_array(words, ' ')) "
    "FROM unnest(%s::integer[], %s::bigint[], %s::text[]) AS given (source, id, words)"
)
COUNTS = (
    "INSERT INTO moon.word AS kept (word, source, rows) SELECT * FROM unnest(%s::text[], %s::integer[], %s::bigint[]) "
    "ON CONFLICT (word, source) DO UPDATE SET rows = kept.rows + excluded.rows"
)
SPOKEN = (
    "INSERT INTO moon.spoken AS kept VALUES (%s, %s, %s) "
    "ON CONFLICT (source, language) DO UPDATE SET rows = kept.rows + excluded.rows"
)
EPISODES = (
    "INSERT INTO moon.episode AS kept (source, id, session, first_at, last_at) "
    "SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) "
    "ON CONFLICT (source, id) DO UPDATE SET last_at = greatest(kept.last_at, excluded.last_at), "
    "first_at = least(coalesce(nullif(kept.first_at, 0), excluded.first_at), "
    "coalesce(nullif(excluded.first_at, 0), kept.first_at))"
)
LAST_EPISODE = (
    "SELECT episode.id, last_at, message.id, language FROM moon.episode LEFT JOIN LATERAL (SELECT id, language "
    "FROM moon.message WHERE message.source = episode.source AND message.id BETWEEN episode.id << 6 "
    "AND (episode.id << 6) + 63 ORDER BY id DESC LIMIT 1) AS message ON true "
    "WHERE episode.source = %s AND session = %s ORDER BY episode.id DESC LIMIT 1"
)


class SourceState:
    """One agent of this machine while a transaction writes to it; its row is locked."""

    def __init__(self, connection: psycopg.Connection[Any], host: str, agent: str) -> None:
        run = connection.execute
        run("INSERT INTO moon.source (host, agent) VALUES (%s, %s) ON CONFLICT DO NOTHING", (host, agent))
        sql = "SELECT id, next_number FROM moon.source WHERE host = %s AND agent = %s FOR UPDATE"
        found = run(sql, (host, agent)).fetchone()
        assert found is not None
        self.id, self.next_number = int(found[0]), int(found[1])
        self.added = 0
        known = run("SELECT language, rows FROM moon.spoken WHERE source = %s", (self.id,))
        self.spoken: dict[str, int] = {str(language): int(rows) for language, rows in known}
        self.sessions: dict[str, list[Any]] = {}

    def number(self) -> int:
        """A number that nothing of this source has yet."""
        taken = self.next_number
        self.next_number += 1
        return taken

    def usual_language(self) -> str:
        """The one that this agent's messages are mostly in."""
        return min(self.spoken, key=lambda each: (-self.spoken[each], each), default="")


class Batch:
    """Rows of several segments on their way."""

    def __init__(self, connection: psycopg.Connection[Any], rules: str) -> None:
        self.connection = connection
        self.rules = rules
        self.messages: list[tuple[Any, ...]] = []
        self.words: list[tuple[int, int, str]] = []
        self.counts: dict[int, Counter[str]] = {}
        self.spoken: Counter[tuple[int, str]] = Counter()
        self.spans: list[tuple[int, ...]] = []
        # Episode → (source, session, first, last).
        self.episodes: dict[int, tuple[int, int, int, int]] = {}

    def note_episode(self, episode: int, source: int, session: int, first: int, last: int) -> None:
        """An episode began, or goes on to other times."""
        known = self.episodes.get(episode)
        if known:
            first, last = min(filter(None, (known[2], first)), default=0), max(known[3], last)
        self.episodes[episode] = source, session, first, last

    def write_rows(self) -> None:
        """Write what has numbers."""
        if not self.messages:
            return
        run = self.connection.execute
        run(MESSAGES, _columns(self.messages))
        run(POSTINGS, _columns(self.words))
        self.messages.clear()
        self.words.clear()

    def write_rest(self, sources: Iterable[SourceState]) -> None:
        """Write all that is left: spans, episodes, counts."""
        self.write_rows()
        run = self.connection.execute
        if self.spans:
            run(
                "INSERT INTO moon.span (source, first, last, segment, lines_before) SELECT *, 0 FROM "
                "unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::bigint[])",
                _columns(self.spans),
            )
        if self.episodes:
            run(EPISODES, _columns([(each[0], number, *each[1:]) for number, each in self.episodes.items()]))
        for source, counts in self.counts.items():
            words = sorted(counts)
            run(COUNTS, (words, [source] * len(words), [counts[word] for word in words]))
        for (source, language), rows in self.spoken.items():
            run(SPOKEN, (source, language, rows))
        for each in sources:
            run(
                "UPDATE moon.source SET rows = rows + %s, next_number = %s WHERE id = %s",
                (each.added, each.next_number, each.id),
            )


class SharedFilling(Numbering):
    """Numbers the rows of one segment and puts them into the batch."""

    event_of = staticmethod(clean)

    def __init__(self, batch: Batch, state: SourceState, source: SegmentSource) -> None:
        self.batch = batch
        self.state = state
        self.source = source
        self.pack = _text
        self.names: list[tuple[str, str, str]] = []
        session = state.sessions.get(source.session_id) or self._session()
        state.sessions[source.session_id] = self.session_state = session
        self.session: int = session[0]
        super().__init__(*session[1:])
        self.counts = batch.counts.setdefault(state.id, Counter())

    def _session(self) -> list[Any]:
        """[number, then what `Numbering` wants to know of the last episode]."""
        run, state = self.batch.connection.execute, self.state
        session_id, key = clean(self.source.session_id), clean(self.source.session_key)
        found = run(
            "SELECT id FROM moon.session WHERE source = %s AND session_id = %s", (state.id, session_id)
        ).fetchone()
        if found is None:
            number = (state.id << AGENT_SHIFT) | state.number()
            run("INSERT INTO moon.session VALUES (%s, %s, %s, %s)", (state.id, number, session_id, key))
            return [number, 0, 1 << EPISODE_SHIFT, 0, state.usual_language()]
        number = int(found[0])
        if key:
            run("UPDATE moon.session SET session_key = %s WHERE source = %s AND id = %s", (key, state.id, number))
        last = run(LAST_EPISODE, (state.id, number)).fetchone()
        if last is None:
            return [number, 0, 1 << EPISODE_SHIFT, 0, state.usual_language()]
        episode, last_at, row, language = last
        used = 1 if row is None else (row & ((1 << EPISODE_SHIFT) - 1)) + 1
        return [number, episode, used, last_at, state.usual_language() if language is None else language]

    def fill(self, rows: Iterable[MessageRow]) -> int:
        """Number the rows; how many that made."""
        segment = (self.state.id << AGENT_SHIFT) | self.state.number()
        for row in rows:
            self.take(row)
            if len(self.messages) >= BATCH_ROWS:
                self._hand_on()
        self._hand_on()
        self.end_episode()
        run, source = self.batch.connection.execute, self.source
        run(
            "INSERT INTO moon.segment (source, id, sha256, session, archive_path, rows, rules) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (
                self.state.id,
                segment,
                source.sha256,
                self.session,
                clean(source.archive_path),
                self.added,
                self.batch.rules,
            ),
        )
        self.batch.spans += [(self.state.id, first, last, segment) for first, last in self.spans]
        for language, count in self.spoken.items():
            self.batch.spoken[self.state.id, language] += count
            self.state.spoken[language] = self.state.spoken.get(language, 0) + count
        self.state.added += self.added
        self.session_state[1:] = [self.episode, self.used, self.last_at, self.language]
        return self.added

    def _hand_on(self) -> None:
        """Put numbered rows into the batch; it writes when it has many."""
        batch, source, names, count = self.batch, self.state.id, self.names, self.counts.update
        for number, event, line, kind, at, digest, size, text in self.messages:
            batch.messages.append((source, number, at, line, digest, size, event, *names[kind - 1], text))
        mark = f" @{source}"
        for number, terms in self.words:
            kept = lexemes(terms)
            count(kept.split(" "))
            batch.words.append((source, number, kept + mark))
        self.messages.clear()
        self.words.clear()
        if len(batch.messages) >= BATCH_ROWS:
            batch.write_rows()

    def new_kind(self, named: tuple[str, str, str]) -> int:
        """The place of these names in `names`, from 1."""
        role, tool, language = named
        self.names.append((clean(role), clean(tool), language))
        self.kinds[named] = len(self.names)
        return len(self.names)

    def end_episode(self) -> None:
        """Note what the episode has gained."""
        if self.in_episode:
            self.batch.note_episode(self.episode, self.state.id, self.session, self.earliest, self.latest)
        self.in_episode = self.earliest = self.latest = 0

    def new_episode(self, at: int) -> int:
        """A number for it."""
        return (self.state.id << (AGENT_SHIFT - EPISODE_SHIFT)) | self.state.number()


def _text(data: bytes) -> str:
    return data.decode().replace("\0", "\ufffd")


def _columns(rows: list[Any]) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True)))
