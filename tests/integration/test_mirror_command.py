"""moon-mirror as people and timers run it, and what stands in its way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import events
from tests.support.buckets import Spoiler, serving
from tests.support.mirrors import Mirrored, restored, same_archive
from tests.support.moon import Moon
from tests.support.stores import SqliteStoreBuilder

from moon.cli import mirror as command
from moon.config import load
from moon.copies.copy_due import copy_due_at
from moon.copies.copy_record import CopyRecord, read_record, write_record

pyrage = pytest.importorskip("pyrage")
NEVER = "2100-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def spoiler() -> Iterator[Spoiler]:
    with serving() as buckets:
        made = Spoiler(buckets)
        buckets.make("shared")
        yield made
        made.close()


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    """A Moon with two sessions, and a folder to copy to."""
    made = Moon(tmp_path)
    made.home.root.mkdir(mode=0o700)
    (tmp_path / "nas").mkdir()
    store = SqliteStoreBuilder(made.state_dir)
    for number in (1, 2):
        store.put(f"agent:main:s{number}", f"s{number}", events.conversation(f"s{number}", 3), used=39_000)
    return made


@pytest.fixture
def sealed(spoiler: Spoiler, tmp_path: Path, monkeypatch) -> Iterator[tuple[Mirrored, bytes]]:
    """A home that copies to a bucket behind the spoiler, and the identity that opens it."""
    for name, value in spoiler.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("moon.copies.bucket_place.RETRIES", 0)
    identity = pyrage.x25519.Identity.generate()
    made = Mirrored(tmp_path / "a", f"s3://shared/{tmp_path.name}", {"recipients": [str(identity.to_public())]})
    made.hear("s1")
    yield made, str(identity).encode()
    spoiler.how = lambda method, path: ""


def configure(moon: Moon, *more: str) -> None:
    """What `--init` prints, written where it says."""
    done = moon.ok("mirror", "--init", f"file://{moon.folder / 'nas'}")
    moon.home.config_file.write_bytes(done.stdout + "".join(f"{each}\n" for each in more).encode())
    moon.home.config_file.chmod(0o600)


def test_from_nothing_to_a_restored_home_that_answers(moon: Moon, tmp_path: Path):
    assert "--init" in moon.ok("mirror").stderr
    configure(moon)
    moon.ok("snapshot")
    report = moon.ok("mirror", "--json").json()
    assert report["changed"] and report["details"][0]["copied"]
    assert "read back" in moon.ok("mirror", "--verify", "--sample", "1/2").stderr
    assert "1 host in 1 place" in moon.ok("mirror", "--list").stderr
    shutil.rmtree(moon.state_dir)
    other = Moon(tmp_path / "other")
    other.folder.mkdir()
    url = f"file://{tmp_path / 'nas'}"
    done = other.ok("mirror", "--restore", str(other.home.root), "--from", url, "--json")
    assert done.json()["details"][0]["files"] == 3
    found = other.ok("recall", "lantern register", "--json").json()
    assert found["results"] and not found["degraded"]
    assert other.run("mirror", "--restore", str(other.home.root), "--from", url).code == 1


def test_the_timer_copies_what_a_cycle_archived_and_a_quiet_tick_does_not_look(moon: Moon):
    configure(moon)
    for _ in range(2):
        moon.ok("sample")
    record = read_record(moon.home, f"file://{moon.folder / 'nas'}")
    assert record is not None and record.ledger_end == moon.home.ledger.stat().st_size > 0
    assert [each["outcome"] for each in moon.audit("mirror")] == ["done"]
    before = [(path, path.stat().st_mtime_ns) for path in sorted((moon.folder / "nas").rglob("*"))]
    moon.ok("sample")
    assert before == [(path, path.stat().st_mtime_ns) for path in sorted((moon.folder / "nas").rglob("*"))]


def test_where_no_copies_are_configured_no_tick_loads_a_line_of_it(moon: Moon):
    from tests.contract.test_layers import modules_of

    moon.ok("sample")
    code, loaded = modules_of({**moon.env, "MOON_NOW": "2026-11-22T07:00:00Z"}, "sample")
    assert code == 0
    assert not [name for name in loaded if name.startswith(("moon.copies", "moon.mirror", "obstore", "pyrage"))]


def test_when_a_run_is_due(moon: Moon):
    configure(moon)
    config, now = load(moon.home), 1_795_330_000_000
    url = f"file://{moon.folder / 'nas'}"
    assert copy_due_at(moon.home, config, now) == now, "never copied"
    at = "2026-11-22T06:46:40.000Z"
    write_record(moon.home, CopyRecord(url, "h", head_at=at))
    assert copy_due_at(moon.home, config, now) == now + 3_600_000, "only that it lives is told"
    write_record(moon.home, CopyRecord(url, "h", head_at=at, ledger_end=5))
    assert copy_due_at(moon.home, config, now) == now, "the ledger is another"
    write_record(moon.home, CopyRecord(url, "h", retry_at="2026-11-22T06:50:00.000Z"))
    assert copy_due_at(moon.home, config, now) == now + 200_000
    write_record(moon.home, CopyRecord(url, "h", retry_at=NEVER, head_at=NEVER))
    assert copy_due_at(moon.home, config, now) == now, "a clock that was ahead keeps nothing waiting"


def test_a_place_that_hangs_holds_no_tick_for_long(moon: Moon, monkeypatch, tmp_path):
    configure(moon)
    moon.ok("snapshot")
    monkeypatch.setenv("MOON_HOME", str(moon.home.root))
    monkeypatch.setattr(command, "END_AFTER_SECONDS", 0.3)
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 60\n")
    hanging.chmod(0o700)
    monkeypatch.setattr(command, "KILL_SECONDS", 0.2)
    monkeypatch.setattr(command.resources, "program", lambda tool: hanging)
    assert command.run_from_timer(moon.home) == 1
    record = read_record(moon.home, f"file://{moon.folder / 'nas'}")
    assert record is not None and record.code == "copy_away" and record.retry_at
    assert command.run_from_timer(moon.home) == 0, "it is left alone for a while"


@pytest.mark.parametrize(
    ("how", "code"),
    [("AccessDenied", "copy_refused"), ("InvalidAccessKeyId", "copy_refused"), ("ExpiredToken", "copy_refused"),
     ("503", "copy_away"), ("cut", "copy_away")],
)  # fmt: skip
def test_what_a_server_refuses_is_told_and_done_later(sealed, spoiler: Spoiler, tmp_path, how, code):
    mirrored, identity = sealed
    spoiler.how = lambda method, path: how if method == "PUT" else ""
    outcome = mirrored.copy()
    assert outcome.error is not None and outcome.error.code == code, outcome.error
    spoiler.how = lambda method, path: ""
    assert mirrored.copy().problems() == []
    home = restored(mirrored.url, tmp_path / "b", mirrored.host, identity, sealed=True)
    assert same_archive(mirrored.home, home)


def test_what_cannot_be_removed_there_stays_a_problem(sealed, spoiler: Spoiler):
    mirrored, _ = sealed
    mirrored.home.memory.mkdir()
    day = mirrored.home.memory / "2026-11-22.md"
    day.write_text("to be forgotten\n")
    mirrored.copy()
    day.unlink()
    spoiler.how = lambda method, path: "AccessDenied" if method in ("DELETE", "POST") else ""
    outcome = mirrored.copy()
    assert [each.code for each in outcome.problems()] == ["copy_keeps_removed"] and outcome.error is None
    assert len(mirrored.record().remove) == 1
    spoiler.how = lambda method, path: ""
    assert mirrored.copy().done.removed == 1 and mirrored.record().remove == []


def test_init_makes_a_key_once_and_says_where_it_belongs(moon: Moon, spoiler: Spoiler):
    key = moon.folder / "moon.key"
    arguments = ("mirror", "--init", "s3://shared/init", "--identity", str(key))
    done = moon.ok(*arguments, env=spoiler.environment())
    assert key.stat().st_mode & 0o077 == 0 and "AGE-SECRET-KEY-" in key.read_text()
    assert "AGE-SECRET" not in done.stdout.decode() + done.stderr
    moon.home.config_file.write_bytes(done.stdout)
    moon.ok("snapshot")
    assert moon.ok("mirror", env=spoiler.environment()).stdout == b""
    assert "opened and held against the ledger" in moon.ok("mirror", "--verify", env=spoiler.environment()).stderr
    again = moon.run(*arguments, env=spoiler.environment())
    assert again.code == 1 and "there already" in again.stderr
    assert moon.run("mirror", "--init", "s3://shared/init").code == 2, "without a key nobody could open it"


def test_a_second_place_is_appended_to_the_first(moon: Moon):
    for name in ("nas", "disk"):
        done = moon.ok("mirror", "--init", f"file://{moon.folder / name}")
        with moon.home.config_file.open("ab") as written:
            written.write(done.stdout)
    assert "below the last entry of `copies`" in done.stderr
    moon.home.config_file.chmod(0o600)
    moon.ok("snapshot")
    moon.ok("mirror")
    assert all(any((moon.folder / name).glob("*/ledger/*/*")) for name in ("nas", "disk"))


def test_the_status_says_how_far_each_host_and_each_copy_is(moon: Moon):
    assert moon.run("status", "--fleet").code == 2, "without copies there is no fleet"
    configure(moon)
    moon.ok("snapshot")
    codes = [each["code"] for each in moon.run("status", "--json").json()["problems"]]
    assert "copy_behind" in codes, "nothing was ever copied"
    moon.ok("mirror")
    status = moon.run("status", "--json").json()
    assert status["copies"][0]["lag_bytes"] == 0 and "copy_behind" not in [each["code"] for each in status["problems"]]
    fleet = moon.ok("status", "--fleet", "--json").json()
    assert [(each["lag_lines"], each["silent"], each["problems"]) for each in fleet["hosts"]] == [(0, False, [])]
    later = {"MOON_NOW": "2026-11-24T06:00:00Z"}
    silent = moon.run("status", "--fleet", env=later)
    assert silent.code == 1 and "SILENT" in silent.stdout.decode()
    assert "copy_behind" in [each["code"] for each in moon.run("status", "--json", env=later).json()["problems"]]
    assert moon.run("status", "--fleet", "--json", "--check").code == 2


def test_what_is_forgotten_goes_from_the_copy_with_the_next_run(moon: Moon):
    configure(moon)
    moon.ok("snapshot")
    moon.ok("mirror")
    there = moon.folder / "nas"
    assert list(there.rglob("*agent-main-s1*"))
    moon.ok("forget", "agent:main:s1", "--yes")
    moon.ok("mirror")
    assert not list(there.rglob("*agent-main-s1*")) and list(there.rglob("*agent-main-s2*"))
    moon.ok("mirror", "--verify")


@pytest.mark.parametrize("how", ["gone", "half"])
def test_a_lost_head_is_named_and_put_again_and_a_restore_needs_none(moon: Moon, tmp_path: Path, how: str):
    configure(moon)
    moon.ok("snapshot")
    moon.ok("mirror")
    (head,) = (moon.folder / "nas").glob("*/head.json")
    data = head.read_bytes()
    head.unlink() if how == "gone" else head.write_bytes(data[:50])
    moon.ok("mirror", "--restore", str(tmp_path / "back"), "--from", f"file://{moon.folder / 'nas'}", "--no-index")
    told = moon.run("mirror", "--verify")
    assert told.code != 0 and "head.json" in told.stderr
    moon.run("mirror")
    assert head.read_bytes()[:50] == data[:50]
    moon.ok("mirror", "--verify")


def test_options_that_make_no_sense(moon: Moon):
    for arguments in (("--sample", "2"), ("--host", "h"), ("--from", "file:///x"), ("--verify", "--list")):
        assert moon.run("mirror", *arguments).code == 2, arguments


def test_a_new_host_leaves_the_old_copy_alone(moon: Moon):
    configure(moon)
    moon.ok("snapshot")
    moon.ok("mirror")
    assert "for the other one" in moon.ok("mirror", "--new-host").stderr
    moon.ok("mirror")
    listed = moon.ok("mirror", "--list", "--json").json()["details"]
    assert len({each["host"] for each in listed}) == 2
