"""Does recall hold on this archive? Messages are taken from it and asked for, without labels and without a model.

Each message is asked for in ways a person would: by its rare words, by the question that came before it, by half of a
sentence whose words end otherwise. Beside recall, SQLite's own `bm25()` answers the same questions over the same rows.
Nothing is written but a private temporary table, and nothing leaves the machine.
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from moon.fulltext import StoredRow, TextIndex
from moon.fulltext.languages import stem, stop_words
from moon.fulltext.words import UNSPACED, words
from moon.recall.recall_types import Request
from moon.recall.search import Recall

RARE, BEFORE, HALF = "its rare words", "the question before it", "half a sentence of it"
SPEAKERS = ("user", "assistant")
LEAST_WORDS = 6
LEAST_LETTERS = 4
MOST_WORDS = 80
RARE_WORDS = 3
QUESTION_CHARS = 300
LOOK_BACK = 20
DEPTH = 10
BATCH = 500
KEPT_WORDS = 0.6
CHANGED_WORDS = 0.5
_SENTENCE_ENDS = re.compile(r"(?<=[.!?।])\s+|(?<=[。！？])|\n+")
_WORD = re.compile(r"\w+")


class Asked(NamedTuple):
    """A question, the row that answers it, and the event that the question was taken from ("" for none)."""

    kind: str
    text: str
    target: StoredRow
    source: str = ""


class Figures(NamedTuple):
    """How one engine did: shares of the questions whose answer stood first, among 5, among 10; mean reciprocal rank
    within 10; milliseconds a question.
    """

    hit_1: float
    hit_5: float
    hit_10: float
    mrr: float
    ms: float


class KindOfQuestion(NamedTuple):
    """The figures of one kind of question."""

    kind: str
    questions: int
    moon: Figures
    bm25: Figures


class Outcome(NamedTuple):
    """What was asked for and how both engines did; `kinds` is empty when there was nothing to ask."""

    seed: int
    rows: int
    messages: int
    kinds: tuple[KindOfQuestion, ...]


class Embedded(Recall):
    """Recall by its own engine alone: QMD would be measured by how long it takes to start."""

    def _is_qmd_wanted(self, has_room: bool) -> bool:
        return False


def measure(recall: Recall, count: int, seed: int) -> Outcome:
    """Take up to `count` messages, ask for each, and compare. Raises the errors of the index."""
    index = recall.index
    chance = random.Random(seed)  # noqa: S311
    ids = index.message_ids()
    targets = list(_messages(index, chance.sample(ids, len(ids)), count))
    asked = [each for target in targets for each in _questions(index, target, chance)]
    plain = PlainSearch(index, ids) if asked else None
    kinds = []
    for kind in (RARE, BEFORE, HALF):
        of_kind = [each for each in asked if each.kind == kind]
        if plain is not None and of_kind:
            kinds.append(KindOfQuestion(kind, len(of_kind), *_compare(recall, plain, of_kind)))
    if plain is not None:
        plain.close()
    return Outcome(seed, len(ids), len(targets), tuple(kinds))


# --- what is asked ----------------------------------------------------------------------------------------------------


def _messages(index: TextIndex, ids: Sequence[int], count: int) -> Iterator[StoredRow]:
    """Rows in which somebody says something, one an event."""
    seen: set[str] = set()
    for batch in _batches(ids):
        rows = {row.id: row for row in index.rows(batch)}
        for number in batch:
            row = rows[number]
            if row.role not in SPEAKERS or row.event_id in seen or len(words(row.text)) < LEAST_WORDS:
                continue
            seen.add(row.event_id)
            yield row
            if len(seen) == count:
                return


def _questions(index: TextIndex, target: StoredRow, chance: random.Random) -> Iterator[Asked]:
    rare = _rare_words(index, target)
    if len(rare) > 1:
        yield Asked(RARE, " ".join(rare), target)
    before = _question_before(index, target)
    if before is not None:
        yield Asked(BEFORE, _plain(before.text)[:QUESTION_CHARS], target, before.event_id)
    half = _half_a_sentence(target.text, chance)
    if half:
        yield Asked(HALF, half, target)


def _rare_words(index: TextIndex, target: StoredRow) -> list[str]:
    """The words of a message that stand in the fewest rows; identifiers and numbers are not what people remember."""
    common = stop_words(target.language or "en")
    own = [word for word in dict.fromkeys(words(target.text)) if word.isalpha() and word not in common]
    own = [word for word in own if len(word) >= LEAST_LETTERS or UNSPACED.search(word)][:MOST_WORDS]
    return sorted(own, key=lambda word: (_rows_with(index, word, target.language), word))[:RARE_WORDS]


def _rows_with(index: TextIndex, word: str, language: str) -> int:
    term = stem(word, language) if language else word
    return sum(rows for _, rows in index.vocabulary(term, f"{term}\0", 1))


def _question_before(index: TextIndex, target: StoredRow) -> StoredRow | None:
    """What the user said before an answer."""
    if target.role != "assistant":
        return None
    for row in reversed(index.around(target.id, LOOK_BACK, after=False)):
        if row.role == "user" and row.event_id != target.event_id:
            return row
    return None


def _half_a_sentence(text: str, chance: random.Random) -> str:
    """A sentence with words left out and other endings; of a script without spaces a piece of one."""
    sentences = [each for each in _SENTENCE_ENDS.split(text) if each and len(words(each)) >= LEAST_WORDS]
    if not sentences:
        return ""
    sentence = _plain(chance.choice(sentences))
    spaced = sentence.split()
    if UNSPACED.search(sentence) and len(spaced) < LEAST_WORDS:
        return sentence[len(sentence) // 4 : -(len(sentence) // 4) or None]
    kept = [word for word in spaced if chance.random() < KEPT_WORDS] or spaced
    said = (_with_other_ending(word) if chance.random() < CHANGED_WORDS else word for word in kept)
    return " ".join(said)[:QUESTION_CHARS]


def _with_other_ending(word: str) -> str:
    if not word.isalpha() or len(word) <= LEAST_LETTERS:
        return word
    if not word.isascii() or word.endswith("s"):
        return word[:-1]
    return f"{word[:-1]}ing" if word.endswith("e") else f"{word}s"


def _plain(text: str) -> str:
    """A text as a question without marks that recall reads as a phrase, a word to leave out or a limit."""
    return " ".join(filter(None, (part.strip('-"') for part in re.split(r'[\s":]+', text))))


# --- how both do ------------------------------------------------------------------------------------------------------


class PlainSearch:
    """FTS5 as it comes: `porter unicode61`, the words joined by OR, by `bm25()`; in a private temporary file."""

    def __init__(self, index: TextIndex, ids: Sequence[int]) -> None:
        self.index = index
        self.connection = sqlite3.connect("", isolation_level=None)
        run = self.connection.execute
        run("CREATE VIRTUAL TABLE plain USING fts5 (text, content = '', tokenize = 'porter unicode61')")
        run("BEGIN")
        for batch in _batches(ids):
            rows = ((row.id, row.text) for row in index.rows(batch))
            self.connection.executemany("INSERT INTO plain (rowid, text) VALUES (?, ?)", rows)
        run("COMMIT")

    def close(self) -> None:
        """Let the temporary file go."""
        self.connection.close()

    def search(self, text: str) -> list[StoredRow]:
        """Rows, best first; more of them than are looked at, since parts of one message count once."""
        query = " OR ".join(f'"{word}"' for word in dict.fromkeys(_WORD.findall(text)))
        if not query:
            return []
        found = self.connection.execute(
            "SELECT rowid FROM plain WHERE plain MATCH ? ORDER BY bm25(plain) LIMIT ?", (query, 4 * DEPTH)
        )
        order = [row[0] for row in found]
        rows = {row.id: row for row in self.index.rows(order)}
        return [rows[number] for number in order]


def _compare(recall: Recall, plain: PlainSearch, asked: Sequence[Asked]) -> tuple[Figures, Figures]:
    def moon(text: str) -> list[StoredRow]:
        return [hit.row for hit in recall.answer(Request(text, limit=DEPTH + 1, pack_tokens=0)).hits]

    return _figures(asked, moon), _figures(asked, plain.search)


def _figures(asked: Sequence[Asked], search: Callable[[str], list[StoredRow]]) -> Figures:
    """The figures of one engine."""
    started = time.monotonic()
    found = [search(each.text) for each in asked]
    took = time.monotonic() - started
    ranks = [rank_of(each, rows) for each, rows in zip(asked, found, strict=True)]
    hit_1, hit_5, hit_10 = (sum(0 < rank <= depth for rank in ranks) / len(ranks) for depth in (1, 5, DEPTH))
    mrr = sum(1 / rank for rank in ranks if 0 < rank <= DEPTH) / len(ranks)
    ms = round(1000 * took / len(asked), 1)
    return Figures(round(hit_1, 3), round(hit_5, 3), round(hit_10, 3), round(mrr, 3), ms)


def rank_of(asked: Asked, rows: Iterable[StoredRow]) -> int:
    """At which place the message stands, 0 for none. Each event counts once, one with the same words is as good, and
    the message that the question was taken from is passed over.
    """
    events: dict[str, None] = {}
    for row in rows:
        if row.event_id == asked.target.event_id or row.text == asked.target.text:
            return len(events) + 1
        if row.event_id != asked.source:
            events[row.event_id] = None
    return 0


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
