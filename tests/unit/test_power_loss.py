"""The model of a disk on which the attack on crashes plays a recording back."""

from __future__ import annotations

import random

import pytest
from tests.attack.power import Disk


def quoted(text: object) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in str(text).encode()) + '"'


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "home"
    made.mkdir()
    (made / "old").write_text("old bytes")
    return made


def play(folder, *lines: str) -> Disk:
    disk = Disk(folder)
    disk.play(lines)
    return disk


def left(disk: Disk, folder, dice=None) -> dict[str, str]:
    disk.lose(dice)
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def opened(path, flags: str, number: int = 3) -> str:
    return f"openat(AT_FDCWD</>, {quoted(path)}, {flags}, 0600) = {number}<x>"


def written(text: str, number: int = 3) -> str:
    return f"write({number}<x>, {quoted(text)}, {len(text)}) = {len(text)}"


def test_bytes_are_safe_once_the_file_was_synced_and_its_name_once_the_folder_was(folder):
    new = [opened(folder / "new", "O_WRONLY|O_CREAT"), written("one"), "fsync(3<x>) = 0", written("two")]
    assert left(play(folder, *new), folder) == {"old": "old bytes"}
    synced = [opened(folder, "O_RDONLY", 4), "fsync(4<x>) = 0"]
    assert left(play(folder, *new, *synced), folder) == {"old": "old bytes", "new": "one"}


def test_a_rename_and_a_removal_count_once_the_folder_was_synced(folder):
    moves = [
        opened(folder / ".tmp", "O_WRONLY|O_CREAT|O_TRUNC"),
        written("new bytes"),
        "fdatasync(3<x>) = 0",
        f"rename({quoted(folder / '.tmp')}, {quoted(folder / 'old')}) = 0",
    ]
    assert left(play(folder, *moves), folder) == {"old": "old bytes"}
    synced = [opened(folder, "O_RDONLY", 4), "fsync(4<x>) = 0"]
    assert left(play(folder, *moves, *synced), folder) == {"old": "new bytes"}
    gone = f"unlink({quoted(folder / 'old')}) = 0"
    assert left(play(folder, gone), folder) == {"old": "new bytes"}
    assert left(play(folder, gone, *synced), folder) == {}


def test_writes_go_where_the_descriptor_stands(folder):
    lines = [
        opened(folder / "old", "O_RDWR"),
        "lseek(3<x>, 4, SEEK_SET) = 4",
        written("BYTES"),
        f"pwrite64(3<x>, {quoted('O')}, 1, 0) = 1",
        opened(folder / "old", "O_WRONLY|O_APPEND", 5),
        written("!", 5),
        "ftruncate(3<x>, 10) = 0",
        "fsync(5<x>) = 0",
        written("not any more", 5),
        f"openat(AT_FDCWD</>, {quoted(folder / 'none')}, O_RDONLY) = -1 ENOENT",
        "write(3<x>, ",
    ]
    disk = play(folder, *lines)
    assert disk.unsafe() == 1
    assert left(disk, folder) == {"old": "Old BYTES!"}


def test_with_dice_some_of_what_is_not_safe_is_there_and_never_anything_else(folder):
    before = folder / "old"
    seen = set()
    for seed in range(40):
        before.write_text("old bytes")
        lines = [opened(before, "O_WRONLY|O_APPEND"), written("|first"), written("|second")]
        seen.add(left(play(folder, *lines), folder, random.Random(seed))["old"])
    assert {"old bytes", "old bytes|fi", "old bytes|first|se"} <= seen, "the last one that came through is cut in half"
    assert seen <= {"old bytes", "old bytes|fi", "old bytes|first|se", "old bytes" + "\0" * 6 + "|se"}


def test_a_new_folder_is_lost_with_all_in_it_unless_the_one_above_was_synced(folder):
    lines = [
        f"mkdir({quoted(folder / 'sub')}, 0700) = 0",
        opened(folder / "sub" / "file", "O_WRONLY|O_CREAT"),
        written("bytes"),
        "fsync(3<x>) = 0",
        opened(folder / "sub", "O_RDONLY", 4),
        "fsync(4<x>) = 0",
    ]
    assert left(play(folder, *lines), folder) == {"old": "old bytes"}
    synced = [opened(folder, "O_RDONLY", 4), "fsync(4<x>) = 0"]
    assert left(play(folder, *lines, *synced), folder) == {"old": "old bytes", "sub/file": "bytes"}
