"""The ledger: its chain shows every change, and damage is said in words."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.stores import JsonlStoreBuilder

from moon.errors import DocumentInvalid, HomeUnusable
from moon.vault import segments
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.catalog_database import SCHEMA, VERSION
from moon.vault.following import rebuild
from moon.vault.ledger import GENESIS, Ledger, line_hash
from moon.vault.lost_asides import LostAside
from moon.vault.lost_links import lost_links
from moon.vault.packing import plan_past_days
from moon.vault.restore import restore
from moon.vault.verify import verify


@pytest.fixture
def archiver(tmp_path):
    """Three archives of one session."""
    made = Archiver(tmp_path)
    store = JsonlStoreBuilder(made.state_dir)
    for turns in (1, 2, 3):
        store.write("s1", events.conversation("s1", turns))
        made.archive("s1")
    return made


def rewrite(archiver, change) -> None:
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join(change(lines)))


def test_an_intact_ledger_has_no_complaint(archiver):
    assert archiver.damage() == []
    records = list(Ledger(archiver.home.ledger).archives())
    assert [record["ordinal"] for record in records] == [1, 2, 3]
    assert records[0]["prev"] == GENESIS


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0].replace(b'"events": 3', b'"events": 4'), *lines[1:]],
        lambda lines: lines[1:],
    ],
    ids=["lost", "swapped", "doubled", "changed", "beheaded"],
)
def test_a_lost_changed_or_inserted_line_shows(archiver, change):
    rewrite(archiver, change)
    assert any("prev is not the hash" in problem for problem in archiver.damage())


@pytest.mark.parametrize("broken", [b"garbage\n", b'"text"\n', b'{"kind":"archive"}\n', b"\xff\xfe\n", b"\n"])
def test_a_line_that_is_no_record_is_named_and_not_taken_for_one(archiver, broken):
    rewrite(archiver, lambda lines: [lines[0], broken, *lines[1:]])
    assert any("line 2 of the ledger" in problem for problem in archiver.damage())
    before = archiver.held("s1")
    archiver.home.catalog.unlink()
    assert archiver.archive("s1").archives == [], "everything else goes on as before"
    assert archiver.held("s1") == before


def test_damage_to_one_line_does_not_hide_damage_to_an_archive(archiver):
    rewrite(archiver, lambda lines: [lines[0], b"garbage\n", *lines[1:]])
    victim = archiver.home.root / next(Ledger(archiver.home.ledger).lines())["archive_path"]
    victim.write_bytes(b"other bytes\n")
    problems = archiver.damage()
    assert any("line 2 of the ledger" in problem for problem in problems)
    assert any(victim.name in problem for problem in problems)


def test_a_torn_last_line_is_set_aside_and_its_archive_is_taken_in_again(archiver):
    data = archiver.home.ledger.read_bytes()
    archiver.home.ledger.write_bytes(data[:-30])
    again = archiver.archive("s1")
    assert (again.new, len(again.archives)) == (0, 1)
    assert archiver.damage() == []
    aside = list(archiver.home.archives.glob("ledger.torn-*"))
    assert len(aside) == 1 and aside[0].read_bytes().strip() in data


def test_a_record_that_does_not_fit_its_schema_is_never_written(archiver):
    before = archiver.home.ledger.read_bytes()
    with pytest.raises(DocumentInvalid):
        Ledger(archiver.home.ledger).append({"schema": "moon.archive/1", "kind": "archive", "agent": "main"})
    assert archiver.home.ledger.read_bytes() == before


@given(st.lists(st.text(alphabet='ab🌒\\"\n\t ', max_size=40).map(lambda text: text * 300), min_size=1, max_size=6))
def test_the_tip_is_the_hash_of_the_last_line_however_long_lines_are(tmp_path_factory, keys):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.jsonl")
    for number, key in enumerate(keys):
        record = {
            "schema": "moon.archive/1",
            "kind": "link",
            "agent": "main",
            "session_key": key,
            "from_session_id": "s1",
            "to_session_id": "s2",
            "boundary_event_id": str(number),
            "continuity_path": "continuity/x.json",
            "linked_at": events.WHEN,
        }
        ledger.append(record)
        assert ledger.tip() == line_hash(ledger.path.read_bytes().splitlines()[-1])
    assert ledger.verify() == []
    assert [line["session_key"] for line in ledger.links()] == keys
    assert [json.loads(raw)["boundary_event_id"] for _, raw in ledger.raw_lines()] == [str(n) for n in range(len(keys))]


@pytest.mark.parametrize("kept", [0, 1, 2], ids=["lost", "two lines short", "one line short"])
def test_a_ledger_cut_at_a_line_shows_and_no_archive_is_written_over(archiver, kept):
    before = archiver.held("s1")
    rewrite(archiver, lambda lines: lines[:kept])
    assert any("is not in the ledger" in problem for problem in archiver.damage())
    JsonlStoreBuilder(archiver.state_dir).write("s1", events.conversation("s1", 3)[-2:])
    archiver.archive("s1")
    assert archiver.damage() == []
    assert archiver.held("s1") == before, "the store has shrunk; what it lost is in the archive still"


def test_a_damaged_archive_is_named_when_a_session_is_restored(archiver):
    victim = archiver.home.root / next(Ledger(archiver.home.ledger).lines())["archive_path"]
    victim.write_bytes(victim.read_bytes().replace(b"a", b"b", 1))
    with open_catalog(archiver.home) as catalog:
        restored = restore(catalog, "main", "s1", lambda data: None)
    assert restored.events
    assert [problem.path for problem in restored.damaged] == [str(victim)]


def two_agents(tmp_path) -> Archiver:
    """Two agents of two sessions each, two archives a session, in turn."""
    archiver = Archiver(tmp_path)
    for turns in (2, 4):
        for agent in ("main", "ops"):
            store = JsonlStoreBuilder(archiver.state_dir, agent)
            for session in ("s1", "s2"):
                store.write(session, events.conversation(session, turns))
                archiver.archive(session, key=f"agent:{agent}:{session}", agent=agent)
    return archiver


@pytest.mark.parametrize("broken", [b"garbage", b"", b"\x00\xff", b'{"kind":"archive","agent":7}'])
@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("without_catalog", [False, True])
def test_one_damaged_line_stops_no_agent_and_doubles_nothing(tmp_path, place, broken, without_catalog):
    archiver = two_agents(tmp_path)
    rewrite(archiver, lambda lines: [*lines[:place], broken + b"\n", *lines[place + 1 :]])
    if without_catalog:
        archiver.home.catalog.unlink()
    for agent in ("main", "ops"):
        store = JsonlStoreBuilder(archiver.state_dir, agent)
        for session in ("s1", "s2"):
            lines = events.conversation(session, 5)
            store.write(session, lines)
            archiver.archive(session, key=f"agent:{agent}:{session}", agent=agent)
            assert archiver.restored(session, agent) == b"".join(each + b"\n" for each in lines)
    problems = archiver.damage()
    assert any(f"line {place + 1} of the ledger" in problem for problem in problems)
    if without_catalog:
        # The file of the damaged line was taken in again; only the chain tells of the damage.
        assert all("ledger" in problem for problem in problems)
        assert not any("is not in the ledger" in problem for problem in problems)
        held = [data for agent in ("main", "ops") for data in archiver.held_of(agent, "s1").elements()]
        assert len(held) == 2 * len(events.conversation("s1", 5)), "none is held twice"


def test_a_line_that_names_an_archive_a_second_time_does_not_count(archiver):
    """As a failed flush to the disk once left them."""
    expected = archiver.restored("s1")
    ledger = Ledger(archiver.home.ledger)
    second = list(ledger.lines())[1]
    ledger.append({name: value for name, value in second.items() if name != "prev"})
    for _ in range(2):
        assert archiver.restored("s1") == expected
        assert archiver.archive("s1").archives == []
        archiver.home.catalog.unlink()
    checked = verify(archiver.home)
    assert checked.errors == []
    assert "1 ledger lines name an archive a second time" in checked.describe()
    assert len(list(ledger.archives())) == 3


def test_the_position_is_the_end_of_the_own_line(archiver):
    """Another writer's line that the catalog has not read in is read in by the next one, not passed over."""
    with open_catalog(archiver.home) as catalog:
        Ledger(archiver.home.ledger).append(link("other"))
        added = catalog.ledger.append(link("own"))
        catalog.note_position(added)
        catalog.connection.commit()
    with open_catalog(archiver.home) as catalog:
        assert len(catalog.links("main", "other")) == 1
        assert catalog.position()[0] == catalog.ledger.size()


def link(key: str) -> dict[str, object]:
    return {
        "schema": "moon.archive/1",
        "kind": "link",
        "agent": "main",
        "session_key": key,
        "from_session_id": "s1",
        "to_session_id": "s2",
        "boundary_event_id": "e1",
        "continuity_path": "continuity/x.json",
        "linked_at": events.WHEN,
    }


def test_a_line_that_does_not_reach_the_disk_is_taken_back(archiver, monkeypatch):
    before = archiver.home.ledger.read_bytes()

    def fails(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("moon.files.sync", fails)
    with pytest.raises(HomeUnusable):
        Ledger(archiver.home.ledger).append(link("k"))
    assert archiver.home.ledger.read_bytes() == before


def test_hash_before_names_complete_lines_only(archiver):
    ledger = Ledger(archiver.home.ledger)
    ends = {end: line_hash(raw) for end, raw in ledger.raw_lines()}
    assert {end: ledger.hash_before(end) for end in range(1, ledger.size() + 9)} == {
        end: ends.get(end, "") for end in range(1, ledger.size() + 9)
    }


def test_restoring_reads_each_line_at_most_twice(tmp_path, monkeypatch):
    """Whatever was revised how often: a line is not looked for in its archive again and again."""
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    for text in ("first", "second"):
        store.write("s1", [events.header("s1"), *(events.message(f"e{each}", f"{text} {each}") for each in range(400))])
        archiver.archive("s1")
    read = 0
    real = segments.lines

    def counted(path):
        nonlocal read
        for line in real(path):
            read += 1
            yield line

    monkeypatch.setattr(segments, "lines", counted)
    restored = archiver.restored("s1")
    assert restored.count(b"second") == 400 and restored.count(b"first") == 0
    assert read <= 2 * 801


def test_many_changed_events_need_little_memory(tmp_path, monkeypatch):
    """Their latest bytes wait in a file, not in memory, beyond a certain size."""
    monkeypatch.setattr("moon.vault.restore.SPOOL_BYTES", 100)
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    for text in ("first", "second", "third"):
        lines = [events.header("s1"), *(events.message(f"e{each}", f"{text} {each} " * 30) for each in range(20))]
        store.write("s1", lines)
        archiver.archive("s1")
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in lines)


def test_links_are_an_agents_own_and_come_in_the_order_of_their_time(archiver):
    ledger = Ledger(archiver.home.ledger)
    for agent, when in (("main", "2026-11-20"), ("ops", "2026-11-21"), ("main", "2026-11-19")):
        ledger.append({**link("shared"), "agent": agent, "linked_at": f"{when}T00:00:00.000Z"})
    with open_catalog(archiver.home) as catalog:
        assert [when[:10] for when in catalog.links("main", "shared")] == ["2026-11-19", "2026-11-20"]
        assert [when[:10] for when in catalog.links("ops", "shared")] == ["2026-11-21"]


EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "archive" / "valid").glob("*.json"))
ODD = [None, 1, -1, 1 << 70, True, "", "x", "\ud800", "/etc/x.jsonl", "archives/raw/../../x.jsonl", [], [1], {}, [{}]]


def _spoiled(value):
    """The same document with one field, however deep, missing, renamed, or something else."""
    if isinstance(value, list):
        yield from ([*value[:at], other, *value[at + 1 :]] for at, each in enumerate(value) for other in _spoiled(each))
    if not isinstance(value, dict):
        return
    for name in value:
        rest = {key: each for key, each in value.items() if key != name}
        yield rest
        yield {**rest, f"{name}x": value[name]}
        yield from ({**value, name: other} for other in (*ODD, *_spoiled(value[name])) if other != value[name])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_no_line_whatever_it_holds_stops_a_reader(tmp_path, example):
    """One line of each kind with any field of it damaged: the catalog opens, and verify speaks of the line."""
    home = Archiver(tmp_path).home
    home.archives.mkdir(parents=True)
    lines = [json.dumps(each) for each in _spoiled(json.loads(example.read_bytes()))]
    home.ledger.write_text("".join(f"{each}\n" for each in lines))
    with open_catalog(home) as catalog:
        list(catalog.segments())
        lost_links(catalog, lambda agent: ())
    assert verify(home).errors and not list(tmp_path.glob("x*"))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(f"{SCHEMA}; INSERT INTO meta VALUES ({VERSION}, 0, '', '')")
        catalog = Catalog(home, connection)
        for line in lines:
            home.ledger.write_text(line + "\n")
            rebuild(catalog)
            plan_past_days(catalog, "UTC", "2099-01-01")
            list(catalog.ledger.archives())


@pytest.mark.parametrize("change", [(b'"archived_at"', b'"archivedXat"'), (b'"kind": "archive"', b'"kind": "brchive"')])
def test_a_line_against_its_schema_is_accounted_for_unless_a_later_moon_wrote_it(archiver, change):
    rewrite(archiver, lambda lines: [lines[0], lines[1].replace(*change), lines[2]])
    assert [each.mends() for each in Ledger(archiver.home.ledger).complaints()] == [True, True]
    whole = json.dumps({"schema": "moon.archive/1", "kind": "later", "prev": Ledger(archiver.home.ledger).tip()})
    with archiver.home.ledger.open("a") as stream:
        stream.write(whole + "\n")
    assert {each.mends() for each in Ledger(archiver.home.ledger).complaints() if each.number == 4} == {False}


@pytest.mark.parametrize(("key", "named"), [("agent:main:main", "agent:main:main"), ("", "s1")])
def test_what_was_set_aside_and_is_gone_is_named_by_its_session(tmp_path, key, named):
    record = {"session_key": key, "session_id": "s1"}
    complaint = LostAside(record, tmp_path / f"{'a' * 64}.bin", [], False).complaint()
    assert complaint.message == f"what was set aside of {named} is gone or changed: {'a' * 12}…"


def test_a_last_line_without_its_end_is_named_whatever_it_was(archiver):
    """A link stands for no file, so nothing else would show that it does not count any more."""
    link = {"schema": "moon.archive/1", "kind": "link", "agent": "main", "session_key": "agent:main:main"}
    ids = {"from_session_id": "s1", "to_session_id": "s1", "boundary_event_id": "", "linked_at": events.WHEN}
    Ledger(archiver.home.ledger).append({**link, **ids, "continuity_path": "continuity/r.json"})
    assert archiver.damage() == []
    archiver.home.ledger.write_bytes(archiver.home.ledger.read_bytes()[:-1])
    assert "the last line of the ledger is cut short" in verify(archiver.home).describe()
