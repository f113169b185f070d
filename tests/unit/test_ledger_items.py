"""Which files a copy has to hold, told from ledger lines alone."""

from __future__ import annotations

from typing import Any

from moon.copies.layout import Item, Stored, first_name, names_for, object_name
from moon.copies.ledger_items import items_of, needed

A, B, LEFT = (f"archives/raw/main/{name}.jsonl" for name in ("a", "b", "left"))


def archive(path: str, sha: str) -> Any:
    measures = {"events": 1, "bytes": 1, "first_event_id": "", "last_event_id": "", "ordinal": 1}
    owner = {"agent": "main", "session_key": "k", "session_id": "s", "archived_at": "2026-11-01T00:00:00.000Z"}
    return {"kind": "archive", "archive_path": path, "sha256": sha, **measures, **owner}


def tombstone(path: str, sha: str, scope: str, when: str, **more: Any) -> Any:
    gone = [{"archive_path": path, "sha256": sha}] if path else []
    owner = {"agent": "main", "session_key": "k", "session_id": "s", "forgotten_at": when, "scope": scope}
    named = {"archive_path": path, "sha256": sha} if path else {}
    return {"kind": "forgotten", **owner, "gone": gone, **named, **more}


def test_what_retention_takes_from_the_disk_stays_in_the_copies_and_what_is_forgotten_does_not():
    lines = [archive(A, "1" * 64), archive(B, "2" * 64)]
    kept = needed([*lines, tombstone(A, "1" * 64, "archives", "2026-11-20T00:00:00.000Z")])
    assert kept.here == {Item(B, "2" * 64)} and kept.past == {Item(A, "1" * 64)}
    forgotten = needed([*lines, tombstone(A, "1" * 64, "all", "2026-11-20T00:00:00.000Z")])
    assert forgotten.everything() == {Item(B, "2" * 64)}


def test_what_is_forgotten_after_retention_took_it_goes_from_the_copies_too():
    lines = [archive(A, "1" * 64), tombstone(A, "1" * 64, "archives", "2026-11-20T00:00:00.000Z")]
    later = tombstone("", "", "all", "2026-11-22T00:00:00.000Z", until="2026-11-22T00:00:00.000Z")
    assert needed([*lines, later]).everything() == set()
    earlier = tombstone("", "", "all", "2026-11-22T00:00:00.000Z", until="2026-11-10T00:00:00.000Z")
    assert needed([*lines, earlier]).past == {Item(A, "1" * 64)}


def test_what_is_left_of_a_file_is_a_file():
    record = tombstone(A, "1" * 64, "all", "2026-11-20T00:00:00.000Z")
    record["left"] = {**archive(LEFT, "3" * 64), "segments": [archive(LEFT, "3" * 64)]}
    assert list(items_of(record)) == [Item(LEFT, "3" * 64)]


def test_what_was_set_aside_stands_until_all_who_own_it_forget_it():
    aside = {"kind": "aside", "agent": "main", "session_id": "s", "sha256": "5" * 64}
    item = Item(f"archives/quarantine/{'5' * 64}.bin", "5" * 64)
    gone = tombstone("", "", "all", "2026-11-20T00:00:00.000Z", digests=["5" * 64])
    assert needed([aside]).here == {item}
    assert needed([aside, gone]).everything() == set()
    assert needed([aside, {**aside, "session_id": "other"}, gone]).here == {item}


def test_names_of_sealed_objects_say_nothing_and_differ_by_host_path_and_content():
    item = Item(A, "1" * 64)
    names = {
        object_name(host, each, True) for host in ("h", "i") for each in (item, Item(B, "1" * 64), Item(A, "2" * 64))
    }
    assert len(names) == 6 and not any("main" in name or "1" * 8 in name for name in names)
    for sealed in (True, False):
        assert {first_name(name) for name in names_for("h", item, sealed)} == {object_name("h", item, sealed)}
    note = Item("memory/2026-11-22.md", "a" * 64)
    assert first_name(object_name("h", note, False)) == object_name("h", note, False)
    assert Stored("x", 1, "0").name == "x"
