"""Killed, out of room, or with a huge transcript: the archive loses nothing and doubles nothing."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.crash import disk_full_at, killed_at, sync_fails_at
from tests.support.moon import ROOT, Moon
from tests.support.stores import BUILDERS, JsonlStoreBuilder

from moon.errors import ArchiveDamaged, HomeUnusable
from moon.vault import segments
from moon.vault.catalog import discard
from moon.vault.verify import verify

KEY = "agent:main:main"


def prepare(folder: Path, generation: str = "jsonl") -> tuple[Archiver, list[bytes]]:
    """A home with an archive of the first half of a transcript; the store holds all of it, one event changed."""
    archiver = Archiver(folder)
    store = BUILDERS[generation](archiver.state_dir)
    lines = events.conversation("s1", 6)
    store.write("s1", lines[:7])
    archiver.archive("s1")
    changed = events.message("s1-u1", "other words under a known id")
    store.write("s1", [lines[0], changed, *lines[1:], events.message("big", "long " * 1_000)])
    return archiver, [changed, *lines, events.message("big", "long " * 1_000)]


@pytest.mark.parametrize("generation", list(BUILDERS))
@pytest.mark.parametrize("without_catalog", [False, True])
def test_killed_at_any_step_the_next_run_completes(tmp_path, monkeypatch, generation, without_catalog):
    monkeypatch.setattr("moon.archive.transcript_archiver.SEGMENT_BYTES", 1_500)
    prepared = tmp_path / "prepared"
    _, expected = prepare(prepared, generation)
    step = 0
    while True:
        folder = tmp_path / f"killed-{step}"
        shutil.copytree(prepared, folder)
        archiver = Archiver(folder)
        if not killed_at(step, lambda archiver=archiver: archiver.archive("s1")):
            break
        if without_catalog:
            discard(archiver.home)
        archiver.archive("s1")
        assert archiver.held("s1") == Counter(expected), f"killed at step {step}"
        assert archiver.damage() == []
        assert archiver.archive("s1").new == 0
        shutil.rmtree(folder)
        step += 1
    assert step > 12, "the steps of the run were not seen"


def test_killed_in_the_very_first_run(tmp_path):
    step = 0
    while True:
        archiver = Archiver(tmp_path / f"{step}")
        lines = events.conversation("s1", 3)
        JsonlStoreBuilder(archiver.state_dir).write("s1", lines)
        if not killed_at(step, lambda archiver=archiver: archiver.archive("s1")):
            break
        archiver.archive("s1")
        assert (archiver.held("s1"), archiver.damage()) == (Counter(lines), [])
        step += 1
    assert step > 8


def damage_but_unnamed(archiver):
    """Damage, but for a segment whose ledger line did not come to be: the next run takes it in."""
    return [each for each in archiver.damage() if "is not in the ledger" not in each]


def test_killed_again_and_again(tmp_path):
    """Each run dies one step later than the one before, in the same home."""
    archiver, expected = prepare(tmp_path)
    step = 0
    while killed_at(step, lambda: archiver.archive("s1")):
        assert damage_but_unnamed(archiver) == []
        step += 1
    assert archiver.held("s1") == Counter(expected)


@pytest.mark.parametrize("generation", list(BUILDERS))
def test_disk_full_at_any_write_is_said_and_leaves_nothing_half_written(tmp_path, generation):
    step = 0
    while True:
        archiver, expected = prepare(tmp_path / str(step), generation)
        with disk_full_at(step) as failed:
            try:
                archiver.archive("s1")
            except HomeUnusable as error:
                assert "No space left" in error.message and error.path
                assert "disk is full" in error.hint
        if not failed:
            break
        assert damage_but_unnamed(archiver) == []
        assert archiver.leftovers() == []
        archiver.archive("s1")
        assert archiver.held("s1") == Counter(expected)
        assert archiver.damage() == []
        step += 1
    assert step >= 2


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("without_catalog", [False, True])
def test_a_flush_that_fails_at_any_point_loses_nothing_and_doubles_nothing(tmp_path, code, lasting, without_catalog):
    sessions = ["s1", "s2", "s3"]
    step = 0
    while True:
        archiver = Archiver(tmp_path / str(step))
        store = JsonlStoreBuilder(archiver.state_dir)
        for turns in (2, 4):
            for session in sessions:
                store.write(session, events.conversation(session, turns))
            if turns == 2:
                assert archiver.archive_all(sessions) == []
        with sync_fails_at(step, code, lasting=lasting) as failed:
            errors = archiver.archive_all(sessions)
        if not failed:
            break
        assert all(isinstance(error, HomeUnusable) for error in errors)
        assert damage_but_unnamed(archiver) == []
        if without_catalog:
            discard(archiver.home)
        assert archiver.archive_all(sessions) == []
        check_whole(archiver, sessions, f"the flush failed at step {step}")
        shutil.rmtree(archiver.home.root)
        step += 1
    assert step >= 9, "a segment, a folder and a ledger line for each session"


def check_whole(archiver: Archiver, sessions: list[str], when: str) -> None:
    """Each event is archived once, and nothing is wrong, with the catalog as it is and made anew."""
    for _ in range(2):
        for session in sessions:
            lines = events.conversation(session, 4)
            assert archiver.held(session) == Counter(lines), when
            assert archiver.restored(session) == b"".join(each + b"\n" for each in lines), when
        checked = verify(archiver.home)
        assert (checked.errors, checked.notes) == ([], []), when
        assert archiver.leftovers() == []
        discard(archiver.home)


def test_a_disk_that_keeps_other_bytes_is_noticed_before_anything_is_recorded(tmp_path):
    archiver, expected = prepare(tmp_path)
    before = archiver.home.ledger.read_bytes()
    write_all = segments.write_all
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "write_all", lambda to, data: write_all(to, bytes(data).replace(b"shelf", b"shelg")))
        with pytest.raises(ArchiveDamaged, match="did not read back"):
            archiver.archive("s1")
    assert archiver.home.ledger.read_bytes() == before and archiver.leftovers() == []
    archiver.archive("s1")
    assert archiver.held("s1") == Counter(expected)


def limited(size: int):
    """Let the process write no file beyond a size; the system then refuses, as a full disk does."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [0, 1_000, 5_000, 20_000, 40_000, 100_000])
def test_no_room_for_the_whole_program(tmp_path, size):
    moon = Moon(tmp_path)
    lines = [events.header("s1"), *(events.message(f"e{each}", f"{each} " * 900) for each in range(40))]
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", lines)
    done = subprocess.run(
        [str(ROOT / "bin/moon-archive"), "--session", KEY],
        env=moon.env,
        capture_output=True,
        preexec_fn=limited(size),
        check=False,
    )
    words = done.stderr.decode()
    assert done.returncode in (1, 3), words
    assert "report it as a bug" not in words and "Traceback" not in words
    assert "hint:" in words
    assert [line for line in moon.ok("archive", "--verify").stderr.splitlines() if "damaged" in line] == []
    moon.ok("archive", "--session", KEY)
    target = tmp_path / "restored.jsonl"
    moon.ok("archive", "--restore", KEY, "--to", str(target))
    assert target.read_bytes() == b"".join(each + b"\n" for each in lines)


MEASURE = """
import json, sys
from tests.support.crash import peak_memory
from moon.cli import archive
before = peak_memory()
code = archive.main(["--session", "s1"])
archived = peak_memory()
code += archive.main(["--restore", "s1", "--to", sys.argv[1]])
print(json.dumps({"code": code, "archive": archived - before, "restore": peak_memory() - before}), file=sys.stderr)
"""


def test_memory_stays_bounded_for_a_transcript_of_200_megabytes(tmp_path):
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", [events.header("s1")])
    path = store.folder / "s1.jsonl"
    text = os.urandom(25_000).hex()
    with path.open("ab") as stream:
        for number in range(4_000):
            stream.write(events.message(f"e{number}", text) + b"\n")
    assert path.stat().st_size > 200_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "restored.jsonl")],
        env={**moon.env, "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), str(ROOT)])},
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    measured = json.loads(done.stderr.decode().splitlines()[-1])
    assert measured["code"] == 0
    assert measured["archive"] < 150_000_000
    assert measured["restore"] < 150_000_000
    assert (tmp_path / "restored.jsonl").stat().st_size == path.stat().st_size
    for each in (tmp_path / "restored.jsonl", path):
        each.unlink()
