"""How the index keeps things small, and at the cost of what is new: ids, texts, sums of pages, order."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.fulltext import Filters, IndexCorrupt, MessageRow, SegmentSource, TextIndexWriter, open_reader, open_writer
from moon.fulltext.event_ids import beginning, shown, stored
from moon.fulltext.index_tidying import COMMON_ROWS
from moon.fulltext.page_sums import changed_page, sum_all, sums_path
from moon.fulltext.stored_text import ALONE, FIRST_DICTIONARY, PLAIN, TRAINING_BYTES

HEX = st.text("0123456789abcdef-g", max_size=10)
IDS = st.one_of(HEX, st.uuids().map(str), st.from_regex("[0-9a-f]{8}", fullmatch=True), st.text(max_size=12))


@given(IDS)
def test_an_event_id_comes_back_as_it_was(event_id: str) -> None:
    assert shown(stored(event_id)) == event_id


@given(st.lists(IDS, max_size=8), IDS, st.integers(0, 36))
def test_ids_that_begin_so_lie_in_the_ranges(ids: list[str], event_id: str, size: int) -> None:
    start = event_id[:size].replace("\0", "")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE kept (event)")
    usable = [each for each in [*ids, event_id] if "\0" not in each]
    database.executemany("INSERT INTO kept VALUES (?)", [(stored(each),) for each in usable])
    found = [
        shown(row[0])
        for low, high in beginning(start)
        for row in database.execute("SELECT event FROM kept WHERE event BETWEEN ? AND ?", (low, high))
    ]
    wanted = [each for each in usable if each.startswith(start)]
    assert sorted(each for each in found if each.startswith(start)) == sorted(wanted)


def test_ids_take_little_room() -> None:
    assert len(stored("4f1a9c0e")) == 4
    assert len(stored(str(uuid.UUID(int=7)))) == 16
    assert stored("4F1A9C0E") == "4F1A9C0E"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recall.sqlite"


def source(name: str) -> SegmentSource:
    return SegmentSource(name, "main", "agent:main:s1", "s1", f"archives/raw/main/{name}.jsonl")


def talk(count: int, seed: int = 1) -> list[MessageRow]:
    """Messages of words that come and go as in talk."""
    chance = Random(seed)
    pool = ["".join(chance.choices("abcdefghijklmnop", k=chance.randint(3, 9))) for _ in range(3000)]
    texts = (" ".join(pool[int(3000 * chance.random() ** 4)] for _ in range(100)) for _ in range(count))
    return [MessageRow(f"e{seed}-{at}", at + 1, "user", text) for at, text in enumerate(texts)]


def kinds(index: TextIndexWriter) -> set[int]:
    return {row[0] for row in index.connection.execute("SELECT unicode(substr(hex(body), 2, 1)) - 48 FROM message")}


def test_texts_get_a_dictionary_when_there_is_enough_and_all_come_back(path: Path) -> None:
    rows = talk(3 * TRAINING_BYTES // 1200)
    with open_writer(path) as index:
        index.add_segment(source("first"), [*rows[:900], MessageRow("short", 901, "user", "ok")])
        assert kinds(index) == {ALONE, PLAIN}
        index.add_segment(source("rest"), rows[900:])
        assert kinds(index) == {FIRST_DICTIONARY, PLAIN}
        index.finish()
        before = {row.event_id: row.text for row in index.rows(index.message_ids())}
    assert before == {row.event_id: row.text for row in rows} | {"short": "ok"}
    with open_reader(path) as reader:
        assert {row.event_id: row.text for row in reader.rows(reader.message_ids())} == before
        assert not reader.damage()
    assert path.stat().st_size < 0.8 * sum(len(row.text) for row in rows)


def test_a_purge_leaves_no_byte_of_what_went_in_dictionary_words_or_free_pages(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moon.fulltext.stored_text.TRAINING_BYTES", 100_000)
    rows = [row._replace(text=f"{row.text} the contrabassoonist left") for row in talk(700)]
    with open_writer(path) as index:
        index.add_segment(source("stays"), talk(700, seed=2))
        index.add_segment(source("goes"), rows)
        index.finish()
        assert kinds(index) == {FIRST_DICTIONARY} and b"contrabassoonist" in path.read_bytes()
        index.forget_segment("goes")
        index.purge()
        assert FIRST_DICTIONARY not in kinds(index)
        assert index.connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        kept = {row.text for row in index.rows(index.message_ids())}
    assert kept == {row.text for row in talk(700, seed=2)}
    assert b"contrabassoon" not in path.read_bytes() and not Path(f"{path}-wal").exists()
    with open_reader(path) as reader:
        assert reader.findable("stays") and not reader.damage()
    with open_writer(path) as index:
        index.add_segment(source("more"), talk(30, seed=3))
        index.finish()
        assert len(index.rows(index.message_ids())) == 730 and not index.damage()


def test_a_failing_feed_takes_the_dictionary_with_it(path: Path) -> None:
    def feed() -> object:
        yield from talk(3 * TRAINING_BYTES // 1200)
        raise RuntimeError("the archive broke off")

    with open_writer(path) as index:
        with pytest.raises(RuntimeError):
            index.add_segment(source("a"), feed())
        index.add_segment(source("b"), talk(20))
        assert len(index.rows(index.message_ids())) == 20


def test_a_text_that_is_not_as_it_was_written_is_told(path: Path) -> None:
    with open_writer(path) as index:
        index.add_segment(source("a"), talk(3))
        index.connection.execute("UPDATE message SET body = x'0141' WHERE line = 2")
        with pytest.raises(IndexCorrupt):
            index.rows(index.message_ids())
        assert "1 messages" in index.damage()


def test_sums_of_pages_follow_every_change(path: Path) -> None:
    for number in range(6):
        with open_writer(path) as index:
            index.add_segment(source(f"s{number}"), talk(40 if number else 400, seed=number))
            if number == 4:
                index.forget_segment("s2")
            index.finish()
        kept = sums_path(path).read_bytes()
        assert changed_page(path) is None
        sum_all(path)
        assert sums_path(path).read_bytes() == kept


def test_a_writer_that_was_cut_short_leaves_no_wrong_sums(path: Path) -> None:
    with open_writer(path) as index:
        index.add_segment(source("a"), talk(50))
        index.finish()
    with open_writer(path) as index:
        index.add_segment(source("b"), talk(50, seed=2))  # closed, and never finished
    with open_writer(path) as index:
        index.finish()
    assert changed_page(path) is None


def test_a_page_that_changed_is_named(path: Path) -> None:
    with open_writer(path) as index:
        index.add_segment(source("a"), talk(50))
        index.finish()
    data = bytearray(path.read_bytes())
    data[3 * 4096 + 2000] ^= 1
    path.write_bytes(data)
    assert changed_page(path) == 4
    path.write_bytes(data[: 4 * 4096])
    assert changed_page(path) == 4
    with pytest.raises(IndexCorrupt, match="not as it was written|malformed"):
        open_reader(path)


def pieces(index: TextIndexWriter) -> int:
    """In how many pieces FTS5 keeps the words."""
    return len(index.connection.execute("SELECT DISTINCT segid FROM words_idx").fetchall())


def test_words_stay_in_order_in_an_index_that_grows_by_little(path: Path) -> None:
    """Sixty runs of ten messages on top of many: few pieces, common words counted well, all found."""
    with open_writer(path) as index:
        index.add_segment(source("many"), talk(1500))
        index.finish()
    for number in range(2, 62):
        with open_writer(path) as index:
            index.add_segment(source(f"s{number}"), talk(10, seed=number))
            index.finish()
    with open_writer(path) as index:
        assert pieces(index) < 12
        exact = dict(index.connection.execute("SELECT term, doc FROM vocabulary WHERE doc > 300"))
        assert len(exact) > 20 and COMMON_ROWS < 300
        known = index.frequencies(exact)
        assert known.keys() == exact.keys()
        assert all(0.5 < known[word] / rows < 1.5 for word, rows in exact.items())
        assert all(len(index.matches(f'"{word}"', Filters(), 5000)) == rows for word, rows in exact.items())


def test_a_new_segment_costs_the_same_in_a_large_index_as_in_an_empty_one(tmp_path: Path) -> None:
    """Counted: statements run and bytes of the log, which is every page written."""
    costs = []
    for rows in (0, 500, 4000):
        path = tmp_path / f"{rows}.sqlite"
        with open_writer(path) as index:
            for at in range(0, rows, 500):
                index.add_segment(source(f"old{at}"), talk(500, seed=at + 1))
            index.finish()
        with open_writer(path) as index, closing(Written(index)) as written:
            index.add_segment(source("new"), talk(20, seed=9))
            index.finish()
        costs.append((written.statements, written.pages))
    empty, small, large = costs
    assert large[0] <= small[0] + 5 and large[0] <= empty[0] + 20
    assert large[1] <= small[1] * 1.5


class Written:
    """Counts the statements of an index and the pages that they put into its log."""

    def __init__(self, index: TextIndexWriter) -> None:
        self.index = index
        self.statements = self.pages = 0
        index.connection.set_trace_callback(self._count)
        self._checkpoint = index._checkpoint
        index._checkpoint = self._measured  # type: ignore[method-assign]

    def _count(self, statement: str) -> None:
        self.statements += 1

    def _measured(self, how: str) -> bool:
        self.pages += Path(f"{self.index.path}-wal").stat().st_size // 4096
        return self._checkpoint(how)

    def close(self) -> None:
        self.index.connection.set_trace_callback(None)
