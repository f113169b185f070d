"""Names and files that somebody else chose: whoever can write to an agent gets no further than that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.events import conversation
from tests.support.moon import Moon, archived_events
from tests.support.stores import NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder

NAMES = (
    ("../../../../evil", "../../evil"),
    ("a/b", ".."),
    ("/evil", "/evil"),
    ("-rf", "--to=/evil"),
    ("$(touch evil)`touch evil`;touch evil", "s;touch evil"),
    ("agent:main:" + "x" * 300, "s" * 200),
    ("' OR 1=1; DROP TABLE events; --", '" OR "" = "'),
    ("evil*NEAR(x)", "x AND y"),
    ("evil\u202e\x1b]0;evil\x07", "z\u200bz"),
)


def files_outside(moon: Moon) -> set[Path]:
    """Everything in the test's folder that is neither Moon's home nor OpenClaw's."""
    inside = (moon.home.root, moon.state_dir)
    return {path for path in moon.folder.rglob("*") if not any(each in (path, *path.parents) for each in inside)}


def test_names_of_sessions_lead_nowhere(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    before = files_outside(moon)
    for key, session_id in NAMES:
        SqliteStoreBuilder(moon.state_dir).put(key, session_id, conversation(session_id, 2))
    moon.ok("snapshot")
    moon.ok("distill", "--all")
    assert len(list(archived_events(moon.home))) == 5 * len(NAMES)
    assert files_outside(moon) <= before | {moon.home.root, moon.state_dir}
    for key, _ in NAMES:
        found = moon.run("recall", "lantern", f"--session={key}", "--json")
        assert found.code == 0, found.stderr
        assert {each["session_key"] for each in found.json()["results"]} <= {key}
    moon.ok("archive", "--verify")


def test_names_of_agents_lead_nowhere(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    for agent in ("..evil", "-rf", "a b", "$(touch evil)", "ünï", "\u202eevil"):
        SqliteStoreBuilder(moon.state_dir, agent).put("k", f"id-{agent}", conversation("c", 2))
    moon.ok("snapshot")
    assert len({line["agent"] for line in moon.ledger() if line["kind"] == "archive"}) == 6
    folders = {path.resolve() for path in moon.home.raw.iterdir()}
    assert all(path.parent == moon.home.raw.resolve() for path in folders)
    assert not list(moon.folder.rglob("evil"))


def test_transcripts_that_are_no_files_are_passed_over_and_stop_nothing(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    store.put("good", "s1", conversation("s1", 2))
    entry = {"updatedAt": NOW_MS - 600_000, "totalTokens": 10, "contextTokens": 100}
    os.mkfifo(store.path("pipe"))
    store.path("device").symlink_to("/dev/zero")
    store.path("folder").mkdir()
    store.path("loop").symlink_to(store.path("loop"))
    store.path("nowhere").symlink_to(store.path("gone"))
    for name in ("pipe", "device", "folder", "loop", "nowhere"):
        store.put_entry(name, {"sessionId": name, **entry})
    moon.run("snapshot")
    assert {line["session_id"] for line in moon.ledger() if line["kind"] == "archive"} == {"s1"}


@pytest.mark.parametrize("place", ["state/heartbeat", "state/moon_state.json", "state/cache/config.json"])
def test_link_in_place_of_a_file_that_is_replaced_does_not_reach_its_target(tmp_path: Path, place: str) -> None:
    moon = Moon(tmp_path)
    SqliteStoreBuilder(moon.state_dir).put("k", "s1", conversation("s1", 2))
    precious = tmp_path / "precious"
    precious.write_text("precious")
    link = moon.home.root / place
    link.parent.mkdir(parents=True)
    link.symlink_to(precious)
    moon.run("sample")
    moon.run("snapshot")
    assert precious.read_text().startswith("precious")


def test_everything_below_the_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    SqliteStoreBuilder(moon.state_dir).put("k", "s1", conversation("s1", 2))
    old = os.umask(0)
    try:
        moon.ok("sample")
        moon.ok("snapshot")
        moon.ok("distill", "--all")
    finally:
        os.umask(old)
    assert [path for path in (moon.home.root, *moon.home.root.rglob("*")) if path.lstat().st_mode & 0o077] == []
