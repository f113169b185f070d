"""What `moon-archive` does beside archiving, as a person calls it."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.moon import Moon, archived_events
from tests.support.stores import JsonlStoreBuilder

from moon.cli.archive_import import restore_for_openclaw
from moon.errors import UsageWrong

KEY = "agent:main:main"


@pytest.fixture
def filled(tmp_path):
    """A session of two archives."""
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    for turns in (2, 4):
        store.put(KEY, "s1", events.conversation("s1", turns))
        moon.ok("archive", "--session", KEY)
    return moon


def test_restore_writes_over_nothing_unless_told_to(filled, tmp_path):
    target = tmp_path / "mine.jsonl"
    target.write_text("my own words")
    refused = filled.run("archive", "--restore", KEY, "--to", str(target))
    assert refused.code == 2 and "is there already" in refused.stderr and "--force" in refused.stderr
    assert target.read_text() == "my own words"
    filled.ok("archive", "--restore", KEY, "--to", str(target), "--force")
    assert target.read_bytes() == b"".join(each + b"\n" for each in events.conversation("s1", 4))


def test_restore_makes_no_folders_of_a_mistyped_path(filled, tmp_path):
    refused = filled.run("archive", "--restore", KEY, "--to", str(tmp_path / "no" / "such" / "file.jsonl"))
    assert refused.code == 2 and f"no folder {tmp_path / 'no' / 'such'}" in refused.stderr
    assert not (tmp_path / "no").exists()
    assert filled.run("archive", "--restore", KEY, "--to", str(tmp_path), "--force").code == 2


def test_what_is_restored_for_openclaw_is_a_store_that_holds_the_same(filled, tmp_path):
    JsonlStoreBuilder(filled.state_dir, "ops").put("agent:ops:x", "s2", events.conversation("s2", 1))
    filled.ok("archive", "--all")
    other = Moon(tmp_path / "other")
    for name in (KEY, "agent:ops:x"):
        done = filled.ok("archive", "--restore", name, "--to-openclaw", str(other.state_dir))
        assert "openclaw doctor --session-sqlite import" in done.stderr
    refused = filled.run("archive", "--restore", KEY, "--to-openclaw", str(other.state_dir))
    assert refused.code == 2 and "already" in refused.stderr
    filled.ok("archive", "--restore", KEY, "--to-openclaw", str(other.state_dir), "--force")
    other.ok("archive", "--all")
    for session, turns in (("s1", 4), ("s2", 1)):
        assert list(archived_events(other.home, session)) == events.conversation(session, turns)
    assert {record["session_key"] for record in other.ledger()} == {KEY, "agent:ops:x"}


def test_each_window_of_a_key_is_restored_for_openclaw_and_none_leaves_the_folder(filled, tmp_path):
    store = JsonlStoreBuilder(filled.state_dir)
    store.put(KEY, "s9", events.conversation("s9", 1))
    filled.ok("archive", "--all")
    filled.ok("archive", "--restore", KEY, "--to-openclaw", str(tmp_path / "other"))
    listed = JsonlStoreBuilder(tmp_path / "other").entries()
    assert {key: entry["sessionId"] for key, entry in listed.items()} == {KEY: "s9", f"{KEY}:restored-s1": "s1"}
    with pytest.raises(UsageWrong):
        restore_for_openclaw(None, [("main", KEY, "../../s1")], tmp_path, force=False)
    with pytest.raises(UsageWrong):
        restore_for_openclaw(None, [("..", KEY, "s1")], tmp_path, force=False)
