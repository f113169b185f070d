"""Files that may not be lost, and the one lock."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest
from tests.support.crash import disk_full_at
from tests.support.moon import ROOT
from tests.support.unprivileged import held_back_by_permissions

from moon import files
from moon.errors import HomeUnusable, LockBusy, MoonError
from moon.files import LOCK_VARIABLE, Lock, append_line, make_private, read_bounded, remove_abandoned, write_atomic
from moon.programs import run


@pytest.fixture(autouse=True)
def no_lock_from_outside(monkeypatch):
    monkeypatch.delenv(LOCK_VARIABLE, raising=False)


def test_written_private_in_private_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomic(path, "ünïcödé")
    assert path.read_bytes() == "ünïcödé".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    append_line(tmp_path / "c" / "log", b"line")
    assert (tmp_path / "c" / "log").stat().st_mode & 0o777 == 0o600


def test_an_atomic_write_replaces_whole(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    reader = path.open("rb")
    write_atomic(path, b"new and longer")
    assert reader.read() == b"old", "who has it open goes on with the old bytes"
    reader.close()
    assert path.read_bytes() == b"new and longer"


@pytest.mark.parametrize("step", [0, 1])
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path, step):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with disk_full_at(step) as failed:
        try:
            write_atomic(path, b"new" * 1000)
            write_atomic(path, b"newer" * 1000)
        except HomeUnusable as error:
            assert "disk is full" in error.hint and str(path) in error.message
    assert failed
    assert path.read_bytes() in (b"old", b"new" * 1000)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_while_a_line_is_appended_is_said(tmp_path):
    append_line(tmp_path / "log", b"first")
    with disk_full_at(0), pytest.raises(HomeUnusable):
        append_line(tmp_path / "log", b"second")
    assert (tmp_path / "log").read_bytes().startswith(b"first\n")


def test_lines_appended_by_many_processes_stay_whole(tmp_path):
    program = (
        "import sys; from pathlib import Path; from moon.files import append_line\n"
        "for n in range(200): append_line(Path(sys.argv[1]), sys.argv[2].encode() * 500, durable=False)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "log"), letter], env=env) for letter in "abc"
    ]
    assert [each.wait() for each in writers] == [0, 0, 0]
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert len(lines) == 600
    assert all(len(set(line)) == 1 and len(line) == 500 for line in lines)


@pytest.mark.parametrize("action", [lambda path: write_atomic(path, b"x"), lambda path: append_line(path, b"x")])
def test_a_file_in_the_place_of_a_folder(tmp_path, action):
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(HomeUnusable) as caught:
        action(tmp_path / "blocked" / "inside")
    assert "file, not a folder" in caught.value.hint


@pytest.mark.parametrize(
    "action", [lambda path: write_atomic(path, b"x"), lambda path: append_line(path, b"x"), Lock.take]
)
def test_a_folder_that_cannot_be_written(tmp_path, action):
    folder = make_private(tmp_path / "home")
    with held_back_by_permissions():
        folder.chmod(0o500)
        try:
            with pytest.raises(HomeUnusable) as caught:
                action(folder / "inside")
        finally:
            folder.chmod(0o700)
    assert "Permission denied" in caught.value.message and "MOON_HOME" in caught.value.hint


def test_reading_is_bounded(tmp_path):
    (tmp_path / "big").write_bytes(b"x" * 101)
    assert len(read_bounded(tmp_path / "big", 101)) == 101
    with pytest.raises(MoonError):
        read_bounded(tmp_path / "big", 100)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none")
    with pytest.raises(HomeUnusable):
        read_bounded(tmp_path)


# The lock.


def try_lock(path) -> int:
    """Take the lock in another process; its exit code."""
    program = (
        "import sys; from pathlib import Path; from moon.files import Lock; from moon.errors import MoonError\n"
        "try: Lock.take(Path(sys.argv[1]))\n"
        "except MoonError as error: sys.exit(error.exit_code)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    return subprocess.run([sys.executable, "-c", program, str(path)], env=env, check=False).returncode


def test_a_second_holder_is_told_and_a_later_one_is_not(tmp_path):
    path = tmp_path / "state" / "cycle.lock"
    lock = Lock.take(path)
    assert not lock.inherited
    with pytest.raises(LockBusy) as caught:
        Lock.take(path)
    assert caught.value.exit_code == 75 and caught.value.hint
    assert try_lock(path) == 75
    lock.release()
    assert try_lock(path) == 0
    Lock.take(path).release()


def test_the_lock_is_freed_when_its_holder_is_killed(tmp_path):
    path = tmp_path / "cycle.lock"
    program = (
        "import sys, time; from pathlib import Path; from moon.files import Lock\n"
        "lock = Lock.take(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], env=env, stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    assert try_lock(path) == 75
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert try_lock(path) == 0


def test_the_lock_is_kept_over_exec_and_adopted(tmp_path):
    path = tmp_path / "cycle.lock"
    second = (
        "import os, sys, subprocess; from pathlib import Path; from moon.files import Lock\n"
        "held = subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]]).returncode\n"
        "lock = Lock.take(Path(sys.argv[1])); print(held, lock.inherited, flush=True)\n"
        "lock.release(); print(subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]]).returncode)"
    )
    probe = (
        "import os, sys; from pathlib import Path; from moon.files import Lock, LOCK_VARIABLE\n"
        "from moon.errors import LockBusy\nos.environ.pop(LOCK_VARIABLE, None)\n"
        "try: Lock.take(Path(sys.argv[1]))\nexcept LockBusy: sys.exit(75)"
    )
    first = (
        "import os, sys; from pathlib import Path; from moon.files import Lock\n"
        "Lock.take(Path(sys.argv[1])).hand_on(); os.execv(sys.executable, [sys.executable, '-c', *sys.argv[2:4],"
        " sys.argv[4]])"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(
        [sys.executable, "-c", first, str(path), second, str(path), probe], env=env, capture_output=True, check=True
    )
    assert done.stdout.decode().split() == ["75", "True", "0"]


def test_a_child_process_does_not_keep_the_lock(tmp_path):
    path = tmp_path / "cycle.lock"
    lock = Lock.take(path)
    lock.hand_on()
    run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & exit 0"], timeout=20)
    child = subprocess.Popen(["sleep", "60"])
    try:
        lock.release()
        assert try_lock(path) == 0
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("value", ["", "x", "-1", "999999", "0"])
def test_a_lock_variable_that_means_nothing_is_no_lock(tmp_path, monkeypatch, value):
    monkeypatch.setenv(LOCK_VARIABLE, value)
    path = tmp_path / "cycle.lock"
    lock = Lock.take(path)
    assert not lock.inherited and try_lock(path) == 75
    lock.release()


def test_a_descriptor_of_another_file_is_no_lock(tmp_path, monkeypatch):
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    monkeypatch.setenv(LOCK_VARIABLE, str(other))
    lock = Lock.take(tmp_path / "cycle.lock")
    assert not lock.inherited
    lock.release()
    os.close(other)


def test_a_lock_that_somebody_else_got_meanwhile_is_not_adopted(tmp_path, monkeypatch):
    """An open descriptor of the lock file alone is not the lock."""
    path = tmp_path / "cycle.lock"
    holder = Lock.take(path)
    other = os.open(path, os.O_RDWR)
    monkeypatch.setenv(LOCK_VARIABLE, str(other))
    with pytest.raises(LockBusy):
        Lock.take(path)
    os.close(other)
    holder.release()


def test_unknown_errors_have_a_hint_too(tmp_path):
    from moon.files import unusable

    assert "moon-verify" in unusable(tmp_path, OSError(errno.EIO, "Input/output error")).hint


def test_a_line_never_joins_one_that_was_cut_short(tmp_path):
    path = tmp_path / "log"
    append_line(path, b"whole")
    with path.open("ab") as stream:
        stream.write(b"cut sho")
    append_line(path, b"next")
    append_line(path, b"after")
    assert path.read_bytes() == b"whole\ncut sho\nnext\nafter\n"


def full_sync(monkeypatch, answer):
    """A system with F_FULLFSYNC; gives the calls of it and of fsync."""
    calls = []

    def control(descriptor, command, *_arguments):
        calls.append("full" if command == 51 else "other")
        if answer:
            raise OSError(answer, os.strerror(answer))
        return 0

    monkeypatch.setattr("fcntl.F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr("fcntl.fcntl", control)
    monkeypatch.setattr("os.fsync", lambda descriptor: calls.append("fsync"))
    return calls


def test_where_the_drive_can_be_told_to_keep_its_bytes_it_is_told(tmp_path, monkeypatch):
    append_line(tmp_path / "log", b"first line")
    calls = full_sync(monkeypatch, 0)
    append_line(tmp_path / "log", b"line")
    write_atomic(tmp_path / "file", b"bytes")
    assert calls == ["full", "full", "full"], "the line, the file, and its name in the folder"


@pytest.mark.parametrize("refusal", [errno.ENOTSUP, errno.ENOTTY, errno.EINVAL])
def test_a_file_system_without_full_sync_gets_the_plain_one(tmp_path, monkeypatch, refusal):
    append_line(tmp_path / "log", b"first line")
    calls = full_sync(monkeypatch, refusal)
    append_line(tmp_path / "log", b"line")
    assert calls == ["full", "fsync"]


def test_a_full_sync_that_fails_is_said(tmp_path, monkeypatch):
    full_sync(monkeypatch, errno.EIO)
    with pytest.raises(HomeUnusable):
        append_line(tmp_path / "log", b"line")


@pytest.fixture
def synced(monkeypatch):
    """The inodes of what was synced, in order."""
    found = []
    monkeypatch.setattr(files, "sync", lambda descriptor: found.append(os.fstat(descriptor).st_ino))
    return found


def test_new_folders_and_the_first_line_of_a_file_outlive_a_power_cut(tmp_path, synced):
    """Not only their bytes: their names, too, are lost unless the folder above them is synced."""
    path = tmp_path / "archives" / "raw" / "ledger.jsonl"
    append_line(path, b"one")
    inode = [each.stat().st_ino for each in (tmp_path, path.parent.parent, path, path.parent)]
    assert synced == inode
    append_line(path, b"two")
    assert synced == [*inode, path.stat().st_ino]
    append_line(path.with_name("log"), b"one", durable=False)
    assert len(synced) == 5


def test_a_folder_that_may_not_be_read_is_no_obstacle(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir(mode=0o711)
    with held_back_by_permissions():
        folder.chmod(0o311)
        make_private(folder / "moon" / "state")
        folder.chmod(0o700)
    assert (folder / "moon" / "state").is_dir()


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    folder = tmp_path / "archives" / "md"
    folder.mkdir(parents=True)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = [f".page.md.{gone.pid}.tmp", f".own.md.{os.getpid()}.tmp", ".segment.jsonl.tmp", f".x.{'9' * 30}.tmp"]
    kept = [f".page.md.{os.getppid()}.tmp", ".page.md.1.tmp", "page.tmp", ".page.md"]
    old = f".old.md.{os.getppid()}.tmp"
    for name in (*left, *kept, old):
        (folder / name).write_text("x")
    os.utime(folder / old, (1, 1))
    assert remove_abandoned(tmp_path) == len(left) + 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)
