"""What a session store must do, whichever generation of OpenClaw wrote it, and what the recorded ones hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
import zstandard
from tests.support import events
from tests.support.moon import ROOT, files_below
from tests.support.settings import settings
from tests.support.stores import BUILDERS, NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder, usage_entry
from tests.support.unprivileged import held_back_by_permissions

from moon.errors import SessionUnknown, StoreAbsent, StoreBusy, StoreForeign, StoreTooNew
from moon.openclaw.locate import open_stores
from moon.openclaw.transcript_store import StoredEvent, Transcript

KEY = "agent:main:main"
RECORDED = ROOT / "tests" / "recorded"
ODD = [
    "agent:main:channel:-100/4711",
    "agent:main:../../etc/passwd",
    "agent:main:with a space",
    "agent:main:dots.and...more",
    "agent:main:line\nbreak\tand tab",
    "agent:main:émoji 🌒 漢字",
    "agent:main:quote\"and'back\\slash",
    "-starts-like-an-option",
    "%2e%2e?mode=rw#fragment",
    "x" * 500,
    " ",
]


def stores_of(state_dir: Path):
    return open_stores(settings(openclaw={"state_dir": str(state_dir)}))


def transcripts(store) -> list[Transcript]:
    """What a store holds, without the marks."""
    return [holding.transcript for holding in store.holdings()]


class StoreSuite:
    """Every promise of `TranscriptStore`; each generation inherits it."""

    generation = ""

    @pytest.fixture
    def state(self, tmp_path):
        return tmp_path / "openclaw"

    @pytest.fixture
    def builder(self, state):
        return BUILDERS[self.generation](state)

    @pytest.fixture
    def open_store(self, state, builder):
        def opened():
            return stores_of(state).stores[0]

        return opened

    def mark(self, open_store, session_id="s1"):
        return open_store().mark(Transcript("main", KEY, session_id))

    def events(self, open_store, session_id="s1"):
        return list(open_store().events(Transcript("main", KEY, session_id)))

    def test_sessions_carry_the_numbers_of_their_entries(self, builder, open_store):
        builder.put(KEY, "s1", [events.header("s1")], used=43_181, compactions=2, status="running")
        (entry,) = open_store().sessions()
        assert (entry.agent, entry.key, entry.session_id) == ("main", KEY, "s1")
        assert (entry.used_tokens, entry.window_tokens, entry.budget_tokens) == (43_181, 64_000, 48_000)
        assert (entry.fresh, entry.running, entry.compactions) == (True, True, 2)
        assert (entry.updated_at, entry.interacted_at) == (NOW_MS - 600_000, NOW_MS - 600_000)

    def test_an_entry_without_numbers_is_still_a_session(self, builder, open_store):
        builder.put_entry(KEY, {"sessionId": "s1", "updatedAt": NOW_MS, "totalTokens": None})
        (entry,) = open_store().sessions()
        assert (entry.used_tokens, entry.window_tokens, entry.budget_tokens, entry.fresh) == (None, None, None, False)

    @pytest.mark.parametrize("value", ["many", -1, True, [1], {"a": 1}, 1e300])
    def test_numbers_that_are_none(self, builder, open_store, value):
        entry = {**usage_entry("s1"), "totalTokens": value, "contextTokens": value, "contextBudgetStatus": value}
        builder.put_entry(KEY, entry)
        (found,) = open_store().sessions()
        assert (found.used_tokens, found.window_tokens, found.budget_tokens) == (None, None, None)

    def test_events_are_the_exact_bytes_in_order(self, builder, open_store):
        lines = [
            events.header("s1"),
            events.message("e1", "ünïcödé 🌒 \u2028\u2029 end"),
            b'{ "type" : "message",   "id":"spaced",  "odd order":1.50 , "n":1e5, "u":"\\u00e4" }',
            events.message("e2", "long " * 6_000),
            events.tool_result("e3", "exec", "tab\there" * 500),
            b"not json",
        ]
        builder.put(KEY, "s1", lines)
        assert self.events(open_store) == [StoredEvent(each) for each in lines]
        assert open_store().size(Transcript("main", KEY, "s1")) >= sum(map(len, lines))

    def test_no_transcript_is_no_mark_and_no_events(self, builder, open_store):
        builder.put_entry(KEY, usage_entry("s1"))
        assert (self.mark(open_store), self.events(open_store)) == ("", [])
        assert open_store().size(Transcript("main", KEY, "s1")) == 0

    def test_the_mark_changes_when_the_transcript_does(self, builder, open_store):
        lines = events.conversation("s1", 4)
        marks = []
        for state in (
            lines[:3],
            lines[:5],
            lines,
            [*lines[:-1], lines[-1].replace(b"answer", b"a longer answer")],
            [lines[0], *lines[-3:]],
            [lines[0]],
            [lines[0], events.reset("r1")],
        ):
            builder.put(KEY, "s1", state)
            marks.append(self.mark(open_store))
        assert len(set(marks)) == len(marks) and all(marks)

    def test_the_mark_stays_when_only_other_things_change(self, builder, open_store):
        builder.put(KEY, "s1", events.conversation("s1", 2))
        builder.put("agent:main:other", "s2", events.conversation("s2", 2))
        before = self.mark(open_store)
        builder.put_entry(KEY, usage_entry("s1", used=44_000, interacted_at=NOW_MS))
        builder.write("s2", events.conversation("s2", 9))
        assert self.mark(open_store) == before
        assert self.mark(open_store, "s2") != before

    def test_one_reader_sees_one_moment(self, builder, open_store):
        lines = events.conversation("s1", 3)
        builder.put(KEY, "s1", lines)
        reader = open_store().events(Transcript("main", KEY, "s1"))
        first = next(reader)
        longer = [*lines, events.message("later", "arrives while it is read")]
        if self.generation == "jsonl":
            with (builder.folder / "s1.jsonl").open("ab") as stream:
                stream.write(longer[-1] + b"\n")
        else:
            builder.write("s1", longer)
        assert [first, *reader] == [StoredEvent(each) for each in lines]
        assert self.events(open_store) == [StoredEvent(each) for each in longer]

    @pytest.mark.parametrize("key", ODD)
    def test_any_session_key(self, builder, open_store, key):
        builder.put(key, "s1", events.conversation("s1", 1))
        (entry,) = open_store().sessions()
        assert entry.key == key
        assert len(list(open_store().events(entry.transcript))) == 3

    def test_reading_changes_no_byte_of_the_store(self, builder, open_store, state):
        builder.put(KEY, "s1", events.conversation("s1", 3))
        before = {name: data for name, data in files_below(state).items() if not name.endswith(("-shm", "-wal"))}
        store = open_store()
        store.sessions(), store.holdings(), self.events(open_store), self.mark(open_store)
        after = {name: data for name, data in files_below(state).items() if not name.endswith(("-shm", "-wal"))}
        assert after == before

    def test_a_transcript_that_no_session_names_is_listed_without_key(self, builder, open_store):
        builder.put(KEY, "s1", events.conversation("s1", 1))
        builder.write("forgotten", events.conversation("forgotten", 1))
        assert set(transcripts(open_store())) == {Transcript("main", KEY, "s1"), Transcript("main", "", "forgotten")}

    def test_a_broken_agent_does_not_stop_the_others(self, builder, state):
        builder.put(KEY, "s1", events.conversation("s1", 1))
        for agent in ("alpha", "zulu"):
            BUILDERS[self.generation](state, agent).main_file.write_bytes(b"\x00garbage\xff" * 2_000)
        stores = stores_of(state)
        assert [entry.key for _, entry in stores.sessions()] == [KEY]
        assert [type(problem) for problem in stores.problems] == [StoreForeign, StoreForeign]
        assert all(agent in str(stores.problems) for agent in ("alpha", "zulu"))
        assert all(problem.hint and problem.path for problem in stores.problems)
        stores = stores_of(state)
        assert [transcript.session_id for _, (transcript, *_) in stores.holdings()] == ["s1"]

    @pytest.mark.parametrize(
        "content", [b"", b"\x00" * 5_000, b"[]", b'"text"', b"{", b"SQLite format 3\x00" + b"x" * 99]
    )
    def test_a_foreign_or_empty_main_file_is_a_typed_error_or_no_sessions(self, builder, open_store, content):
        builder.main_file.write_bytes(content)
        try:
            assert open_store().sessions() == []
        except StoreForeign as error:
            assert str(builder.main_file) in error.message and error.hint

    def test_a_folder_that_cannot_be_written_is_read_all_the_same(self, builder, open_store, state):
        builder.put(KEY, "s1", events.conversation("s1", 2))
        for path in (builder.main_file.parent).glob("*-[sw]*"):
            path.unlink()
        with held_back_by_permissions():
            builder.main_file.parent.chmod(0o500)
            try:
                assert len(open_store().sessions()) == 1
                assert len(self.events(open_store)) == 5
            finally:
                builder.main_file.parent.chmod(0o700)

    def test_a_file_that_cannot_be_read_is_a_typed_error(self, builder, state):
        builder.put(KEY, "s1", events.conversation("s1", 2))
        with held_back_by_permissions():
            builder.main_file.chmod(0)
            stores = stores_of(state)
            assert list(stores.sessions()) == []
        assert len(stores.problems) == 1 and stores.problems[0].hint


class TestJsonl(StoreSuite):
    generation = "jsonl"

    def test_a_torn_last_line_is_marked(self, builder, open_store):
        builder.write("s1", [events.header("s1")], torn=b'{"type":"mess')
        assert self.events(open_store)[-1] == StoredEvent(b'{"type":"mess', "torn")

    def test_trajectories_are_no_transcripts_and_left_copies_are(self, builder, open_store):
        builder.put(KEY, "s1", [events.header("s1")])
        for name in ("s1.trajectory.jsonl", "s1.trajectory-path.json", "s0.jsonl.reset.2026-11-22T08-24-24.673Z"):
            (builder.folder / name).write_bytes(events.header("s0") + b"\n")
        (builder.folder / "s9.jsonl.deleted.2026-11-22T08-24-24.673Z").write_bytes(events.header("s9") + b"\n")
        listed = transcripts(open_store())
        assert [(each.session_id, bool(each.place)) for each in listed] == [("s1", False), ("s0", True), ("s9", True)]
        for each in listed:
            assert [event.data for event in open_store().events(each)] == [
                events.header("s0" if each.session_id == "s0" else each.session_id)
            ]

    def test_a_transcript_under_another_file_name(self, builder, open_store):
        """OpenClaw names the file of a forum topic `<session id>-topic-<n>.jsonl` and says so in the entry."""
        other = builder.folder / "s1-topic-7.jsonl"
        other.write_bytes(b"".join(each + b"\n" for each in events.conversation("s1", 1)))
        builder.put_entry(KEY, {**usage_entry("s1"), "sessionFile": f"/elsewhere/{other.name}"})
        assert len(self.events(open_store)) == 3
        assert self.mark(open_store)
        assert transcripts(open_store()) == [Transcript("main", KEY, "s1")]

    def test_a_reset_transcript_is_found_by_its_old_session_id(self, builder, state):
        """A reset renames the old transcript; whoever only knows its id must still find it."""
        builder.put(KEY, "new", [events.header("new")])
        lines = events.conversation("old", 2)
        (builder.folder / "old.jsonl.reset.2026-11-22T08-24-24.673Z").write_bytes(b"".join(e + b"\n" for e in lines))
        found = stores_of(state).locate(Transcript("main", KEY, "old"))
        assert found is not None
        store, transcript = found
        assert transcript.key == KEY
        assert [each.data for each in store.events(transcript)] == lines
        assert stores_of(state).locate(Transcript("main", KEY, "never was")) is None

    @pytest.mark.parametrize("session_id", ["../../secret", "a/b", "", "nul\0"])
    def test_a_session_id_is_never_a_path(self, builder, open_store, tmp_path, session_id):
        (tmp_path / "openclaw" / "agents" / "secret.jsonl").write_bytes(b"private\n")
        builder.put_entry(KEY, usage_entry(session_id or "x"))
        store = open_store()
        transcript = Transcript("main", KEY, session_id)
        assert (store.mark(transcript), store.size(transcript)) == ("", 0)
        with pytest.raises(StoreForeign):
            list(store.events(transcript))

    def test_a_session_file_elsewhere_is_not_followed(self, builder, open_store, tmp_path):
        (tmp_path / "outside.jsonl").write_bytes(b"private\n")
        builder.put_entry(KEY, {**usage_entry("s1"), "sessionFile": str(tmp_path / "outside.jsonl")})
        assert self.events(open_store) == []

    def test_a_key_that_is_half_a_character(self, builder, open_store):
        builder.main_file.write_bytes(b'{"agent:main:\\ud83d": {"sessionId": "s1", "updatedAt": 1}}')
        (entry,) = open_store().sessions()
        assert entry.key.encode()

    def test_entries_that_are_none_are_passed_over(self, builder, open_store):
        listed = {"a": None, "b": {"sessionId": 5}, "c": {"sessionId": ""}, "d": [], KEY: {"sessionId": "s1"}}
        builder.main_file.write_text(json.dumps(listed))
        assert [entry.key for entry in open_store().sessions()] == [KEY]

    def test_sessions_that_openclaw_archived_are_left_out(self, builder, open_store):
        builder.put_entry(KEY, {**usage_entry("s1"), "archivedAt": NOW_MS})
        assert open_store().sessions() == []


class TestSqlite(StoreSuite):
    generation = "sqlite"

    def change(self, builder, statement, *values):
        connection = builder.connect()
        with connection:
            connection.execute(statement, values)
        connection.close()

    def test_sessions_that_openclaw_archived_are_left_out(self, builder, open_store):
        builder.put(KEY, "s1", [events.header("s1")])
        self.change(builder, "UPDATE session_nodes SET archived_at = 5")
        assert open_store().sessions() == []
        assert len(transcripts(open_store())) == 1

    def test_a_newer_schema_of_known_shape_is_read_and_named_by_number(self, builder, state):
        builder.put(KEY, "s1", [events.header("s1")])
        lines = events.conversation("s2", 30)
        SqliteStoreBuilder(state, "future", version=24).put("agent:future:main", "s2", lines)
        stores = stores_of(state)
        assert {entry.key for _, entry in stores.sessions()} == {KEY, "agent:future:main"}
        held = {each.transcript.session_id: store for store, each in stores.holdings()}
        assert [each.data for each in held["s2"].events(Transcript("future", "", "s2"))] == lines
        assert stores.problems == []
        (notice,) = stores.notices()
        assert isinstance(notice, StoreTooNew) and "24" in notice.message and "23" in notice.message and notice.hint

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE transcript_events SET event_json = 'packed:' || event_json",
            "UPDATE transcript_events SET event_utf8_bytes = event_utf8_bytes + 1",
            "UPDATE transcript_events SET event_json = NULL, event_zstd = x'00', event_utf8_bytes = 5, "
            "navigation_json = '{}'",
            "ALTER TABLE transcript_events RENAME COLUMN seq TO position",
        ],
    )
    def test_a_newer_schema_of_another_shape_is_refused(self, state, change):
        builder = SqliteStoreBuilder(state, version=24)
        builder.put(KEY, "s1", events.conversation("s1", 2))
        self.change(builder, change)
        stores = stores_of(state)
        assert list(stores.sessions()) == []
        assert [type(problem) for problem in stores.problems] == [StoreForeign]

    @pytest.mark.parametrize("version", [0, 1, 22, 23])
    def test_older_schemas_are_read(self, state, version):
        SqliteStoreBuilder(state, version=version).put(KEY, "s1", events.conversation("s1", 1))
        stores = stores_of(state)
        assert len(list(stores.sessions())) == 1 and stores.problems == []

    def test_a_store_that_lacks_a_table_is_foreign(self, builder, open_store):
        self.change(builder, "DROP TABLE transcript_events")
        with pytest.raises(StoreForeign, match="transcript_events"):
            open_store().sessions()

    def test_columns_that_older_versions_lack(self, builder, open_store):
        builder.put(KEY, "s1", events.conversation("s1", 2), status="running")
        for column in ("archived_at", "status"):
            self.change(builder, f"ALTER TABLE session_nodes DROP COLUMN {column}")
        (entry,) = open_store().sessions()
        assert entry.running, "without the column the entry itself says whether a run is active"
        assert len(self.events(open_store)) == 5

    def test_a_locked_store_is_waited_for_and_never_read_without_its_lock(self, builder, open_store, monkeypatch):
        """Without a WAL there is nothing to tell what is committed from what is not, but the lock."""
        monkeypatch.setattr("moon.openclaw.sqlite_store.BUSY_SECONDS", 0.05)
        builder.put(KEY, "s1", events.conversation("s1", 2))
        writer = builder.connect()
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("PRAGMA cache_size = 5")
        writer.execute("BEGIN EXCLUSIVE")
        for seq in range(100, 900):
            writer.execute(
                "INSERT INTO transcript_events (session_id, seq, event_json, created_at) VALUES ('s1', ?, ?, 1)",
                (seq, events.message(f"x{seq}", "never committed " * 50).decode()),
            )
        for look in (lambda store: store.sessions(), lambda store: store.holdings()):
            with pytest.raises(StoreBusy) as caught:
                look(open_store())
            assert str(builder.main_file) in caught.value.message and "fuser" in caught.value.hint
        with pytest.raises(StoreBusy):
            self.events(open_store)
        writer.rollback()
        writer.close()
        assert len(self.events(open_store)) == 5

    def test_a_lock_taken_while_the_store_is_read_is_no_damage(self, builder, open_store, monkeypatch):
        monkeypatch.setattr("moon.openclaw.sqlite_store.BUSY_SECONDS", 0.05)
        builder.put(KEY, "s1", events.conversation("s1", 2))
        connection = builder.connect()
        connection.execute("PRAGMA journal_mode = DELETE")
        store = open_store()
        store.sessions()
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy):
            store.sessions()
        connection.rollback()
        connection.close()
        assert len(store.sessions()) == 1

    def test_a_bomb_in_a_row_takes_no_more_than_the_row_says(self, builder, open_store):
        bomb = zstandard.ZstdCompressor().compress(b"\0" * (600 << 20))
        builder.put(KEY, "s1", [events.header("s1"), events.message("big", "long " * 1_000)])
        self.change(builder, "UPDATE transcript_events SET event_zstd = ?, event_utf8_bytes = 1000 WHERE seq = 1", bomb)
        tracemalloc.start()
        found = self.events(open_store)[1]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.problem.startswith("undecodable") and "more than 1000" in found.problem and found.data == bomb
        assert peak < 100 << 20

    def test_a_store_in_use_is_read_beside_its_writer(self, builder, open_store):
        builder.put(KEY, "s1", events.conversation("s1", 2))
        writer = builder.connect()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM transcript_events")
        assert len(self.events(open_store)) == 5
        writer.rollback()
        writer.close()

    def test_big_events_are_unpacked_and_held_against_their_length(self, builder, open_store):
        big = events.message("big", "long " * 10_000)
        builder.put(KEY, "s1", [events.header("s1"), big])
        assert self.events(open_store)[1] == StoredEvent(big)
        for wrong in (len(big) + 1, len(big) - 1, 1):
            self.change(builder, "UPDATE transcript_events SET event_utf8_bytes = ? WHERE seq = 1", wrong)
            found = self.events(open_store)[1]
            assert found.problem.startswith("undecodable") and found.data
        self.change(builder, "UPDATE transcript_events SET event_zstd = x'00112233' WHERE seq = 1")
        assert self.events(open_store)[1] == StoredEvent(b"\x00\x11\x22\x33", self.events(open_store)[1].problem), (
            "what cannot be unpacked is handed on packed, never left out"
        )

    def test_what_a_reset_moved_into_a_blob_is_listed_and_read(self, builder, open_store, state):
        lines = events.conversation("old", 2)
        blob = b"".join(each + b"\n" for each in lines)
        for name, encoding, data in (("a", "identity", blob), ("b", "zstd", zstandard.ZstdCompressor().compress(blob))):
            self.change(
                builder,
                "INSERT INTO session_transcript_archives VALUES (?, ?, ?, 'reset', ?, ?, ?, ?, 1, NULL)",
                f"old-{name}",
                f"left-{name}",
                KEY,
                encoding,
                data,
                hashlib.sha256(blob).hexdigest(),
                f"old-{name}.jsonl.reset",
            )
        listed = transcripts(open_store())
        assert [(each.session_id, each.place) for each in listed] == [("old-a", "left-a"), ("old-b", "left-b")]
        for each in listed:
            assert [event.data for event in open_store().events(each)] == lines
        found = stores_of(state).locate(Transcript("main", KEY, "old-b"))
        assert found is not None and found[1].place == "left-b"

    def test_earlier_session_ids_of_a_key_keep_its_name(self, builder, open_store):
        builder.put(KEY, "s1", events.conversation("s1", 1))
        builder.put(KEY, "s2", events.conversation("s2", 1))
        assert {(each.key, each.session_id) for each in transcripts(open_store())} == {(KEY, "s1"), (KEY, "s2")}


# All agents of a state folder.


@pytest.mark.parametrize("agent", ["with space", "dots.in.it", "line\nbreak", "émoji 🌒", "-option", "%41?#", "Main"])
@pytest.mark.parametrize("generation", list(BUILDERS))
def test_any_agent_name(tmp_path, generation, agent):
    BUILDERS[generation](tmp_path, agent).put(f"agent:{agent}:main", "s1", events.conversation("s1", 1))
    ((store, entry),) = stores_of(tmp_path).sessions()
    assert (store.agent, entry.agent) == (agent, agent)
    assert len(list(store.events(entry.transcript))) == 3


def test_an_agent_folder_that_is_no_text_is_named_and_passed_over(tmp_path):
    JsonlStoreBuilder(tmp_path).put(KEY, "s1", events.conversation("s1", 1))
    odd = tmp_path / "agents" / os.fsdecode(b"\xff\xfe") / "sessions"
    try:
        odd.mkdir(parents=True)
    except OSError:
        return  # a file system that takes only text has no such folder
    stores = stores_of(tmp_path)
    assert [entry.key for _, entry in stores.sessions()] == [KEY]
    assert len(stores.problems) == 1 and stores.problems[0].message.encode()


def test_no_state_folder_is_a_typed_error(tmp_path):
    with pytest.raises(StoreAbsent) as caught:
        stores_of(tmp_path / "nowhere")
    assert "OPENCLAW_STATE_DIR" in caught.value.hint


def test_a_file_in_the_place_of_the_state_folder(tmp_path):
    (tmp_path / "agents").write_text("not a folder")
    with pytest.raises(StoreAbsent):
        stores_of(tmp_path)


def test_agents_without_a_store_and_stray_files_are_passed_over(tmp_path):
    (tmp_path / "agents" / "empty").mkdir(parents=True)
    (tmp_path / "agents" / "stray.txt").write_text("x")
    (tmp_path / "agents" / "no-list" / "sessions").mkdir(parents=True)
    stores = stores_of(tmp_path)
    assert list(stores.sessions()) == [] and list(stores.holdings()) == [] and stores.problems == []


def test_a_migrated_agent_counts_once_in_the_newer_store(tmp_path):
    lines = events.conversation("s1", 1)
    JsonlStoreBuilder(tmp_path).put(KEY, "s1", lines, used=1)
    SqliteStoreBuilder(tmp_path).put(KEY, "s1", lines, used=2)
    stores = stores_of(tmp_path)
    assert [(store.generation, entry.used_tokens) for store, entry in stores.sessions()] == [("sqlite", 2)]
    found = stores.store_of(Transcript("main", KEY, "s1"))
    assert found is not None and found.generation == "sqlite"


def test_find_by_key_or_id_and_the_nearest_name(tmp_path):
    JsonlStoreBuilder(tmp_path).put(KEY, "s1", events.conversation("s1", 1))
    stores = stores_of(tmp_path)
    assert stores.find(KEY)[1].session_id == stores.find("s1")[1].session_id == "s1"
    with pytest.raises(SessionUnknown) as caught:
        stores.find("agent:main:mian")
    assert KEY in caught.value.hint


# What OpenClaw really wrote.


def expected(generation: str) -> dict[str, dict[str, dict[str, object]]]:
    loaded: dict[str, dict[str, dict[str, object]]] = json.loads((RECORDED / generation / "expected.json").read_text())
    return loaded


@pytest.mark.parametrize("generation", list(BUILDERS))
def test_recorded_stores_hold_what_was_counted_independently(tmp_path, generation):
    shutil.copytree(RECORDED / generation, tmp_path / "state")
    stores = stores_of(tmp_path / "state")
    found: dict[str, dict[str, dict[str, object]]] = {}
    for store, (transcript, *_) in stores.holdings():
        total, count = hashlib.sha256(), 0
        for event in store.events(transcript):
            assert event.problem == ""
            total.update(event.data + b"\n")
            count += 1
        found.setdefault(transcript.agent, {})[transcript.session_id] = {"events": count, "sha256": total.hexdigest()}
    assert found == expected(generation)
    assert stores.problems == []


@pytest.mark.parametrize("generation", list(BUILDERS))
def test_recorded_sessions_have_usage(tmp_path, generation):
    shutil.copytree(RECORDED / generation, tmp_path / "state")
    sessions = list(stores_of(tmp_path / "state").sessions())
    assert {entry.agent for _, entry in sessions} == {"main", "ops", "research"}
    assert all(entry.window_tokens and entry.updated_at and not entry.running for _, entry in sessions)
    assert sum(entry.fresh and bool(entry.used_tokens) for _, entry in sessions) >= 4
