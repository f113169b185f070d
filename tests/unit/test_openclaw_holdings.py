"""What a store holds in whatever form, how it is told apart from what was archived, and reading on from a bookmark."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from tests.support import events
from tests.support.settings import settings
from tests.support.stores import (
    BUILDERS,
    NOW_MS,
    WRITTEN_MS,
    JsonlStoreBuilder,
    SqliteStoreBuilder,
    StoreBuilder,
    usage_entry,
)

from moon.errors import StoreForeign
from moon.openclaw.locate import Stores, open_stores
from moon.openclaw.transcript_store import Holding, StoredEvent, Transcript

KEY = "agent:main:main"


@pytest.fixture(params=list(BUILDERS))
def builder(request, tmp_path) -> StoreBuilder:
    made: StoreBuilder = BUILDERS[request.param](tmp_path)
    return made


@pytest.fixture
def sqlite(tmp_path) -> SqliteStoreBuilder:
    return SqliteStoreBuilder(tmp_path)


@pytest.fixture
def stores(tmp_path) -> Callable[[], Stores]:
    return lambda: open_stores(settings(openclaw={"state_dir": str(tmp_path)}))


def held(stores: Stores) -> dict[str, Holding]:
    """Every holding by its session id; there must be one of each."""
    found = [holding for _, holding in stores.holdings()]
    assert len({each.transcript.session_id for each in found}) == len(found)
    return {each.transcript.session_id: each for each in found}


def read(stores: Stores, session_id: str) -> list[bytes]:
    """The events of the one transcript of that session id."""
    for store, holding in stores.holdings():
        if holding.transcript.session_id == session_id:
            found = list(store.events(holding.transcript))
            assert [event.problem for event in found if event.problem] == []
            return [event.data for event in found]
    raise AssertionError(session_id)


# Every form.


def test_a_live_transcript_has_its_time_of_change(builder, stores):
    builder.put(KEY, "s1", events.conversation("s1", 2), at=NOW_MS - 5_000)
    holding = held(stores())["s1"]
    assert (holding.live, holding.changed_at) == (True, NOW_MS - 5_000)
    assert holding.transcript == Transcript("main", KEY, "s1")


def test_what_was_deleted_is_held_and_no_longer_live(builder, stores):
    lines = [*events.conversation("s1", 2), events.message("big", "long " * 2_000)]
    builder.put(KEY, "s1", lines)
    builder.delete(KEY, "s1")
    assert not held(stores())["s1"].live
    assert read(stores(), "s1") == lines


def test_what_was_put_away_is_held_and_no_longer_live(builder, stores):
    lines = events.conversation("s1", 2)
    builder.put(KEY, "s1", lines)
    builder.put_away(KEY)
    assert not held(stores())["s1"].live
    assert read(stores(), "s1") == lines


def test_an_earlier_window_is_held_and_no_longer_live(builder, stores):
    builder.put(KEY, "s1", events.conversation("s1", 2))
    builder.put(KEY, "s2", events.conversation("s2", 1))
    assert {session_id: each.live for session_id, each in held(stores()).items()} == {"s1": False, "s2": True}


@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_what_went_cold_is_the_same_transcript_with_the_same_mark(sqlite, stores, storage):
    lines = [*events.conversation("s1", 2), events.message("odd", 'quotes " \\ ünïcode 🌒 \u2028'), b"not json"]
    sqlite.put(KEY, "s1", lines)
    before = held(stores())["s1"]
    sqlite.go_cold("s1", storage)
    assert held(stores())["s1"] == before
    assert read(stores(), "s1") == lines
    store, _ = next(stores().holdings())
    assert store.mark(before.transcript) == before.mark and store.size(before.transcript) > 0


def test_a_cold_archive_that_is_gone_or_changed_is_named(sqlite, stores):
    sqlite.put(KEY, "s1", events.conversation("s1", 2))
    path = sqlite.go_cold("s1")
    packed = path.read_bytes()
    for content in (packed[:-1], packed + b"x", b""):
        path.write_bytes(content)
        with pytest.raises(StoreForeign, match="SHA-256") as caught:
            read(stores(), "s1")
        assert str(path) in caught.value.message and caught.value.hint
    path.unlink()
    with pytest.raises(StoreForeign, match="is gone"):
        read(stores(), "s1")


@pytest.mark.parametrize("column", ["event_count", "raw_bytes"])
def test_a_cold_archive_that_is_not_what_its_row_says_is_named(sqlite, stores, column):
    sqlite.put(KEY, "s1", events.conversation("s1", 2))
    sqlite.go_cold("s1")
    change(sqlite, f"UPDATE session_transcript_cold_archives SET {column} = {column} + 1")
    with pytest.raises(StoreForeign, match="not the"):
        read(stores(), "s1")


@pytest.mark.parametrize("name", ["../../../etc/passwd", f"{'a' * 64}.jsonl.zst/../x", "x.jsonl.zst"])
def test_the_name_of_a_cold_archive_leads_nowhere_else(sqlite, stores, name):
    sqlite.put(KEY, "s1", events.conversation("s1", 2))
    sqlite.go_cold("s1")
    change(sqlite, "UPDATE session_transcript_cold_archives SET archive_name = ?", name)
    with pytest.raises(StoreForeign, match="names a cold archive"):
        read(stores(), "s1")


def test_a_bomb_in_cold_storage_is_refused(sqlite, stores, monkeypatch):
    monkeypatch.setattr("moon.openclaw.cold_archive.UNPACKED_LIMIT", 1 << 20)
    sqlite.put(KEY, "s1", events.conversation("s1", 2))
    sqlite.go_cold("s1", "sqlite")
    bomb = zstandard.ZstdCompressor().compress(b'{"kind":"fts","row":"' + b"x" * (50 << 20) + b'"}\n')
    sha256 = hashlib.sha256(bomb).hexdigest()
    change(sqlite, "UPDATE session_transcript_cold_archives SET archive_blob = ?, archive_sha256 = ?", bomb, sha256)
    with pytest.raises(StoreForeign, match="more than"):
        read(stores(), "s1")


def test_a_copy_that_openclaw_compressed_is_unpacked(tmp_path, stores):
    """2026.9 writes what a deletion leaves as `<id>.jsonl.deleted.<time>.<generation>.zst` beside its database too."""
    lines = events.conversation("s1", 2)
    store = JsonlStoreBuilder(tmp_path)
    packed = zstandard.ZstdCompressor().compress(b"".join(each + b"\n" for each in lines))
    (store.folder / "s1.jsonl.deleted.2026-11-24T10-47-06.289Z.a34dcbd166904e87866abecd193c9dc5.zst").write_bytes(
        packed
    )
    assert read(stores(), "s1") == lines


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:40] + b"\0" * 9 + data[49:], lambda _: b"no"]
)
def test_a_broken_copy_gives_what_can_be_read_and_then_itself(builder, stores, damage):
    lines = [events.header("s1"), *(events.message(f"e{n}", f"{n} {os.urandom(99).hex()}") for n in range(4_000))]
    builder.put(KEY, "s1", lines)
    builder.delete(KEY, "s1")
    if isinstance(builder, SqliteStoreBuilder):
        with closing(builder.connect()) as connection, connection:
            (blob,) = connection.execute("SELECT archive_blob FROM session_transcript_archives").fetchone()
            connection.execute("UPDATE session_transcript_archives SET archive_blob = ?", (damage(blob),))
    else:
        (path,) = builder.folder.glob("*.deleted.*")
        blob = zstandard.compress(path.read_bytes())
        path.rename(path.with_name(path.name + ".zst"))
        path.with_name(path.name + ".zst").write_bytes(damage(blob))
    store, holding = next(stores().holdings())
    *sound, last = store.events(holding.transcript)
    assert [each.data for each in sound] == lines[: len(sound)]
    assert last == StoredEvent(damage(blob), last.problem) and last.problem.startswith("undecodable")


def test_where_the_list_of_sessions_cannot_be_read_any_transcript_may_be_in_use(tmp_path, stores):
    store = JsonlStoreBuilder(tmp_path)
    store.put(KEY, "s1", events.conversation("s1", 1))
    store.main_file.write_text("garbage")
    assert held(stores())["s1"].live


def test_the_older_store_beside_the_newer_one_keeps_its_own_places(tmp_path, stores):
    """After a migration one session id lies in both, and either may hold what the other has not."""
    old, new = JsonlStoreBuilder(tmp_path), SqliteStoreBuilder(tmp_path)
    lines = events.conversation("s1", 2)
    old.put(KEY, "s1", [*lines, events.message("late", "written while it was moved")])
    new.put(KEY, "s1", lines)
    found = {each.transcript.place: list(store.events(each.transcript)) for store, each in stores().holdings()}
    assert {place: len(events) for place, events in found.items()} == {"": 5, "s1.jsonl": 6}


# Marks.


def change(builder: SqliteStoreBuilder, statement: str, *values: object) -> None:
    with closing(builder.connect()) as connection, connection:
        connection.execute(statement, values)


def test_an_event_rewritten_in_place_changes_the_mark(builder, stores):
    """What OpenClaw does: the same number of events, the same lengths, the same last event."""
    lines = [events.header("s1"), *(events.message(f"e{n}", "first text") for n in range(4))]
    builder.put(KEY, "s1", lines)
    before = held(stores())["s1"].mark
    lines[2] = lines[2].replace(b"first text", b"other text")
    builder.write("s1", lines)
    assert held(stores())["s1"].mark != before


def test_without_the_fence_of_newer_versions_the_mark_tells_all_that_lengths_tell(sqlite, stores):
    lines = [events.header("s1"), *(events.message(f"e{n}", "first text") for n in range(4))]
    sqlite.put(KEY, "s1", lines)
    change(sqlite, "DROP TABLE transcript_rewrite_watermarks")
    marks = {held(stores())["s1"].mark}
    for statement in (
        "UPDATE transcript_events SET event_json = event_json || ' ', event_utf8_bytes = event_utf8_bytes + 1 "
        "WHERE seq = 2",
        "DELETE FROM transcript_events WHERE seq = 1",
    ):
        change(sqlite, statement)
        marks.add(held(stores())["s1"].mark)
    assert len(marks) == 3
    change(sqlite, "ALTER TABLE session_windows DROP COLUMN transcript_updated_at")
    assert held(stores())["s1"].changed_at == NOW_MS + 4, "the time of the last event"


def test_the_marks_of_many_transcripts_cost_no_statement_each(sqlite, stores):
    for number in range(40):
        sqlite.put(f"agent:main:k{number}", f"s{number}", events.conversation(f"s{number}", 1))
    store = stores().stores[0]
    store.holdings()
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    assert len(store.holdings()) == 40
    assert len(statements) < 10


# Reading on.


def read_on(stores: Stores, bookmark: str) -> tuple[list[bytes], bool, str]:
    store, holding = next(stores.holdings())
    passed = store.read(holding.transcript, bookmark)
    data = [event.data for event in passed.events]
    return data, passed.resumed, passed.bookmark


def test_what_was_added_is_read_alone(builder, stores):
    lines = events.conversation("s1", 3)
    builder.put(KEY, "s1", lines)
    data, resumed, bookmark = read_on(stores(), "")
    assert (data, resumed) == (lines, False) and bookmark
    more = [events.message("n1", "new"), events.message("n2", "long " * 3_000)]
    builder.append("s1", *more)
    data, resumed, bookmark = read_on(stores(), bookmark)
    assert (data, resumed) == (more, True)
    assert read_on(stores(), bookmark) == ([], True, bookmark)


REWRITES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "the middle, with the same length": lambda lines: [
        *lines[:2],
        lines[2].replace(b"answer", b"ANSWER"),
        *lines[3:],
    ],
    "the middle, longer": lambda lines: [lines[0], lines[1].replace(b"question", b"longer question"), *lines[2:]],
    "the last one": lambda lines: [*lines[:-1], lines[-1].replace(b"answer", b"ANSWER")],
    "cut off at the end": lambda lines: lines[:-2],
    "cut off at the start": lambda lines: [lines[0], *lines[-2:]],
    "in another order": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "one left out and one added": lambda lines: [*lines[:2], *lines[3:], lines[-1].replace(b"answer", b"ANSWER")],
    "emptied": lambda _: [],
}


@pytest.mark.parametrize("how", list(REWRITES))
def test_whatever_was_rewritten_is_read_whole(builder, stores, how):
    lines = events.conversation("s1", 3)
    builder.put(KEY, "s1", lines)
    _, _, bookmark = read_on(stores(), "")
    rewritten = REWRITES[how](lines) or [events.header("s1")]
    assert rewritten != lines
    builder.write("s1", rewritten)
    assert read_on(stores(), bookmark)[:2] == (rewritten, False)


@pytest.mark.parametrize("bookmark", ["", ":", "x:y:z", "3", "3:", "-1:a:b", "999999999999999999999:a:b", "\0"])
def test_a_bookmark_of_another_store_or_version_is_none(builder, stores, bookmark):
    builder.put(KEY, "s1", events.conversation("s1", 1))
    assert read_on(stores(), bookmark)[:2] == (events.conversation("s1", 1), False)


def test_a_torn_line_is_read_again_when_it_is_whole(tmp_path, stores):
    store = JsonlStoreBuilder(tmp_path)
    lines = events.conversation("s1", 1)
    store.put(KEY, "s1", lines)
    store.write("s1", lines, torn=b'{"type":"mess')
    data, _, bookmark = read_on(stores(), "")
    assert data == [*lines, b'{"type":"mess']
    store.write("s1", [*lines, b'{"type":"message"}'])
    assert read_on(stores(), bookmark)[:2] == ([b'{"type":"message"}'], True)


def test_a_database_at_rest_in_a_folder_that_cannot_be_written(sqlite, stores, tmp_path):
    """Read as a file at rest; when it turns out to be written all the same, that reading does not count."""
    from tests.support.unprivileged import held_back_by_permissions

    sqlite.put(KEY, "s1", events.conversation("s1", 2))
    folder: Path = sqlite.main_file.parent
    for path in folder.glob("*-[sw]*"):
        path.unlink()
    with held_back_by_permissions():
        folder.chmod(0o500)
        try:
            store, _ = next(stores().holdings())
            os.utime(sqlite.main_file, ns=(WRITTEN_MS, WRITTEN_MS))
            with pytest.raises(StoreForeign, match="changed while"):
                store.sessions()
        finally:
            folder.chmod(0o700)


def test_every_file_is_held_whatever_its_name(tmp_path, stores):
    """Names that no pattern likes, and a second file that a session's entry names beside the one of its id."""
    builder = JsonlStoreBuilder(tmp_path)
    for name in ("a\nb", "a\n", "a", ".", "..", "two", "two-topic-7"):
        builder.write(name, [events.header(name)])
    builder.put_entry("agent:main:two", usage_entry("two") | {"sessionFile": "two-topic-7.jsonl"})
    found = list(stores().holdings())
    assert len({each.transcript for _, each in found}) == 7
    for store, each in found:
        assert store.mark(each.transcript) == each.mark, each.transcript
    held_lines = [event.data for store, each in found for event in store.events(each.transcript)]
    assert sorted(held_lines) == sorted(
        events.header(name) for name in ("a\nb", "a\n", "a", ".", "..", "two", "two-topic-7")
    )


def test_a_row_without_a_session_id_is_no_session(sqlite, stores):
    sqlite.put(KEY, "s1", events.conversation("s1", 1))
    sqlite.put("agent:main:empty", "", [])
    assert [entry.session_id for _, entry in stores().sessions()] == ["s1"]
