"""What archiving and restoring cost grows with what is new, counted in work and not in seconds.

Work is what SQLite's virtual machine does, in Moon's catalog and in OpenClaw's store, and how many lines are looked at.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from tests.support import events
from tests.support.moon import Moon
from tests.support.stores import BUILDERS, NOW_MS, SqliteStoreBuilder

from moon.archive import transcript_archiver
from moon.archive.transcript_archiver import archive_transcript
from moon.config import defaults
from moon.openclaw import locate
from moon.openclaw.transcript_store import TranscriptStore
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.restore import restore

KEY = "agent:main:main"
STEPS = 10
COMPRESS_FROM = defaults().archive.compress_from_bytes


class Work:
    """Counts while the block runs."""

    def __init__(self) -> None:
        self.steps = 0
        self.lines = 0
        self.folders = 0

    def step(self) -> int:
        """Called by SQLite after every few instructions."""
        self.steps += STEPS
        return 0


@pytest.fixture
def moon(tmp_path, monkeypatch):
    made = Moon(tmp_path)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, catalog: Catalog, *stores: TranscriptStore) -> Iterator[Work]:
    """The work in this catalog and these stores."""
    work = Work()
    ids, scandir = transcript_archiver.event_ids, os.scandir

    def counted_ids(lines: list[bytes]) -> list[str]:
        work.lines += len(lines)
        return ids(lines)

    def counted_scandir(path: str) -> os._ScandirIterator[str]:
        work.folders += 1
        return scandir(path)

    connections = [catalog.connection, *(store._ensure_open() for store in stores if hasattr(store, "_ensure_open"))]
    with monkeypatch.context() as patch:
        patch.setattr(transcript_archiver, "event_ids", counted_ids)
        patch.setattr(os, "scandir", counted_scandir)
        watch(connections, work.step)
        yield work
        watch(connections, None)


def watch(connections: list[sqlite3.Connection], step: Callable[[], int] | None) -> None:
    for connection in connections:
        connection.set_progress_handler(step, STEPS)


def archive_all(moon: Moon, catalog: Catalog) -> list[TranscriptStore]:
    """Archive what every store holds; the stores, open."""
    stores = locate.open_stores(defaults())
    for store, entry in stores.sessions():
        archive_transcript(moon.home, catalog, store, entry.transcript, COMPRESS_FROM)
    return stores.stores


@pytest.mark.parametrize("generation", list(BUILDERS))
def test_one_new_message_costs_the_same_in_a_long_session_as_in_a_short_one(moon, generation, monkeypatch):
    found = {}
    for name, turns in (("short", 10), ("long", 1_000)):
        store = BUILDERS[generation](moon.state_dir, name)
        store.put(f"agent:{name}:main", name, events.conversation(name, turns))
    with open_catalog(moon.home) as catalog:
        stores = {each.agent: each for each in archive_all(moon, catalog)}
        for name in ("short", "long"):
            builder = BUILDERS[generation](moon.state_dir, name)
            builder.append(name, events.message(f"{name}-more", "one more"), at=NOW_MS)
            entry = stores[name].sessions()[0]
            with counted(monkeypatch, catalog, stores[name]) as work:
                done = archive_transcript(moon.home, catalog, stores[name], entry.transcript, COMPRESS_FROM)
            assert (done.new, done.seen) == (1, 1)
            found[name] = work
    assert found["long"].lines == found["short"].lines == 1
    assert found["long"].steps <= 1.3 * found["short"].steps + 200


def test_sessions_with_nothing_new_cost_the_same_each(moon, monkeypatch):
    store = SqliteStoreBuilder(moon.state_dir)
    steps = {}
    for count in (40, 80, 160):
        for number in range(count):
            store.put(f"agent:main:k{number}", f"s{number}", events.conversation(f"s{number}", 1))
        with open_catalog(moon.home) as catalog:
            archive_all(moon, catalog)
            stores = locate.open_stores(defaults())
            entries = list(stores.sessions())
            with counted(monkeypatch, catalog, *stores.stores) as work:
                for each, entry in entries:
                    done = archive_transcript(moon.home, catalog, each, entry.transcript, COMPRESS_FROM)
                    assert done.unchanged
            assert work.lines == 0 and work.folders <= 1
            steps[count] = work.steps / count
    assert steps[160] <= 1.2 * steps[40]


def test_restoring_grows_with_the_revisions(moon, monkeypatch):
    store = SqliteStoreBuilder(moon.state_dir)
    steps = {}
    done = 0
    with open_catalog(moon.home) as catalog:
        for count in (40, 80, 160):
            for number in range(done, count):
                lines = [events.header("s1"), events.message("first", "never changed")]
                lines += [events.message("changing", f"version {number}"), events.message(f"other-{number}", "x")]
                store.put(KEY, "s1", lines)
                archive_all(moon, catalog)
            done = count
            written: list[bytes] = []
            with counted(monkeypatch, catalog) as work:
                restored = restore(catalog, "main", "s1", written.append)
            assert restored.events == 3 + count - 0 and not restored.damaged
            steps[count] = work.steps
    assert steps[160] <= 2.3 * steps[80] <= 2.3 * 2.3 * steps[40]
