"""A tick that finds nothing moved ends at once; and whatever moves, in whatever way, is never passed over."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import events
from tests.support.moon import Moon, archived_events
from tests.support.stores import BUILDERS, NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder, StoreBuilder

from moon import config as configuration
from moon.cli import sample
from moon.clock import format_ms
from moon.cycle import session_states as states
from moon.files import Lock
from moon.sampling import quiet

KEY = "agent:main:main"
LONG_AGO = NOW_MS - 3_600_000


class Still:
    """A Moon whose sessions are all archived and at rest, and whose last tick said so."""

    def __init__(self, moon: Moon, store: StoreBuilder) -> None:
        self.moon = moon
        self.store = store

    def is_quiet(self, after: int = 30_000) -> bool:
        """Would a tick so many milliseconds later end at once?"""
        return quiet.is_quiet(NOW_MS + after)

    def settle(self, ticks: int = 3) -> None:
        """Tick until there is nothing to do and nothing too new to be trusted."""
        for _ in range(ticks):
            self.moon.ok("sample")
            wait_until_settled(self.moon.folder)
        self.moon.ok("sample")


def wait_until_settled(folder: Path) -> None:
    """Until every file is older than what a file system's clock can tell apart."""
    newest = max(path.stat().st_ctime_ns for path in folder.rglob("*") if path.is_file())
    while time.time_ns() < newest + 2 * quiet.SETTLED_NS:
        time.sleep(0.01)


def be(moon: Moon, monkeypatch: pytest.MonkeyPatch) -> None:
    """See what this Moon's executables see."""
    monkeypatch.delenv("TZ")
    for name, value in moon.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=list(BUILDERS))
def generation(request):
    return request.param


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """For each generation a Moon that has archived its one session; made once, copied for each test."""
    made = {name: Moon(tmp_path_factory.mktemp(name)) for name in BUILDERS}
    for name, moon in made.items():
        BUILDERS[name](moon.state_dir).put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
        moon.ok("sample")
    return made


@pytest.fixture
def still(tmp_path, monkeypatch, generation, archived):
    moon = archived[generation].copy(tmp_path)
    be(moon, monkeypatch)
    found = Still(moon, BUILDERS[generation](moon.state_dir))
    wait_until_settled(tmp_path)
    found.settle(ticks=1)
    assert found.is_quiet(), "else nothing below is about anything"
    return found


def test_a_quiet_tick_writes_its_heartbeat_and_nothing_else(still):
    before = still.moon.home.state_file.read_bytes()
    still.moon.ok("sample", env={"MOON_NOW": format_ms(NOW_MS + 60_000)})
    after = still.moon.home.state_file.read_bytes()
    assert states.peek(still.moon.home).heartbeat == NOW_MS + 60_000
    assert after == before.replace(format_ms(NOW_MS + 30_000).encode(), format_ms(NOW_MS + 60_000).encode())
    assert still.is_quiet(90_000), "its own heartbeat moves nothing"


def rewrite_in_the_middle(still: Still) -> None:
    """Other bytes of the same length, and the file's time put back."""
    if isinstance(still.store, JsonlStoreBuilder):
        path = still.store.path("s1")
        found = path.stat()
        data = path.read_bytes()
        with path.open("r+b") as stream:
            stream.write(data.replace(b"answer", b"ANSWER", 1))
        assert path.stat().st_size == found.st_size and path.read_bytes() != data
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        return
    with contextlib.closing(still.store.connect()) as connection, connection:
        sql = "UPDATE transcript_events SET event_json = replace(event_json, 'answer', 'ANSWER') WHERE seq = 2"
        assert connection.execute(sql).rowcount == 1
    found = still.store.main_file.stat()
    os.utime(still.store.main_file, ns=(found.st_atime_ns, LONG_AGO * 1_000_000))


def replace_by_a_twin(still: Still) -> None:
    """Another file of the same name, size and time."""
    path = still.store.path("s1") if isinstance(still.store, JsonlStoreBuilder) else still.store.main_file
    twin = path.with_name("twin")
    shutil.copy2(path, twin)
    assert (twin.stat().st_size, twin.stat().st_mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    twin.replace(path)


def another_agent(still: Still) -> None:
    BUILDERS[still.store.generation](still.moon.state_dir, "second").put(
        "agent:second:main", "s9", events.conversation("s9", 1)
    )


def remove_own_files(still: Still) -> None:
    for path in still.moon.home.index.glob("catalog.sqlite*"):
        path.unlink()


def begin_a_rollover(still: Still) -> None:
    still.moon.home.rollovers.mkdir(exist_ok=True)
    still.moon.home.rollover_journal("main", KEY).write_text("{}")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


MOVES: dict[str, Callable[[Still], object]] = {
    "a message": lambda still: still.store.append("s1", events.message("new", "one more"), at=LONG_AGO + 1_000),
    "a rewrite of the same length": rewrite_in_the_middle,
    "a twin": replace_by_a_twin,
    "a session": lambda still: still.store.put("agent:main:b", "s2", events.conversation("s2", 1)),
    "its usage": lambda still: still.store.put_entry(KEY, {"sessionId": "s1", "updatedAt": LONG_AGO}),
    "a deletion": lambda still: still.store.delete(KEY, "s1"),
    "a reset by hand": lambda still: still.store.delete(KEY, "s1", "reset"),
    "a vanished session": lambda still: still.store.remove(KEY, "s1"),
    "another agent": another_agent,
    "no store any more": lambda still: shutil.rmtree(still.moon.state_dir / "agents" / "main"),
    "no catalog any more": remove_own_files,
    "a shorter ledger": lambda still: os.truncate(still.moon.home.ledger, 10),
    "a rollover": begin_a_rollover,
    "another configuration": lambda still: write(still.moon.home.config_file, "thresholds: {archive: 0.01}"),
    "the state": lambda still: write(still.moon.home.state_file, still.moon.home.state_file.read_text("utf-8")),
    "no state any more": lambda still: still.moon.home.state_file.unlink(),
    "the folder's rights": lambda still: still.moon.home.root.chmod(0o770),
    "half a note": lambda still: os.truncate(still.moon.home.cache / "quiet", 90),
}


@pytest.mark.parametrize("move", list(MOVES))
def test_whatever_moves_is_looked_at(still, move):
    MOVES[move](still)
    assert not still.is_quiet()


def test_a_rewrite_of_the_same_length_is_archived(still):
    """By the next tick where a file tells of it; where only OpenClaw's fence would, by whatever compares all of it."""
    rewrite_in_the_middle(still)
    if isinstance(still.store, JsonlStoreBuilder):
        still.moon.ok("sample", env={"MOON_NOW": format_ms(NOW_MS + 30_000)})
    else:
        still.moon.ok("archive", "--session", KEY)
    kept = list(archived_events(still.moon.home))
    assert any(b"ANSWER" in line for line in kept), "the new bytes"
    assert len(kept) == len(events.conversation("s1", 3)) + 1, "and the old ones"


def test_a_variable_counts_as_configuration(still, monkeypatch):
    monkeypatch.setenv("MOON_THRESHOLDS__ARCHIVE", "0.01")
    assert not still.is_quiet()


def test_the_clock_alone(still):
    assert still.is_quiet(quiet.LOOK_AGAIN_MS - 1)
    assert not still.is_quiet(quiet.LOOK_AGAIN_MS), "however still it is, everything is looked at now and then"


def test_a_clock_set_back_is_looked_at(still):
    assert not still.is_quiet(-1)


def test_a_held_lock_is_not_passed_over(still):
    with still.moon.home.lock_file.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not still.is_quiet()
        done = still.moon.run("sample", env={"MOON_NOW": format_ms(NOW_MS + 30_000)})
    assert done.code == 75 and "another Moon process" in done.stderr


def test_an_active_chat_is_archived_when_it_has_come_to_rest(still):
    """Between its last message and its rest nothing moves; the note knows when that is."""
    still.store.append("s1", events.message("new", "the last word"), at=NOW_MS - 600_000)
    still.settle(ticks=1)
    assert still.is_quiet(299_000) and not still.is_quiet(300_000)
    still.moon.ok("sample", env={"MOON_NOW": format_ms(NOW_MS + 300_000)})
    assert any(b"the last word" in line for line in archived_events(still.moon.home))


def test_what_was_written_just_now_is_not_trusted(still, monkeypatch):
    """It could be written once more within the same tick of the file system's clock."""
    agents = str(still.moon.state_dir / "agents")
    assert quiet.look_around(quiet.home_folder(), agents).settled
    monkeypatch.setattr(quiet, "SETTLED_NS", 10**15)
    world = quiet.look_around(quiet.home_folder(), agents)
    assert not world.settled
    quiet.note_quiet(quiet.home_folder(), world, agents, NOW_MS, NOW_MS + 60_000)
    assert not still.is_quiet()


def test_two_stores_of_the_same_agent_are_both_looked_at(tmp_path, monkeypatch):
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    newer, older = SqliteStoreBuilder(moon.state_dir), JsonlStoreBuilder(moon.state_dir)
    newer.put(KEY, "s1", events.conversation("s1", 2), at=LONG_AGO)
    older.put(KEY, "s1", events.conversation("s1", 1), at=LONG_AGO)
    still = Still(moon, newer)
    still.settle()
    assert still.is_quiet()
    older.append("s1", events.message("late", "in the older one"), at=LONG_AGO + 1_000)
    assert not still.is_quiet()
    still.settle()
    assert still.is_quiet()
    newer.append("s1", events.message("later", "in the newer one"), at=LONG_AGO + 2_000)
    assert not still.is_quiet()


def test_a_commit_into_a_wal_that_is_there_is_seen(tmp_path, monkeypatch):
    """While OpenClaw has its store open, all goes into one file that is overwritten round by round."""
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    store = SqliteStoreBuilder(moon.state_dir)
    with contextlib.closing(store.connect()) as open_by_openclaw:
        open_by_openclaw.execute("PRAGMA wal_autocheckpoint = 1")
        store.put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
        still = Still(moon, store)
        still.settle()
        for number in range(6):
            assert still.is_quiet(30_000 + number)
            with open_by_openclaw:
                open_by_openclaw.execute("UPDATE session_nodes SET updated_at = ?", (LONG_AGO + number,))
            assert not still.is_quiet(30_000 + number)
            still.settle(ticks=1)


def test_what_is_still_to_be_done_is_tried_at_each_tick(tmp_path, monkeypatch):
    """A prune that waits for its session to be left alone is no reason to rest."""
    moon = Moon(tmp_path, {"MOON_OPENCLAW__BIN": "nothing-there"})
    be(moon, monkeypatch)
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 3), used=41_000, updated_at=NOW_MS, interacted_at=NOW_MS)
    still = Still(moon, store)
    still.settle()
    assert states.peek(moon.home).sessions[("main", KEY)].pending
    assert not still.is_quiet()


def test_a_store_that_cannot_be_read_is_tried_at_each_tick(tmp_path, monkeypatch):
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
    Still(moon, store).settle()
    store.main_file.write_bytes(b"not a database " * 400)
    wait_until_settled(tmp_path)
    assert moon.run("sample").code != 0
    assert not quiet.is_quiet(NOW_MS + 1)


def test_a_link_that_leads_nowhere_hides_no_other_transcript(tmp_path, monkeypatch):
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
    store.path("a").symlink_to(tmp_path / "nowhere.jsonl")
    still = Still(moon, store)
    still.settle()
    assert still.is_quiet()
    store.append("s1", events.message("new", "behind the link in the list"), at=LONG_AGO + 1_000)
    assert not still.is_quiet()


def test_the_wal_of_a_database_that_is_a_link_is_seen(tmp_path, monkeypatch):
    """SQLite keeps it beside the file that the link leads to."""
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    store = SqliteStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
    elsewhere = tmp_path / "elsewhere.sqlite"
    store.main_file.rename(elsewhere)
    store.main_file.symlink_to(elsewhere)
    with contextlib.closing(store.connect()) as open_by_openclaw:
        open_by_openclaw.execute("SELECT count(*) FROM session_nodes").fetchone()
        still = Still(moon, store)
        still.settle()
        assert still.is_quiet()
        store.append("s1", events.message("new", "not checkpointed"), at=LONG_AGO + 1_000)
        assert not still.is_quiet()


def test_a_database_that_gives_an_error_keeps_no_other_agent_from_being_looked_at(tmp_path, monkeypatch):
    moon = Moon(tmp_path)
    be(moon, monkeypatch)
    SqliteStoreBuilder(moon.state_dir).put(KEY, "s1", events.conversation("s1", 3), at=LONG_AGO)
    (moon.state_dir / "agents" / "broken" / "agent" / "openclaw-agent.sqlite").mkdir(parents=True)
    done = moon.run("sample")
    assert done.code == 3 and "broken" in done.stderr, "it is told"
    assert len(list(archived_events(moon.home))) == len(events.conversation("s1", 3))


def test_another_user_is_no_reason_to_rest(still, monkeypatch):
    """Whose files are obeyed depends on who asks."""
    monkeypatch.setattr(os, "geteuid", lambda: 4_711)
    assert not still.is_quiet()


def test_a_problem_that_another_tool_found_is_looked_at(still):
    """That it is over shows in a look."""
    write(still.moon.home.health_file, "{}")
    assert not still.is_quiet()


def test_a_configuration_that_changed_while_the_tick_had_read_it_is_read_again(still, monkeypatch):
    """However long ago the tick read it."""
    load, take, taken = configuration.load, Lock.take, []

    def load_and_wait(home):
        config = load(home)
        write(home.config_file, "thresholds: {archive: 0.01}")
        wait_until_settled(still.moon.folder)
        return config

    def take_and_keep(path):
        taken.append(take(path))
        return taken[-1]

    monkeypatch.setattr(sample.configuration, "load", load_and_wait)
    monkeypatch.setattr(sample.Lock, "take", take_and_keep)
    monkeypatch.setenv("MOON_NOW", format_ms(NOW_MS + quiet.LOOK_AGAIN_MS))
    assert sample.main([]) == 0
    taken[0].release()
    assert not still.is_quiet(quiet.LOOK_AGAIN_MS + 1)
