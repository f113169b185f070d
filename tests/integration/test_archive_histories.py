"""Whatever happens to a transcript, the archive holds every event that was ever seen, once, byte for byte."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.crash import killed_at
from tests.support.moon import archived_events, files_below
from tests.support.properties import examples
from tests.support.settings import settings as configured
from tests.support.stores import BUILDERS, JsonlStoreBuilder, SqliteStoreBuilder

from moon.files import write_atomic
from moon.guard.coverage import Coverage, measure_coverage
from moon.openclaw.events import event_id
from moon.openclaw.transcript_store import Transcript
from moon.vault.catalog import Catalog, discard, open_catalog
from moon.vault.ledger import GENESIS, Ledger, line_hash
from moon.vault.packing import pack_past_days

KEY = "agent:main:main"
TEXTS = (
    "plain words",
    "ünïcödé → 漢字 🌒 \u2028 line",
    'quotes " and \\ and \t',
    "long " * 6_000,
    "\u0000nul\u0007bell",
)
MALFORMED = (
    b"not json at all",
    b"{ half",
    b"[1,2]",
    b'{"id":7,"type":"x"}',
    b"",
    b'{"type":"message"}',
    b"\xff\xfe broken",
)


@dataclass
class History:
    """A transcript as OpenClaw would keep it, and what was ever in it when the archive looked."""

    session_id: str = "s1"
    lines: list[bytes] = field(default_factory=list)
    torn: bytes = b""
    number: int = 0
    pristine: bool = True
    stored: list[bytes] = field(default_factory=list)
    seen: dict[str, Counter[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lines = [events.header(self.session_id)]

    @property
    def all_lines(self) -> list[bytes]:
        return self.lines + ([self.torn] if self.torn else [])

    def next_id(self) -> str:
        self.number += 1
        return f"{self.session_id}-{self.number}"

    def finish_torn(self) -> None:
        """Nothing can come behind a line before it is whole."""
        if self.torn:
            self.lines.append(self.whole)
            self.torn = b""

    def look(self) -> None:
        """The archive sees the transcript as it is now."""
        now = Counter(self.all_lines)
        known = self.seen.setdefault(self.session_id, Counter())
        for data, count in now.items():
            # An event with an id is stored once; a line without one as often as it stood in one transcript.
            known[data] = max(known[data], 1 if event_id(data) else count)

    # What can happen.

    def append(self, choice: int) -> None:
        self.finish_torn()
        text = TEXTS[choice % len(TEXTS)]
        kind = choice % 3
        made = self.next_id()
        if kind == 0:
            self.lines.append(events.message(made, f"{text} {choice}"))
        elif kind == 1:
            self.lines.append(events.tool_call(made, "exec", {"command": text}))
        else:
            self.lines.append(events.tool_result(made, "exec", text))

    def resend(self, choice: int) -> None:
        self.finish_torn()
        self.lines.append(self.lines[choice % len(self.lines)])
        self.pristine = False

    def change(self, choice: int) -> None:
        """Other bytes come under an id that is known."""
        named = [place for place, data in enumerate(self.lines) if event_id(data)]
        place = named[choice % len(named)]
        self.lines[place] = events.line({**json.loads(self.lines[place]), "revised": self.number})
        self.number += 1
        self.pristine = False

    def truncate(self, choice: int) -> None:
        """`sessions compact --max-lines`: the header and the last rows stay, the first kept one changed."""
        self.finish_torn()
        kept = self.lines[1:][-(choice % 4 + 1) :]
        if kept and event_id(kept[0]):
            kept[0] = events.line({**json.loads(kept[0]), "parentId": None, "cut": True})
        self.lines = [self.lines[0], *kept]
        self.pristine = False

    def reset(self, _choice: int) -> None:
        self.finish_torn()
        self.lines.append(events.reset(self.next_id()))

    def new_session(self, _choice: int) -> None:
        self.torn = b""
        self.number += 1
        self.session_id = f"s{self.number + 1}"
        self.lines = [events.header(self.session_id)]
        self.stored = []
        self.pristine = True

    def malformed(self, choice: int) -> None:
        self.finish_torn()
        self.lines.append(MALFORMED[choice % len(MALFORMED)])

    def tear(self, choice: int) -> None:
        """A line is being written: its beginning is there, far enough that it is like no other."""
        if not self.torn:
            self.whole = events.message(self.next_id(), TEXTS[choice % len(TEXTS)])
        start = max(len(self.torn) + 1, 40)
        if start < len(self.whole):
            self.torn = self.whole[: start + choice % (len(self.whole) - start)]


STEPS = ("append", "append", "append", "resend", "change", "truncate", "reset", "new_session", "malformed", "tear")
COMMON = settings(examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """What a power cut would leave is not looked at here, and disks are slow."""
    connect = sqlite3.connect

    def unsynchronised(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    monkeypatch.setattr("sqlite3.connect", unsynchronised)
    monkeypatch.setattr(Catalog, "__init__", unsynchronised_catalog(Catalog.__init__))


def unsynchronised_catalog(begin):
    """The catalog chooses for itself when it waits for the disk; afterwards it does not any more."""

    def begin_faster(self, home, connection):
        begin(self, home, connection)
        connection.execute("PRAGMA synchronous = OFF")

    return begin_faster


# What the archive does after a step: nothing, look, look and join its files, or be killed while it joins them.
AFTERWARDS = ("", "look", "pack", "killed")


def histories(names: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, int, str]]]:
    """(what happens, a choice in it, what the archive does afterwards)"""
    step = st.tuples(st.sampled_from(names), st.integers(0, 40), st.sampled_from(AFTERWARDS))
    return st.lists(step, min_size=1, max_size=14)


def store_history(builder: JsonlStoreBuilder | SqliteStoreBuilder, history: History) -> None:
    if isinstance(builder, JsonlStoreBuilder):
        builder.write(history.session_id, history.lines, torn=history.torn)
    elif history.stored and history.stored == history.lines[: len(history.stored)]:
        # What was only added to is in the same generation as before, so that the archive may read on.
        if history.lines != history.stored:
            builder.append(history.session_id, *history.lines[len(history.stored) :])
    else:
        builder.write(history.session_id, history.lines)
    history.stored = list(history.lines)


def look_and_check(archiver: Archiver, builder, history: History) -> None:
    """Archive, and hold the archive against all that was ever seen; a second run must find nothing."""
    store_history(builder, history)
    history.look()
    archiver.archive(history.session_id)
    for session_id, expected in history.seen.items():
        assert archiver.held(session_id) == expected
    before = files_below(archiver.home.archives)
    again = archiver.archive(history.session_id)
    assert (again.archives, again.new, again.seen) == ([], 0, 0)
    compared = archiver.archive(history.session_id, whole=True)
    assert (compared.archives, compared.new, compared.seen) == ([], 0, len(history.all_lines))
    assert files_below(archiver.home.archives) == before


def pack(archiver: Archiver) -> None:
    """Join everything: by the clock all of it is from days long past."""
    with pytest.MonkeyPatch.context() as patch, open_catalog(archiver.home) as catalog:
        patch.setenv("MOON_NOW", "2099-01-01T00:00:00.000Z")
        assert pack_past_days(catalog, "UTC", bounded=False).problems == []


def pack_and_check(archiver: Archiver, history: History, killed_first_at: int | None) -> None:
    """Join the files, after a run that dies on the way where that is wanted; the archive holds what it held."""
    held = {session_id: archiver.held(session_id) for session_id in history.seen}
    restored = {session_id: archiver.restored(session_id) for session_id in history.seen}
    if killed_first_at is not None:
        killed_at(killed_first_at, lambda: pack(archiver))
        assert {session_id: archiver.restored(session_id) for session_id in history.seen} == restored
    pack(archiver)
    assert {session_id: archiver.held(session_id) for session_id in history.seen} == held
    assert {session_id: archiver.restored(session_id) for session_id in history.seen} == restored
    assert archiver.damage() == []
    assert len(list(archiver.home.raw.rglob("*.jsonl*"))) == len(history.seen), "a file a session is left"


def check_at_rest(archiver: Archiver, history: History) -> None:
    """Verify, restore, and make the catalog anew."""
    assert archiver.damage() == []
    assert archiver.leftovers() == []
    check_chain(archiver)
    restored = archiver.restored(history.session_id)
    if history.pristine:
        assert restored == b"".join(each + b"\n" for each in history.lines) + history.torn
    named = Counter(each for each in restored.splitlines() if event_id(each))
    assert set(named.values()) <= {1} and set(named) <= set(history.seen[history.session_id])
    known = {event_id(data) for data in history.seen[history.session_id]} - {""}
    assert {event_id(data) for data in named} == known, "every event is there in one of its contents, none twice"
    before = files_below(archiver.home.archives)
    discard(archiver.home)
    assert archiver.archive(history.session_id).archives == []
    assert files_below(archiver.home.archives) == before
    assert archiver.restored(history.session_id) == restored


def check_chain(archiver: Archiver) -> None:
    previous = GENESIS
    for raw in archiver.home.ledger.read_bytes().splitlines():
        assert json.loads(raw)["prev"] == previous
        previous = line_hash(raw)


@pytest.mark.parametrize("generation", list(BUILDERS))
@pytest.mark.parametrize("compress_from", [0, 1 << 40])
@COMMON
@given(data=st.data())
def test_any_history_is_archived_exactly_once(tmp_path_factory, generation, compress_from, data):
    folder = tmp_path_factory.mktemp("history")
    names = STEPS if generation == "jsonl" else STEPS[:-1]
    archiver, history = Archiver(folder, compress_from), History()
    builder = BUILDERS[generation](archiver.state_dir)
    for name, choice, looks in data.draw(histories(names)):
        if name == "new_session":
            look_and_check(archiver, builder, history)
        getattr(history, name)(choice)
        if looks:
            look_and_check(archiver, builder, history)
        if looks in ("pack", "killed"):
            pack_and_check(archiver, history, choice if looks == "killed" else None)
    look_and_check(archiver, builder, history)
    check_at_rest(archiver, history)
    shutil.rmtree(folder)


@COMMON
@given(before=histories(STEPS[:-1]), after=histories(STEPS[:-1]), leave=st.booleans())
def test_migration_to_sqlite_adds_nothing(tmp_path_factory, before, after, leave):
    folder = tmp_path_factory.mktemp("migration")
    archiver, history = Archiver(folder), History()
    old = JsonlStoreBuilder(archiver.state_dir)
    for name, choice, _ in before:
        if name == "new_session":
            continue
        getattr(history, name)(choice)
    look_and_check(archiver, old, history)
    new = SqliteStoreBuilder(archiver.state_dir)
    history.stored = []
    store_history(new, history)
    if not leave:
        (old.folder / f"{history.session_id}.jsonl").unlink()
    assert archiver.archive(history.session_id).archives == [], "the same events from another place"
    for name, choice, looks in after:
        if name == "new_session":
            look_and_check(archiver, new, history)
        getattr(history, name)(choice)
        if looks:
            look_and_check(archiver, new, history)
    look_and_check(archiver, new, history)
    check_at_rest(archiver, history)
    shutil.rmtree(folder)


def test_one_revision_more_for_each_change(tmp_path):
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    for text in ("first", "second", "third"):
        store.write("s1", [events.header("s1"), events.message("e1", text), events.message("e2", "stays")])
        archived = archiver.archive("s1")
    assert (archived.new, archived.revisions) == (1, 1)
    assert [json.loads(each)["message"]["content"][0]["text"] for each in archiver.restored("s1").splitlines()[1:]] == [
        "third",
        "stays",
    ]
    texts = [each for each in archived_events(archiver.home, "s1") if event_id(each) == "e1"]
    assert len(texts) == 3, "every revision is kept"


def test_two_events_of_one_transcript_under_one_id_are_both_restored(tmp_path):
    """Ids are OpenClaw's business: the header carries the session's id, and any two events might share one."""
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    lines = [
        events.header("s1"),
        events.message("e1", "one"),
        events.message("twin", "the first of the two"),
        events.message("twin", "the second of the two"),
        events.message("e2", "end"),
    ]
    store.write("s1", lines)
    assert archiver.archive("s1").revisions == 0, "they stood there at the same time"
    assert archiver.held("s1") == Counter(lines)
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in lines)
    store.write("s1", [*lines, events.message("twin", "a third, later")])
    assert archiver.archive("s1").revisions == 1


def test_an_id_that_is_no_valid_text_is_archived_like_any_other(tmp_path):
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    lone = b'{"type":"message","id":"half \\ud83d of a pair","message":{"role":"user","content":"x"}}'
    nul = b'{"type":"message","id":"nul \\u0000 inside","message":{"role":"user","content":"x"}}'
    lines = [
        events.header("s1"),
        lone,
        nul,
        events.message("#1", "an id like Moon's own marks"),
        events.message("e", "y"),
    ]
    store.write("s1", lines)
    assert archiver.archive("s1").new == 5
    assert archiver.held("s1") == Counter(lines)
    assert archiver.archive("s1").new == 0
    discard(archiver.home)
    assert archiver.archive("s1").new == 0
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in lines)


def test_malformed_lines_are_counted_and_named(tmp_path):
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    store.write("s1", [events.header("s1"), b"oops", b"oops", events.message("e1", "fine")], torn=b'{"type":"mess')
    made = archiver.archive("s1")
    assert (made.seen, made.new, made.malformed, made.torn) == (5, 5, 3, True)
    assert made.notes == [
        "line 2 is not a JSON object; kept as it is",
        "line 3 is not a JSON object; kept as it is",
        "line 5 is cut short; kept as it is",
    ]
    store.write("s1", [events.header("s1"), b"oops", b"oops", events.message("e1", "fine"), b"oops"])
    assert archiver.archive("s1").new == 1, "a third malformed line of the same bytes is a third line"


def change(store: SqliteStoreBuilder, statement: str, *values: object) -> None:
    """Write into a store as nothing but damage would."""
    with closing(store.connect()) as connection, connection:
        connection.execute(statement, values)
        # Every writer moves the fence on.
        connection.execute("UPDATE transcript_rewrite_watermarks SET generation = lower(hex(randomblob(16)))")


def coverage(archiver: Archiver, session_id: str = "s1") -> Coverage:
    """What the guard finds before something destructive; the index is not looked at here."""
    (store,) = archiver.stores().stores
    with open_catalog(archiver.home) as catalog:
        transcript = Transcript("main", "agent:main:main", session_id)
        return measure_coverage(archiver.home, configured(), catalog, store, transcript)


def test_what_cannot_be_unpacked_is_set_aside_once_and_counts_as_kept(tmp_path):
    archiver = Archiver(tmp_path)
    store = SqliteStoreBuilder(archiver.state_dir)
    lines = [events.header("s1"), events.message("e1", "long " * 2_000), events.message("e2", "after it")]
    store.write("s1", lines)
    change(store, "UPDATE transcript_events SET event_utf8_bytes = event_utf8_bytes + 1 WHERE seq = 1")
    made = archiver.archive("s1")
    assert (made.set_aside, made.new) == (1, 2) and made.as_entry()["outcome"] == "done"
    (kept,) = archiver.home.quarantine.glob("*.bin")
    assert kept.stat().st_size > 0
    (line,) = [line for line in Ledger(archiver.home.ledger).lines() if line["kind"] == "aside"]
    assert (line["sha256"], line["bytes"], line["event_id"]) == (kept.stem, kept.stat().st_size, "")
    assert "undecodable" in line["reason"] and archiver.damage() == []
    before = files_below(archiver.home.archives)
    for _ in range(2):
        assert archiver.archive("s1", whole=True).set_aside == 0
        assert files_below(archiver.home.archives) == before
        assert (coverage(archiver).missing, coverage(archiver).damaged) == (0, ())
        discard(archiver.home)
    kept.write_bytes(b"damaged")
    assert coverage(archiver).damaged == (line["sha256"],)
    (complaint,) = archiver.damage()
    assert line["sha256"][:12] in complaint
    kept.unlink()
    assert archiver.archive("s1", whole=True).set_aside == 0
    assert archiver.damage() == [] and coverage(archiver).damaged == (), "the store still had it"
    change(store, "UPDATE transcript_events SET event_utf8_bytes = event_utf8_bytes - 1 WHERE seq = 1")
    archiver.archive("s1")
    assert archiver.held("s1") == Counter(lines)


def test_an_event_with_a_line_break_is_kept_as_it_is_and_counts_as_kept(tmp_path):
    archiver = Archiver(tmp_path)
    store = SqliteStoreBuilder(archiver.state_dir)
    broken = json.dumps({"type": "message", "id": "e1", "message": {"role": "user", "content": "x"}}, indent=1).encode()
    store.write("s1", [events.header("s1"), broken, b"no json\nat all", events.message("e2", "after it")])
    made = archiver.archive("s1")
    assert (made.set_aside, made.new) == (2, 2)
    assert {path.read_bytes() for path in archiver.home.quarantine.glob("*.bin")} == {broken, b"no json\nat all"}
    assert coverage(archiver).missing == 0
    # A second event of the same bytes is a second event where it has no id, as for any other line.
    store.append("s1", b"no json\nat all")
    assert archiver.archive("s1").set_aside == 1
    assert coverage(archiver).missing == 0
    store.append("s1", broken.replace(b"x", b"y"))
    assert coverage(archiver).missing == 1, "and what is not kept is missing"


def test_what_was_set_aside_by_the_version_before_is_entered_now(tmp_path):
    """It wrote the bytes and no line of the ledger."""
    archiver = Archiver(tmp_path)
    store = SqliteStoreBuilder(archiver.state_dir)
    store.write("s1", [events.header("s1"), b"{}\n"])
    write_atomic(archiver.home.quarantine / f"{hashlib.sha256(b'{}' + bytes([10])).hexdigest()}.bin", b"{}\n")
    assert archiver.archive("s1").set_aside == 1
    assert coverage(archiver).missing == 0


def test_same_session_id_in_two_agents_are_two_sessions(tmp_path):
    archiver = Archiver(tmp_path)
    for agent in ("main", "ops"):
        store = JsonlStoreBuilder(archiver.state_dir, agent)
        store.write("s1", [events.header("s1"), events.message("e1", f"said to {agent}")])
        archiver.archive("s1", key=f"agent:{agent}:main", agent=agent)
    assert b"said to main" in archiver.restored("s1", "main")
    assert b"said to ops" in archiver.restored("s1", "ops")
    assert b"said to ops" not in archiver.restored("s1", "main")


def test_a_long_transcript_becomes_several_segments(tmp_path, monkeypatch):
    monkeypatch.setattr("moon.archive.transcript_archiver.SEGMENT_BYTES", 4_000)
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    lines = events.conversation("s1", 40)
    store.write("s1", lines, torn=b'{"type":')
    assert len(archiver.archive("s1").archives) > 2
    assert archiver.held("s1") == Counter([*lines, b'{"type":'])
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in lines) + b'{"type":'
    assert archiver.damage() == []


def test_folders_and_files_are_private(tmp_path):
    archiver = Archiver(tmp_path)
    JsonlStoreBuilder(archiver.state_dir).write("s1", events.conversation("s1", 2))
    archiver.archive("s1")
    for path in [archiver.home.root, *archiver.home.root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
