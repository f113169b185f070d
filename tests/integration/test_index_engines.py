"""What every engine of the index does alike: one suite for SQLite and for PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.support.postgres import Database, Server

from moon.clock import format_ms
from moon.fulltext import Filters, IndexWriter, MessageRow, Moved, SearchIndex, SegmentSource, open_writer
from moon.fulltext.index_filling import PART_CHARS
from moon.recall import embedded
from moon.recall.dates import Calendar
from moon.shared_index.database import connect
from moon.shared_index.shared_writer import SharedIndexWriter

WHEN = "2026-05-08T10:00:00.000Z"
LATER = "2026-05-09T10:00:00.000Z"
HOUR = 3_600_000
NOON = 1_778_241_600_000


class Engine(IndexWriter, Protocol):
    """An engine with the short form of entering a segment."""

    def add_segment(self, source: SegmentSource, rows: Any) -> int: ...


def source(name: str, agent: str = "main", session: str = "s1") -> SegmentSource:
    return SegmentSource(name, agent, f"agent:{agent}:{session}", session, f"archives/raw/{agent}/{name}.jsonl")


def row(
    text: str, event: str = "e1", line: int = 2, role: str = "user", when: str | None = WHEN, tool: str = ""
) -> MessageRow:
    return MessageRow(event, line, role, text, when, tool or None)


def shared(database: Database) -> SharedIndexWriter:
    return SharedIndexWriter(connect(database.let_in("engine", "here"), 30), "here")


@pytest.fixture(params=["sqlite", "postgresql"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        with open_writer(tmp_path / "index" / "recall.sqlite") as opened:
            yield opened
    else:
        with shared(request.getfixturevalue("database")) as made:
            yield made


def found(index: SearchIndex, query: str, filters: Filters | None = None) -> list[str]:
    ids = index.matches(query, filters or Filters(), 100)
    return sorted(each.event_id for each in index.rows(ids))


def test_a_segment_is_entered_once(index: Engine) -> None:
    assert index.add_segment(source("a"), [row("the lantern register"), row("shelf seven", "e2", 3)]) == 2
    assert index.add_segment(source("a"), [row("something else", "e9")]) == 0
    assert index.has_segment("a")
    assert index.segment_shas() == {"a"}
    assert index.counts() == {"segments": 1, "messages": 2}
    assert found(index, '"lantern"') == ["e1"]


def test_a_failing_feed_leaves_nothing(index: Engine) -> None:
    def feed() -> Iterator[MessageRow]:
        yield row("half a segment")
        raise RuntimeError("the archive broke off")

    with pytest.raises(RuntimeError):
        index.add_segment(source("a"), feed())
    assert not index.has_segment("a")
    assert found(index, '"half"') == []
    assert index.add_segment(source("a"), [row("the whole segment")]) == 1


def test_a_fact_deep_inside_a_long_result_is_found(index: Engine) -> None:
    text = "ordinary output line\n" * 900 + "the beacon code is heliotrope\n" + "more output\n" * 900
    assert index.add_segment(source("a"), [row(text, role="toolResult", tool="exec")]) > 10
    ids = index.matches('"heliotrop"', Filters(), 10)
    assert [len(each.text) <= PART_CHARS for each in index.rows(ids)] == [True]


def test_filters(index: Engine) -> None:
    index.add_segment(
        source("a"), [row("lantern", "e1"), row("lantern", "e2", role="toolResult", tool="exec", when=LATER)]
    )
    index.add_segment(source("b", agent="ops", session="s2"), [row("lantern", "e3")])
    assert found(index, '"lantern"', Filters(agent="ops")) == ["e3"]
    assert found(index, '"lantern"', Filters(agent="nobody")) == []
    assert found(index, '"lantern"', Filters(session="agent:main:s1")) == ["e1", "e2"]
    assert found(index, '"lantern"', Filters(session="s2")) == ["e3"]
    assert found(index, '"lantern"', Filters(roles=("toolresult",))) == ["e2"]
    assert found(index, '"lantern"', Filters(tools=("exec",))) == ["e2"]
    noon = 1_778_241_600_000
    assert found(index, '"lantern"', Filters(since=noon)) == ["e2"]
    assert found(index, '"lantern"', Filters(until=noon, agent="main")) == ["e1"]


def test_neighbours_follow_the_conversation_across_segments_and_pauses(index: Engine) -> None:
    index.add_segment(source("a"), [row("one", "e1", 2), row("two", "e2", 3)])
    index.add_segment(source("other", session="s2"), [row("elsewhere", "x1")])
    index.add_segment(source("b"), [row("three", "e3", 2, when=LATER), row("four", "e4", 3, when=LATER)])
    middle = index.event_rows("e2")[0]
    assert [each.event_id for each in index.around(middle.id, 5, after=False)] == ["e1"]
    assert [each.event_id for each in index.around(middle.id, 5, after=True)] == ["e3", "e4"]


def test_long_sessions_fill_several_episodes(index: Engine) -> None:
    rows = [row(f"message number {at}", f"e{at}", at + 1) for at in range(200)]
    index.add_segment(source("a"), rows[:100])
    index.add_segment(source("b"), rows[100:])
    ids = sorted(index.matches('"messag"', Filters(), 1000))
    assert [each.event_id for each in sorted(index.rows(ids))] == [f"e{at}" for at in range(200)]
    assert all(each & 63 != 63 for each in ids)


def test_where_an_event_lies(index: Engine) -> None:
    index.add_segment(source("a"), [row("lantern", "e7", 12)])
    (place,) = index.locate_event("e7")
    assert (place.archive_path, place.line, place.session_key, place.timestamp) == (
        "archives/raw/main/a.jsonl",
        12,
        "agent:main:s1",
        WHEN,
    )
    assert index.locate_event("unknown") == []


def test_every_part_of_a_message_knows_how_long_the_whole_is(index: Engine) -> None:
    index.add_segment(source("a"), [row("lantern " * 900, "long"), row("one short lantern", "short")])
    rows = [each.id for name in ("long", "short") for each in index.event_rows(name)]
    shapes = index.shapes(rows)
    assert len(shapes) > 3
    assert {(each.event, each.size) for each in shapes.values()} == {("long", 900), ("short", 3)}


@pytest.mark.parametrize("hours", [1, 5])
def test_a_span_of_time_finds_what_was_said_in_it_however_long_the_episode(index: Engine, hours: int) -> None:
    """63 messages, so far apart that they are one episode of up to thirteen days."""
    times = [NOON + number * hours * HOUR for number in range(63)]
    index.add_segment(source("a"), [row("word", f"e{n}", n + 2, when=format_ms(at)) for n, at in enumerate(times)])
    for number, at in enumerate(times):
        (found_row,) = index.rows(index.in_time(at, at + 1, Filters(), 100))
        assert found_row.event_id == f"e{number}"
    assert index.in_time(NOON - HOUR, NOON, Filters(), 100) == []
    assert index.in_time(times[-1] + 1, times[-1] + HOUR, Filters(), 100) == []


def test_a_span_of_time_finds_what_stands_out_of_order_or_behind_what_is_not_dated(index: Engine) -> None:
    times = [None, NOON, NOON - HOUR, NOON + HOUR, NOON]
    index.add_segment(source("a"), [row("a", f"e{n}", n + 2, when=at and format_ms(at)) for n, at in enumerate(times)])
    index.add_segment(source("b"), [row("b", "f", 2, when=format_ms(NOON - 2 * HOUR))])
    for at, event in ((NOON - HOUR, "e2"), (NOON + HOUR, "e3"), (NOON - 2 * HOUR, "f")):
        assert [each.event_id for each in index.rows(index.in_time(at, at + 1, Filters(), 100))] == [event]
    assert index.time_range() == (NOON - 2 * HOUR, NOON + HOUR)


def test_forgetting_takes_text_words_and_counts(index: Engine) -> None:
    index.add_segment(source("a"), [row("the lantern register"), row("der Schlüssel liegt nicht auf dem Tisch", "g")])
    index.add_segment(source("b", session="s2"), [row("another lantern", "e2")])
    assert index.forget_segment("a") == 2
    assert found(index, '"lantern"') == ["e2"]
    assert index.counts() == {"segments": 1, "messages": 1}
    assert index.forget_segment("a") == 0
    assert index.forget_segment("b") == 1
    assert (index.languages(), index.counts()["messages"], found(index, '"lantern"')) == ([], 0, [])
    assert index.add_segment(source("a"), [row("the lantern register")]) == 1
    assert index.findable("a")


def test_findable_holds_for_what_is_there_and_for_what_is_empty(index: Engine) -> None:
    index.add_segment(source("a"), [row("🎉🎉 …"), row("नमस्ते दुनिया", "e2"), row("x² ① ", "e3")])
    index.add_segment(source("empty"), [])
    assert index.findable("a") and index.findable("empty") and not index.findable("unknown")


def test_expressions_mean_the_same(index: Engine) -> None:
    texts = ["red lantern hall", "red hall lantern", "blue lantern", "hall of mirrors", "lanterns in red halls"]
    index.add_segment(source("a"), [row(text, f"e{at}", at + 2) for at, text in enumerate(texts)])
    asked = {
        '"red" AND "hall"': ["e0", "e1", "e4"],
        '"red lantern"': ["e0"],
        '("lantern") AND ("red" OR "blue")': ["e0", "e1", "e2", "e4"],
        '"lantern" NOT "red"': ["e2"],
        '"lantern" NOT ("red lantern")': ["e1", "e2", "e4"],
        '"mirr" *': ["e3"],
        '"nowhere"': [],
    }
    assert {query: found(index, query) for query in asked} == asked


def test_common_words_are_counted(index: Engine) -> None:
    index.add_segment(source("a"), [row(f"the lantern {at}", f"e{at}") for at in range(40)])
    index.finish()
    assert index.frequencies(["lantern", "7"]) == {"lantern": 40}


def test_words_for_a_mistyped_one(index: Engine) -> None:
    index.add_segment(source("a"), [row("the lantern register is in the hall")])
    assert "lantern" in [word for word, _ in index.like("lantren", 1)]
    assert "lantern" in [word for word, _ in index.like("lanern", 1)]
    assert [word for word, _ in index.like("xylophon", 2)] == []
    assert index.known({"lantern", "hall", "xylophon"}) == {"lantern", "hall"}
    assert index.beginning("lan", 5) == [("lantern", 1)]


def test_a_pack_takes_over_what_it_holds_or_leaves_nothing(index: Engine) -> None:
    index.add_segment(source("a"), [row("one", "e1", 2), row("two", "e2", 3)])
    index.add_segment(source("b"), [row("three", "e3", 2)])
    assert index.take_over(source("pack"), [Moved("a", 0), Moved("b", 3)])
    assert index.take_over(source("pack"), [Moved("a", 0), Moved("b", 3)])
    assert index.segment_shas() == {"pack"}
    assert [(each.event_id, each.line) for each in index.event_rows("e3")] == [("e3", 5)]
    assert index.locate_event("e3")[0].archive_path.endswith("pack.jsonl")
    assert index.findable("pack")
    assert not index.take_over(source("more"), [Moved("pack", 0), Moved("unknown", 6)])
    assert index.counts() == {"segments": 0, "messages": 0}


def test_what_there_is(index: Engine) -> None:
    index.add_segment(source("a"), [row("lantern", "deadbeef"), row("hall", "deadfeed", 3, when=None)])
    index.add_segment(source("b", agent="ops", session="s2"), [row("lantern", "e3")])
    assert index.agents() == {"main": 2, "ops": 1}
    assert index.rows_in(Filters(agent="ops")) == (1, 3)
    assert (index.has_any(Filters(agent="ops")), index.has_any(Filters(session="none"))) == (True, False)
    assert sorted(index.events_beginning("dead", 5)) == ["deadbeef", "deadfeed"]
    assert index.events_beginning("deadb", 5) == ["deadbeef"]
    numbers = index.session_numbers([("main", "s1"), ("ops", "s2"), ("ops", "s1")])
    assert set(numbers) == {("main", "s1"), ("ops", "s2")}
    (one,) = index.event_rows("e3")
    assert index.sessions_of([one.id >> 6]) == {one.id >> 6: numbers["ops", "s2"]}
    place = index.places([one.segment])[one.segment]
    assert place[:4] == ("ops", "agent:ops:s2", "s2", "archives/raw/ops/b.jsonl")


def test_odd_texts_come_back(index: Engine) -> None:
    texts = ["tab\tand 'quotes' \"double\" \\ back {brace} , comma", "中文字符" * 900, "w" * 1500, "ü" * 1590, "NULL"]
    index.add_segment(source("a"), [row(text, f"e{at}", at + 2) for at, text in enumerate(texts)])
    assert index.findable("a")
    assert [index.event_rows(f"e{at}")[0].text for at in (0, 2, 3, 4)] == [texts[0], *texts[2:]]


def test_both_engines_rank_the_same(postgres: Server, database: Database, tmp_path: Path) -> None:
    """The same conversations into both, the same questions to both: the same rows with the same scores."""
    chance = random.Random(7)
    words = [
        f"{a}{b}" for a in ("lan", "har", "mir", "fel", "dor", "sti") for b in ("tern", "bor", "ror", "low", "ment")
    ]
    segments = [
        (
            source(f"{agent}{part}", agent, f"s{part % 3}"),
            [
                row(
                    " ".join(chance.choices(words, k=chance.randint(3, 40))),
                    f"{agent}-{part}-{line}",
                    line,
                    chance.choice(["user", "assistant", "toolResult"]),
                    format_ms(NOON + part * 8 * HOUR + line * 60_000),
                )
                for line in range(2, 40)
            ],
        )
        for agent in ("main", "ops")
        for part in range(6)
    ]
    questions = [" ".join(chance.sample(words, 3)) + chance.choice(["", "?"]) for _ in range(8)]
    with open_writer(tmp_path / "index" / "recall.sqlite") as one, shared(database) as other:
        answers = []
        for engine in (one, other):
            engine.add_segments(segments)
            engine.finish()
            answers.append([_answer(engine, each, agent) for each in questions for agent in (None, "ops")])
    assert answers[0] == answers[1]
    assert all(answers[0])


def _answer(index: SearchIndex, question: str, agent: str | None) -> list[tuple[str, float]]:
    with index.snapshot():
        found = embedded.search(index, question, Filters(agent=agent), Calendar(NOON, "UTC"))
        return [(hit.row.event_id, hit.score) for hit in embedded.hits(index, found.scored, 10)]
