"""A copy of MOON_HOME made while Moon was at work, as `cp -a` and rsync make it: file by file, in any order."""

from __future__ import annotations

import shutil
import threading

import pytest
from tests.support import events
from tests.support.moon import Moon, archived_events
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon.clock import format_ms
from moon.vault.verify import verify

KEY = "agent:main:main"
SETTINGS = {"MOON_DISTILL__PROVIDERS": "local", "MOON_ARCHIVE__IDLE_SECONDS": "60"}


def work(moon: Moon, store: SqliteStoreBuilder, number: int) -> None:
    """A tick with something new to archive and index."""
    now = NOW_MS + number * 600_000
    store.put(f"{KEY}-{number}", f"s{number}", events.conversation(f"s{number}", 6), used=900, at=now - 300_000)
    store.append("s0", events.message(f"more-{number}", f"the heron number {number} came"), at=now - 300_000)
    moon.ok("sample", env={"MOON_NOW": format_ms(now)})


def is_usable(copy: Moon, before: set[bytes], number: int) -> None:
    """Behind one `--repair`, all that was archived before the copy is in it and is found, and it goes on from there."""
    later = {"MOON_NOW": format_ms(NOW_MS + (number + 5) * 600_000)}
    repaired = copy.run("archive", "--repair", env=later)
    assert repaired.code == 0, repaired.stderr
    for _ in range(2):
        copy.ok("sample", env=later)
    held = list(archived_events(copy.home))
    assert before <= set(held) and len(set(held)) == len(held)
    assert verify(copy.home).errors == []
    found = copy.ok("recall", "heron", "--json", env=later).json()
    assert found["results"] and not [each for each in found["degraded"] if "index" in each]


@pytest.mark.parametrize("first", ["archives/raw", "archives/ledger.jsonl", "index"])
def test_a_copy_of_which_one_part_is_older_is_usable(tmp_path, first):
    moon, copy = Moon(tmp_path / "live", dict(SETTINGS)), Moon(tmp_path / "copy", dict(SETTINGS))
    store = SqliteStoreBuilder(moon.state_dir)
    for number in range(2):
        work(moon, store, number)
    before = set(archived_events(moon.home))
    old = moon.home.root / first
    kept = tmp_path / "kept"
    shutil.copytree(old, kept) if old.is_dir() else shutil.copy2(old, kept)
    work(moon, store, 2)
    shutil.copytree(moon.folder, copy.folder, dirs_exist_ok=True)
    place = copy.home.root / first
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    kept.rename(place)
    is_usable(copy, before, 3)


def test_a_copy_made_while_cycles_run_is_usable(tmp_path):
    moon, copy = Moon(tmp_path / "live", dict(SETTINGS)), Moon(tmp_path / "copy", dict(SETTINGS))
    store = SqliteStoreBuilder(moon.state_dir)
    work(moon, store, 0)
    before = set(archived_events(moon.home))
    cycles = threading.Thread(target=lambda: [work(moon, store, number) for number in range(1, 5)])
    cycles.start()
    while True:
        try:
            shutil.copytree(moon.home.root, copy.home.root, dirs_exist_ok=True)
            break
        except shutil.Error:
            continue  # a file went away under it, as cp and rsync say too
    cycles.join()
    # The store is copied by OpenClaw's own means.
    shutil.copytree(moon.state_dir, copy.state_dir)
    is_usable(copy, before, 5)
