"""Segment files: nothing is written over, and a file that lost its ledger line is taken in as it was."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.stores import JsonlStoreBuilder

from moon.errors import ArchiveDamaged
from moon.vault.catalog import open_catalog
from moon.vault.ledger import Ledger
from moon.vault.segment_entry import Owner, adopt_unnamed
from moon.vault.segments import SegmentWriter, digest_parts, segment_path


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_is_never_written_over(tmp_path, compressed):
    path = segment_path(tmp_path, "main", "agent:main:main", "s1", 1, compressed)
    first = SegmentWriter(path)
    first.add(b'{"id":"only here"}')
    first.finish()
    before = path.read_bytes()
    second = SegmentWriter(path)
    second.add(b'{"id":"another"}')
    with pytest.raises(ArchiveDamaged, match="stands already"):
        second.finish()
    second.abandon()
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("compressed", [False, True])
def test_each_stretch_of_a_file_has_its_own_measure(tmp_path, compressed):
    path = segment_path(tmp_path, "main", "k", "s1", 1, compressed)
    writer = SegmentWriter(path)
    for text in (b"one", b"two", b"three"):
        writer.add(text)
    written = writer.finish()
    whole, parts = digest_parts(path, [4, 4])
    assert whole == (written.sha256, 3, 14)
    assert [part[1:] for part in parts] == [(1, 4), (1, 4)]
    _, short = digest_parts(path, [14, 5])
    assert short[1][1:] == (0, 0)


def lose_ledger(tmp_path, lines, torn=b"") -> Archiver:
    """An archive whose ledger is gone."""
    archiver = Archiver(tmp_path)
    JsonlStoreBuilder(archiver.state_dir).write("s1", lines, torn=torn)
    archiver.archive("s1")
    archiver.home.ledger.unlink()
    archiver.home.catalog.unlink()
    return archiver


def taken_in(archiver) -> dict[str, object]:
    """The new ledger line of the file."""
    with open_catalog(archiver.home) as catalog:
        number = catalog.session("main", "agent:main:main", "s1")
        assert len(adopt_unnamed(catalog, Owner(number, "main", "agent:main:main", "s1"))) == 1
        (record,) = catalog.ledger.lines()
    return record


WHOLE = [events.header("s1"), events.message("e1", "fine")]


@pytest.mark.parametrize("last", [b"oops", b"[1,2]", b"{ half", b'"text"', b'{"a":1} and more'])
def test_a_malformed_line_at_the_end_is_not_taken_for_a_torn_one(tmp_path, last):
    archiver = lose_ledger(tmp_path, [*WHOLE, last])
    record = taken_in(archiver)
    assert (record["malformed"], record["torn"]) == (1, False)
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in [*WHOLE, last])


@pytest.mark.parametrize(
    "torn", [b'{"type":"mess', b'{"type":"m","a":{"b":1}', b'{"a":tr', b'{"a":', b'{"a":"\\u00', b"{"]
)
def test_a_torn_line_at_the_end_is_known_again(tmp_path, torn):
    archiver = lose_ledger(tmp_path, WHOLE, torn)
    assert taken_in(archiver)["torn"] is True
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in WHOLE) + torn


def test_a_malformed_line_in_the_middle_makes_nothing_torn(tmp_path):
    archiver = lose_ledger(tmp_path, [events.header("s1"), b'{"type":"mess', events.message("e1", "fine")])
    record = taken_in(archiver)
    assert (record["malformed"], record["torn"]) == (1, False)


def test_two_events_under_one_id_in_one_file_are_no_revision(tmp_path):
    twins = [events.message("twin", "one"), events.message("twin", "two")]
    archiver = lose_ledger(tmp_path, [events.header("s1"), *twins])
    assert taken_in(archiver)["revisions"] == 0
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in [events.header("s1"), *twins])


def test_what_an_earlier_file_holds_in_other_bytes_is_a_revision(tmp_path):
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    for text in ("first", "second"):
        store.write("s1", [events.header("s1"), events.message("e1", text)])
        archiver.archive("s1")
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(lines[0])
    with open_catalog(archiver.home) as catalog:
        number = catalog.find_session("main", "s1") or 0
        adopt_unnamed(catalog, Owner(number, "main", "agent:main:main", "s1"))
        assert [record["revisions"] for record in catalog.ledger.lines()] == [0, 1]


def test_the_folder_is_looked_into_once_for_all_sessions(tmp_path, monkeypatch):
    archiver = Archiver(tmp_path)
    JsonlStoreBuilder(archiver.state_dir).write("s1", WHOLE)
    archiver.archive("s1")
    looks = []
    with open_catalog(archiver.home) as catalog:
        monkeypatch.setattr(
            catalog, "_strangers", lambda agent, real=catalog._strangers: looks.append(agent) or real(agent)
        )
        for each in range(50):
            assert adopt_unnamed(catalog, Owner(each, "main", "", f"s{each}")) == []
    assert looks == ["main"]


def test_a_large_archive_is_compressed_and_a_small_one_is_not(tmp_path):
    archiver = Archiver(tmp_path, compress_from=2_000)
    store = JsonlStoreBuilder(archiver.state_dir)
    for session, turns in (("small", 1), ("large", 20)):
        store.write(session, events.conversation(session, turns))
        archiver.archive(session)
    records = Ledger(archiver.home.ledger).archives()
    found = {record["session_id"]: archiver.home.root / record["archive_path"] for record in records}
    assert {session: path.suffix for session, path in found.items()} == {"small": ".jsonl", "large": ".zst"}
    assert found["large"].read_bytes().startswith(bytes.fromhex("28b52ffd"))
    assert found["small"].read_bytes() == b"".join(each + b"\n" for each in events.conversation("small", 1))
