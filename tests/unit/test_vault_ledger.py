"""The ledger: its chain shows every change, and damage is said in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.stores import JsonlStoreBuilder

from moon.errors import ArchiveDamaged, DocumentInvalid
from moon.vault.catalog import open_catalog
from moon.vault.ledger import GENESIS, Ledger, line_hash
from moon.vault.restore import restore


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
    (archiver.home.catalog).unlink()
    with pytest.raises(ArchiveDamaged) as caught, open_catalog(archiver.home):
        pass
    assert "line 2" in caught.value.message
    assert "backup" in caught.value.hint


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
