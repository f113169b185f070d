"""moon-snapshot and moon-post-upgrade: the names that scripts of earlier versions call."""

from __future__ import annotations

from pathlib import Path

from tests.support.events import conversation, message
from tests.support.moon import Moon, archived_events
from tests.support.old_index import as_version
from tests.support.stores import SqliteStoreBuilder


def filled(tmp_path: Path) -> Moon:
    moon = Moon(tmp_path)
    store = SqliteStoreBuilder(moon.state_dir)
    store.put("agent:main:a", "a", [*conversation("a", 3), message("zz", "the port is 5434 now", parent="m2")])
    store.put("agent:main:b", "b", conversation("b", 2))
    return moon


def test_snapshot_archives_and_indexes_everything_in_one_go(tmp_path: Path) -> None:
    moon = filled(tmp_path)
    document = moon.ok("snapshot", "--json").json()
    assert [each["station"] for each in document["stations"]] == ["archive", "index"]
    assert document["finished_at"]
    assert moon.ok("recall", "port 5434", "--json").json()["results"][0]["event_id"] == "zz"
    again = moon.ok("snapshot", "--json").json()
    assert {entry["outcome"] for station in again["stations"] for entry in station["sessions"]} == {"nothing"}


def test_snapshot_of_one_session_leaves_the_others_alone(tmp_path: Path) -> None:
    moon = filled(tmp_path)
    moon.ok("snapshot", "--session", "agent:main:b")
    assert {line["session_id"] for line in moon.ledger() if "session_id" in line} == {"b"}
    unknown = moon.run("snapshot", "--session", "agent:main:c")
    assert unknown.code == 1
    assert "agent:main:c" in unknown.stderr


def test_dry_run_of_a_snapshot_changes_nothing(tmp_path: Path) -> None:
    moon = filled(tmp_path)
    moon.ok("snapshot", "--dry-run")
    assert not list(archived_events(moon.home))
    assert not moon.home.lock_file.exists()


def test_post_upgrade_renews_an_older_index_and_reads_the_store(tmp_path: Path) -> None:
    moon = filled(tmp_path)
    moon.ok("snapshot")
    as_version(moon.home.text_index, 2)
    report = moon.ok("post-upgrade", "--json").json()
    words = [str(each) for each in report["details"]]
    assert report["changed"]
    assert any(each.startswith("index: made anew") for each in words)
    assert any(each.startswith("OpenClaw: 2 sessions can be read") for each in words)
    again = moon.ok("post-upgrade", "--json").json()
    assert not again["changed"]
    assert "index: up to date" in again["details"]
    assert moon.ok("recall", "port 5434", "--json").json()["results"][0]["event_id"] == "zz"


def test_post_upgrade_names_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    done = moon.run("post-upgrade")
    assert done.code == 3
    assert "no OpenClaw sessions" in done.stderr
    assert "hint:" in done.stderr


def test_post_upgrade_is_not_green_while_an_archive_could_not_be_indexed(tmp_path: Path) -> None:
    moon = filled(tmp_path)
    moon.ok("snapshot")
    next(moon.home.raw.rglob("*.jsonl")).unlink()
    as_version(moon.home.text_index, 2)
    done = moon.run("post-upgrade", "--json")
    assert done.code == 3
    report = done.json()
    assert (report["ok"], report["outcome"]) == (False, "done in part")
    assert "moon-archive --verify" in report["errors"][0]["hint"]
