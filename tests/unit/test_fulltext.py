"""The text index: what goes in once comes back by search, and a bad file is told in words."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from moon.fulltext import (
    Filters,
    IndexBusy,
    IndexCorrupt,
    IndexMissing,
    IndexVersion,
    MessageRow,
    SegmentSource,
    TextIndexWriter,
    open_reader,
    open_writer,
    rebuilding,
)
from moon.fulltext.index_filling import HEAD_CHARS, TAIL_CHARS, parts
from moon.fulltext.index_seal import is_sealed

WHEN = "2026-05-08T10:00:00.000Z"
LATER = "2026-05-09T10:00:00.000Z"


def source(name: str, agent: str = "main", session: str = "s1") -> SegmentSource:
    return SegmentSource(name, agent, f"agent:{agent}:{session}", session, f"archives/raw/{agent}/{name}.jsonl")


def row(
    text: str, event: str = "e1", line: int = 2, role: str = "user", when: str | None = WHEN, tool: str = ""
) -> MessageRow:
    return MessageRow(event, line, role, text, when, tool or None)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TextIndexWriter]:
    with open_writer(tmp_path / "index" / "recall.sqlite") as opened:
        yield opened


def found(index: TextIndexWriter, query: str, filters: Filters | None = None) -> list[str]:
    ids = index.matches(query, filters or Filters(), 100)
    return sorted(each.event_id for each in index.rows(ids))


def test_findable_only_when_a_search_brings_it_back(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("the lantern register")])
    index.add_segment(source("empty"), [])
    assert index.findable("a")
    assert index.findable("empty")
    assert not index.findable("unknown")
    index.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    assert not index.findable("a")


def test_a_row_without_words_is_findable_too(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("🎉🎉 …"), row("नमस्ते दुनिया", "e2"), row("x² ① \ue0b0", "e3")])
    assert index.findable("a")
    index.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    assert not index.findable("a")


def test_every_sampled_row_must_come_back(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("the lantern register"), row("shelf seven", "e2", 3)])
    lost = index.event_rows("e2")[0]
    index.connection.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, 'shelf seven')", (lost.id,))
    assert not index.findable("a")


def test_rows_know_their_language_and_the_index_those_that_it_holds(index: TextIndexWriter) -> None:
    german = row("Ich habe die Schlüssel auf den Tisch gelegt, aber sie sind nicht mehr da.", "e1")
    index.add_segment(source("a"), [german, row("Schlüssel?", "e2"), row("हमने चाबियाँ मेज़ पर रखी थीं", "e3")])
    index.add_segment(source("b", session="s2"), [row("Tischbein", "e4")])
    assert [index.event_rows(event)[0].language for event in ("e1", "e2", "e3", "e4")] == ["de", "de", "hi", "de"]
    assert index.languages() == ["de", "hi"]
    index.forget_segment("a")
    index.forget_segment("b")
    assert index.languages() == []
    assert index.connection.execute("SELECT count(*) FROM vocabulary").fetchone() == (0,)


def test_words_made_by_other_rules_can_be_read_but_not_written_to(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("the lantern register")])
    assert not index.outdated
    index.connection.execute("UPDATE state SET signature = 'of old'")
    with pytest.raises(IndexVersion, match="of old"):
        open_writer(index.path)
    with open_reader(index.path) as reader:
        assert reader.outdated and reader.findable("a")


def test_forgetting_takes_text_and_words(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("the lantern register")])
    index.add_segment(source("b", session="s2"), [row("another lantern", "e2")])
    assert index.forget_segment("a") == 1
    assert found(index, '"lantern"') == ["e2"]
    assert index.counts() == {"segments": 1, "messages": 1}
    assert index.forget_segment("a") == 0


def test_parts_hold_the_whole_text_up_to_the_bound() -> None:
    text = "word " * 2000
    assert "".join(parts(text)).replace(" ", "") == text.replace(" ", "")
    huge = "x" * (HEAD_CHARS + TAIL_CHARS) + "middle" + "y" * (HEAD_CHARS + TAIL_CHARS)
    pieces = list(parts(huge))
    assert sum(map(len, pieces)) == HEAD_CHARS + TAIL_CHARS
    assert not any("middle" in piece for piece in pieces)


def test_the_file_is_private(index: TextIndexWriter) -> None:
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(index.path.parent.stat().st_mode) == 0o700


def test_a_missing_index(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_reader(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_another_version(index: TextIndexWriter) -> None:
    index.connection.execute("PRAGMA user_version = 99")
    for opener in (open_reader, open_writer):
        with pytest.raises(IndexVersion, match="99"):
            opener(index.path)


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look like one" * 40, b"SQLite format 3\0" + b"\1" * 5000]
)
def test_a_damaged_or_foreign_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recall.sqlite"
    path.write_bytes(content)
    for opener in (open_reader, open_writer):
        with pytest.raises(IndexCorrupt):
            opener(path)
    assert path.read_bytes() == content


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "recall.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (x)")
    other.commit()
    other.close()
    with pytest.raises(IndexCorrupt, match="not Moon's"):
        open_writer(path)


def test_a_hole_anywhere_is_noticed(index: TextIndexWriter) -> None:
    """512 bytes lost in each page in turn, where SQLite itself mostly notices nothing."""
    texts = [f"lantern {at} {['beacon', 'harbour', 'register', 'shelf'][at % 4]} number{at * 7}" for at in range(400)]
    index.add_segment(source("a"), [row(text, f"e{at}", at) for at, text in enumerate(texts)])
    index.finish()
    index.close()
    whole = index.path.read_bytes()
    wanted = all_that_is_found(index.path)
    holes = [at for at in range(4096 + 1024, len(whole), 4096) if any(whole[at : at + 512])]
    assert len(holes) > 5
    for at in holes:
        index.path.write_bytes(whole[:at] + bytes(512) + whole[at + 512 :])
        with pytest.raises(IndexCorrupt):
            all_that_is_found(index.path)
    index.path.write_bytes(whole)
    assert all_that_is_found(index.path) == wanted


def all_that_is_found(path: Path) -> list[tuple[str, list[str]]]:
    with open_reader(path) as index, index.snapshot():
        result = []
        for word in ("lantern", "beacon", "harbour", "regist", "number70", "number77"):
            ids = [each[0] for each in index.found_sizes(index.matches(f'"{word}"', Filters(), 1000))]
            result.append((word, sorted(each.text for each in index.rows(ids))))
        return result


def test_a_file_that_only_was_copied_is_sound_and_is_sealed_again(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row("the lantern register")])
    index.finish()
    assert is_sealed(index.path)
    os.utime(index.path, ns=(1, 1))
    assert not is_sealed(index.path)
    with open_reader(index.path) as reader:
        assert reader.findable("a") and not reader.damage()
    index.finish()
    assert is_sealed(index.path)
    index.add_segment(source("b"), [row("another lantern")])
    assert not is_sealed(index.path)


def test_a_second_writer_is_told_to_wait(index: TextIndexWriter) -> None:
    index.connection.execute("BEGIN IMMEDIATE")
    with open_writer(index.path, timeout=0.01) as second, pytest.raises(IndexBusy):
        second.add_segment(source("a"), [row("lantern")])


def test_a_reader_sees_the_old_index_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "recall.sqlite"
    with open_writer(path) as old:
        old.add_segment(source("old"), [row("old lantern")])
        old.finish()
    with open_reader(path) as reader:
        with rebuilding(path) as fresh:
            fresh.add_segment(source("new"), [row("new lantern")])
            with open_reader(path) as other:
                assert other.segment_shas() == {"old"}
        assert reader.segment_shas() == {"old"}
    with open_reader(path) as reader:
        assert reader.segment_shas() == {"new"}
    assert [each for each in tmp_path.iterdir() if "new" in each.name] == []


def test_a_broken_rebuild_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "recall.sqlite"
    with open_writer(path) as old:
        old.add_segment(source("old"), [row("old lantern")])
    with pytest.raises(RuntimeError), rebuilding(path) as fresh:
        fresh.add_segment(source("new"), [row("new lantern")])
        raise RuntimeError("no room left")
    with open_reader(path) as reader:
        assert reader.segment_shas() == {"old"}
    assert [each for each in tmp_path.iterdir() if "new" in each.name] == []


def test_common_words_are_counted_at_the_end_of_a_run(index: TextIndexWriter) -> None:
    index.add_segment(source("a"), [row(f"the lantern {at}", f"e{at}") for at in range(40)])
    assert index.frequencies(["lantern"]) == {}
    index.finish()
    assert index.frequencies(["lantern", "7"]) == {"lantern": 40}
    index.finish()
