"""What `moon-archive` does beside archiving, as a person calls it."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.moon import Moon
from tests.support.stores import JsonlStoreBuilder

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
