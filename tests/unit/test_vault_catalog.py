"""The catalog follows the ledger and is never trusted over it."""

from __future__ import annotations

import shutil
import sqlite3

import pytest
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.moon import files_below
from tests.support.stores import JsonlStoreBuilder

from moon.errors import DatabaseFailed, SessionUnknown
from moon.vault.catalog import open_catalog
from moon.vault.restore import find_archived


@pytest.fixture
def archiver(tmp_path):
    made = Archiver(tmp_path)
    store = JsonlStoreBuilder(made.state_dir)
    for turns in (2, 4):
        store.write("s1", [*events.conversation("s1", turns), b"oops", b"oops"])
        made.archive("s1")
    return made


def rows(archiver) -> list[tuple[object, ...]]:
    with open_catalog(archiver.home) as catalog:
        return sorted(catalog.connection.execute("SELECT event_id, digest, segment, line FROM events").fetchall())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"this is no database, but it is long enough to look at " * 100),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: change(path, "UPDATE meta SET version = 99"),
        lambda path: change(path, "DELETE FROM meta"),
        lambda path: change(path, "UPDATE meta SET ledger_tip = 'another home'"),
        lambda path: change(path, "UPDATE meta SET ledger_bytes = 100000"),
        lambda path: change(path, "UPDATE meta SET ledger_bytes = 7"),
    ],
)
def test_a_damaged_or_foreign_catalog_is_made_anew(archiver, spoil):
    before, archives = rows(archiver), files_below(archiver.home.archives)
    spoil(archiver.home.catalog)
    assert rows(archiver) == before
    assert archiver.archive("s1").new == 0
    assert files_below(archiver.home.archives) == archives


def change(path, statement) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def test_a_restored_older_backup_of_the_archives_is_followed(archiver, tmp_path):
    backup = tmp_path / "backup"
    shutil.copytree(archiver.home.archives, backup)
    JsonlStoreBuilder(archiver.state_dir).write("s1", [*events.conversation("s1", 6), b"oops", b"oops"])
    archiver.archive("s1")
    shutil.rmtree(archiver.home.archives)
    backup.rename(archiver.home.archives)
    assert archiver.archive("s1").new == 4, "what the backup lacks is archived again"
    assert archiver.damage() == []


def test_a_catalog_that_cannot_be_used_is_said_in_words(archiver):
    with pytest.raises(DatabaseFailed) as caught, open_catalog(archiver.home) as catalog:
        catalog.connection.execute("PRAGMA max_page_count = 1")
        catalog.connection.execute("CREATE TABLE more (x)")
        catalog.connection.execute("INSERT INTO more VALUES (randomblob(1000000))")
    assert str(archiver.home.catalog) in caught.value.message
    assert "disk is full" in caught.value.hint and caught.value.code == "disk_full"


def test_a_damaged_archive_keeps_its_place_and_its_events_count_as_lost(archiver):
    with open_catalog(archiver.home) as catalog:
        victim = next(catalog.segments())
    victim.path.unlink()
    archiver.home.catalog.unlink()
    made = archiver.archive("s1")
    assert made.new == victim.events, "what the store still holds is archived again"
    assert len(archiver.damage()) == 1


def test_an_unknown_session_is_told_the_nearest_known_one(archiver):
    with open_catalog(archiver.home) as catalog:
        with pytest.raises(SessionUnknown) as caught:
            find_archived(catalog, "agent:main:mian")
        assert "agent:main:main" in caught.value.hint
        assert find_archived(catalog, "s1") == [("main", "agent:main:main", "s1")]
        with pytest.raises(SessionUnknown):
            find_archived(catalog, "s1", agent="ops")
