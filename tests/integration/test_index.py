"""moon-index on recorded and built stores: what it promises as findable is found, and all of it can be made again."""

from __future__ import annotations

import json
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.events import conversation, header, message, tool_call, tool_result
from tests.support.moon import ROOT, Moon, files_below
from tests.support.old_index import as_version
from tests.support.stores import JsonlStoreBuilder

from moon.cli.index import main as index_main
from moon.config import load
from moon.fulltext import Filters, TextIndexWriter, open_reader, open_writer
from moon.fulltext.languages import stem
from moon.index import archive_entry, indexer
from moon.projection import place_at
from moon.vault import segments
from moon.vault.catalog import open_catalog

KEY = "agent:main:main"


@pytest.fixture
def moon(tmp_path: Path) -> Moon:
    made = Moon(tmp_path)
    shutil.copytree(ROOT / "tests" / "recorded" / "sqlite", made.state_dir)
    return made


@pytest.fixture
def built(tmp_path: Path) -> Moon:
    made = Moon(tmp_path)
    lines = conversation("s1", 4)
    lines.append(tool_call("c1", "exec", {"command": "systemctl restart heron-gateway"}))
    lines.append(tool_result("r1", "exec", "unit heron-gateway is active since the flood"))
    JsonlStoreBuilder(made.state_dir).put(KEY, "s1", lines)
    return made


def index_all(moon: Moon) -> dict:
    """Archive and index everything; the index station's record."""
    done = moon.ok("index", stdin=moon.ok("archive", "--all").stdout)
    return done.json()["stations"][-1]


def found(moon: Moon, query: str) -> list[tuple[str, int]]:
    """(event id, line) of what a full-text search for English words finds."""
    expression = re.sub(r"\b[a-z]+\b", lambda word: stem(word.group()), query)
    with open_reader(moon.home.text_index) as index:
        return [(row.event_id, row.line) for row in index.rows(index.matches(expression, Filters(), 50))]


def test_recorded_sessions_become_findable_with_their_place(moon: Moon) -> None:
    record = index_all(moon)
    assert {entry["outcome"] for entry in record["sessions"]} == {"done"}
    for entry in record["sessions"]:
        assert entry["indexed"] == entry["archives"] and entry["indexed"]
    with open_reader(moon.home.text_index) as index:
        assert index.segment_shas() == {line["sha256"] for line in moon.ledger()}
        places = index.locate_event(found(moon, "tarn AND cold")[0][0])
    line = list(segments.lines(moon.home.root / places[0].archive_path))[places[0].line - 1]
    assert b"tarn-cold" in line


def test_tool_calls_and_results_are_found(built: Moon) -> None:
    index_all(built)
    assert ("c1", 10) in found(built, "systemctl")
    assert ("r1", 11) in found(built, "flood")


def test_a_second_run_changes_nothing(moon: Moon) -> None:
    index_all(moon)
    before = files_below(moon.home.markdown), (moon.home.text_index).read_bytes()
    lines = len(moon.audit("index"))
    again = moon.ok("index", "--all").json()["stations"][-1]
    assert {entry["outcome"] for entry in again["sessions"]} == {"nothing"}
    assert (files_below(moon.home.markdown), (moon.home.text_index).read_bytes()) == before
    assert len(moon.audit("index")) == lines


def test_only_new_events_are_added(built: Moon) -> None:
    index_all(built)
    store = JsonlStoreBuilder(built.state_dir)
    store.write("s1", [*conversation("s1", 4), message("late", "the kingfisher arrived")])
    record = index_all(built)
    assert [len(entry["archives"]) for entry in record["sessions"]] == [1]
    assert [event for event, _ in found(built, "kingfisher")] == ["late"]
    assert [event for event, _ in found(built, "heron")].count("r1") == 1


def test_a_hit_in_a_page_leads_back_to_the_event(built: Moon) -> None:
    index_all(built)
    page = next(built.home.markdown.rglob("*.md"))
    lines = page.read_text().splitlines(keepends=True)
    number = next(n for n, text in enumerate(lines, 1) if "since the flood" in text)
    place = place_at(lines, number)
    assert place is not None and (place.event_id, place.line, place.role) == ("r1", 11, "toolResult")


def test_rebuild_gives_the_same_pages_and_the_same_answers(moon: Moon) -> None:
    index_all(moon)
    pages = files_below(moon.home.markdown)
    answers = sorted(found(moon, "station OR backup OR manifest"))
    stray = moon.home.markdown / "main" / "stray.md"
    stray.write_text("# left over")
    moon.home.text_index.unlink()
    report = moon.ok("index", "--rebuild", "--json").json()
    assert report["ok"] and report["details"][0]["archives"] == len(moon.ledger())
    assert moon.audit("index")[-1]["outcome"] == "rebuilt"
    assert files_below(moon.home.markdown) == pages
    assert sorted(found(moon, "station OR backup OR manifest")) == answers
    assert answers


def test_the_index_folder_can_be_deleted_whole(moon: Moon) -> None:
    index_all(moon)
    shutil.rmtree(moon.home.index)
    shutil.rmtree(moon.home.markdown)
    index_all(moon)
    assert found(moon, "tarn AND cold")


@pytest.mark.parametrize("version", ["2", "4", "999", "signature"])
def test_an_index_of_another_version_answers_until_the_new_one_is_whole(
    moon: Moon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    """One archive a run, as if each run's time were over at once: deferred, and the old index stays until the last."""
    index_all(moon)
    path = moon.home.text_index
    if version in ("2", "4"):
        as_version(path, int(version))
    else:
        change = "PRAGMA user_version = 999" if version == "999" else "UPDATE state SET signature = 'of old'"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(change)
        path.with_name("recall.sqlite.seal").unlink(missing_ok=True)
    monkeypatch.setattr(indexer, "RENEWAL_SECONDS", -1.0)
    monkeypatch.setattr(archive_entry, "BYTES_AT_ONCE", 0)
    for name, value in moon.env.items():
        monkeypatch.setenv(name, value)
    old = path.stat().st_ino
    stations = []
    for _ in moon.ledger():
        assert path.stat().st_ino == old
        assert index_main(["--all", "--json"]) == 0
        stations.append(json.loads(capsys.readouterr().out)["stations"][-1])
    assert len(stations) > 2
    assert {entry["outcome"] for station in stations[:-1] for entry in station["sessions"]} == {"deferred"}
    assert "archives are left" in stations[0]["sessions"][0]["reason"] and stations[0]["renewing"]
    assert stations[-1]["rebuilt"]
    assert path.stat().st_ino != old and not list(moon.home.index.glob("*.next*"))
    with open_reader(path) as index:
        assert index.segment_shas() == {line["sha256"] for line in moon.ledger()} and not index.outdated


@pytest.mark.parametrize("damage", ["garbage", "foreign", "truncated"])
def test_an_index_that_cannot_be_used_is_set_aside_and_made_anew(moon: Moon, damage: str) -> None:
    index_all(moon)
    path = moon.home.text_index
    if damage == "garbage":
        path.write_bytes(b"this is no database" * 500)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:9000])
    else:
        path.unlink()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE other (x)")
    record = moon.ok("index", "--session", KEY, "--json").json()["stations"][-1]
    assert record["rebuilt"]
    assert path.with_name("recall.sqlite.set-aside").exists()
    assert [entry["outcome"] for entry in moon.audit("index")][-1] in ("rebuilt", "done")
    assert "rebuilt" in [entry["outcome"] for entry in moon.audit("index")]
    with open_reader(path) as index:
        assert index.segment_shas() == {line["sha256"] for line in moon.ledger()}


def test_what_the_index_lost_is_put_back(moon: Moon) -> None:
    index_all(moon)
    lost = moon.ledger()[0]["sha256"]
    with open_writer(moon.home.text_index) as index:
        index.forget_segment(lost)
    key = moon.ledger()[-1]["session_key"]
    record = moon.ok("index", "--session", key, "--json").json()["stations"][-1]
    assert "1 archive " in record["other_sessions"]
    with open_reader(moon.home.text_index) as index:
        assert index.findable(lost)


def test_an_archive_that_no_search_finds_is_entered_again(built: Moon) -> None:
    index_all(built)
    sha = built.ledger()[0]["sha256"]
    with open_writer(built.home.text_index) as index:
        index.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
        assert not index.findable(sha)
    built.ok("index", "--all")
    with open_reader(built.home.text_index) as index:
        assert index.findable(sha)
    assert found(built, "flood")


def test_a_writer_elsewhere_is_waited_for_a_bounded_number_of_times(built: Moon) -> None:
    """Promise 1 rests on this: an archive that could not be entered is not recorded as indexed."""
    index_all(built)
    store = JsonlStoreBuilder(built.state_dir)
    store.write("s1", [*conversation("s1", 4), message("late", "the kingfisher arrived")])
    document = built.ok("archive", "--all").stdout
    other = sqlite3.connect(built.home.text_index)
    other.execute("BEGIN IMMEDIATE")
    try:
        done = built.run("index", stdin=document, env={"MOON_INDEX__ATTEMPTS": "1"})
    finally:
        other.rollback()
        other.close()
    entry = done.json()["stations"][-1]["sessions"][0]
    assert done.code == 1
    assert (entry["outcome"], entry["code"]) == ("failed", "index_busy")
    assert "indexed" not in entry
    assert index_all(built)["sessions"][0]["outcome"] == "done"


def test_a_damaged_archive_fails_its_session_and_no_other(moon: Moon) -> None:
    document = moon.ok("archive", "--all").stdout
    victim = moon.ledger()[0]
    (moon.home.root / victim["archive_path"]).unlink()
    done = moon.run("index", stdin=document)
    assert done.code == 3
    outcomes = {entry["session_id"]: entry for entry in done.json()["stations"][-1]["sessions"]}
    assert outcomes.pop(victim["session_id"])["outcome"] == "failed"
    assert {entry["outcome"] for entry in outcomes.values()} == {"done"}
    assert moon.run("index", "--rebuild").code == 3


def test_a_letter_that_changed_in_a_plain_archive_is_told_and_not_indexed(moon: Moon) -> None:
    document = moon.ok("archive", "--all").stdout
    victim = next(line for line in moon.ledger() if line["archive_path"].endswith(".jsonl"))
    path = moon.home.root / victim["archive_path"]
    before = path.read_bytes()
    changed = re.sub(rb'("text": ?")[^"\\](?=[^"]*")', rb"\g<1>Q", before, count=1)
    assert len(changed) == len(before) and changed != before
    path.chmod(0o600)
    path.write_bytes(changed)
    done = moon.run("index", stdin=document)
    outcomes = {entry["session_id"]: entry for entry in done.json()["stations"][-1]["sessions"]}
    told = outcomes.pop(victim["session_id"])
    assert done.code == 3 and told["outcome"] == "failed" and "hash" in told["reason"]
    assert {entry["outcome"] for entry in outcomes.values()} == {"done"}
    rebuilt = moon.run("index", "--rebuild")
    assert rebuilt.code == 3 and "hash" in rebuilt.stderr
    path.write_bytes(before)
    moon.ok("index", "--rebuild")


def test_a_page_that_cannot_be_written_fails_its_session(moon: Moon) -> None:
    document = moon.ok("archive", "--all").stdout
    moon.home.markdown.mkdir()
    (moon.home.markdown / "ops").write_text("in the way")
    done = moon.run("index", stdin=document)
    entries = done.json()["stations"][-1]["sessions"]
    assert done.code == 3
    assert {entry["agent"]: entry["outcome"] for entry in entries} == {
        "main": "done",
        "ops": "failed",
        "research": "done",
    }
    (moon.home.markdown / "ops").unlink()
    assert {entry["outcome"] for entry in index_all(moon)["sessions"]} <= {"done", "nothing"}


def test_a_full_disk_is_no_reason_to_throw_the_index_away(moon: Moon) -> None:
    index_all(moon)
    known = {line["sha256"] for line in moon.ledger()}
    long = [message(f"e{number}", f"granite {number} " * 9000) for number in range(20)]
    JsonlStoreBuilder(moon.state_dir, "bulk").put("agent:bulk:main", "s1", long)
    document = moon.ok("archive", "--all").stdout
    blocks = moon.home.text_index.stat().st_size // 512 + 200
    limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$0"', str(ROOT / "bin" / "moon-index")]
    done = subprocess.run(limited, env=moon.env, input=document, capture_output=True, timeout=120)
    assert done.returncode in (1, 3), done.stderr
    assert not list(moon.home.index.glob("*.set-aside"))
    assert not list(moon.home.root.rglob("*.tmp"))
    with open_reader(moon.home.text_index) as index:
        assert index.segment_shas() == known
    assert {entry["outcome"] for entry in index_all(moon)["sessions"]} <= {"done", "nothing"}
    assert found(moon, "granite")


def test_lines_that_are_no_event_are_passed_over(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    lines = [header("s1"), b"{not json", b"[1, 2]", message("e1", "the osprey nests"), b'{"type":"message","id":7}']
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", lines)
    assert index_all(moon)["sessions"][0]["outcome"] == "done"
    assert found(moon, "osprey") == [("e1", 4)]


def test_secrets_reach_neither_index_nor_page(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    secret = "ghp_" + "Ab3dE5gH7jK9" * 3
    lines = [
        header("s1"),
        message("e1", f"the token is {secret} for now"),
        tool_call("e2", "exec", {"command": f"curl -H 'Authorization: Bearer {secret}' https://example.test"}),
        tool_result("e3", "exec", f"echo {secret[:10]}\x00{secret[10:]}"),
    ]
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", lines)
    index_all(moon)
    with open_reader(moon.home.text_index) as index:
        texts = [row.text for row in index.rows(index.message_ids())]
    pages = [path.read_text() for path in moon.home.markdown.rglob("*.md")]
    assert len(texts) == 3 and len(pages) == 1
    assert not [text for text in texts + pages if secret in text or secret[10:] in text]
    assert "[redacted:" in pages[0]


def test_everything_made_is_for_its_owner_only(moon: Moon) -> None:
    index_all(moon)
    for path in [*moon.home.markdown.rglob("*"), *moon.home.index.rglob("*"), moon.home.markdown, moon.home.index]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_pages_can_be_switched_off(built: Moon) -> None:
    built.ok("archive", "--all")
    built.ok("index", "--all", env={"MOON_INDEX__MARKDOWN": "false"})
    assert not built.home.markdown.exists()
    assert found(built, "flood")
    built.ok("index", "--all")
    assert [path.suffix for path in built.home.markdown.rglob("*.md")] == [".md"]


def test_archives_by_name_need_no_openclaw(built: Moon) -> None:
    built.ok("archive", "--all")
    shutil.rmtree(built.state_dir)
    sha = built.ledger()[0]["sha256"]
    document = built.ok("index", "--archive", sha[:8], "--json").json()
    assert document["stations"][-1]["sessions"][0]["archives"] == [sha]
    done = built.run("index", "--archive", "ffffffffffff", "--json")
    assert done.code == 1 and done.json()["errors"][0]["code"] == "session_unknown"
    assert built.run("index", "--session", "agent:main:mian").stderr.count("did you mean agent:main:main?") == 1


def test_a_dry_run_changes_nothing(built: Moon) -> None:
    built.ok("archive", "--all")
    built.ok("index", "--all", "--dry-run")
    before = files_below(built.home.root)
    done = built.ok("index", "--all", "--dry-run")
    assert "would" in done.stderr
    assert files_below(built.home.root) == before
    assert not built.home.text_index.exists()


def test_rebuild_takes_no_sessions(built: Moon) -> None:
    assert built.run("index", "--rebuild", "--session", KEY).code == 2


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """An archive of 32 MB does not cost its own size in memory."""
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    store.put_entry(KEY, {"sessionId": "s1"})
    text = "lantern shelf register harbour granite " * 400
    with (store.folder / "s1.jsonl").open("wb") as stream:
        stream.writelines(tool_result(f"e{number}", "exec", text) + b"\n" for number in range(2000))
    moon.ok("archive", "--all")
    measure = "import resource, sys; from moon.cli.index import main; main(['--all']); "
    measure += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", measure],
        env={**moon.env, "PYTHONPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    peak = int(done.stderr.split()[-1])
    # A child starts with what its parent had; that is taken off.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak - own < (25 << (10 if sys.platform != "darwin" else 20))
    assert found(moon, "granite")


def test_a_tick_looks_only_for_the_archives_that_are_new(built: Moon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a session with many archives. Before anything destructive, and when asked by name, all are looked for."""
    index_all(built)
    store = JsonlStoreBuilder(built.state_dir)
    lines = conversation("s1", 4)
    for number in range(3):
        store.write("s1", [*lines, *(message(f"late{each}", f"kingfisher {each}") for each in range(number + 1))])
        record = built.ok("archive", "--all").stdout
        built.ok("index", stdin=record)
    looked_for: list[str] = []
    findable = TextIndexWriter.findable

    def counted(index: TextIndexWriter, sha256: str) -> bool:
        looked_for.append(sha256)
        return findable(index, sha256)

    monkeypatch.setattr(TextIndexWriter, "findable", counted)
    with open_catalog(built.home) as catalog, closing(indexer.Indexer(built.home, load(built.home), catalog)) as made:
        found = list(catalog.segments("main", "s1"))
        assert len(found) == 4
        assert made.add(found, [found[-1].sha256])[1] == {each.sha256 for each in found}
        assert set(looked_for) == {found[-1].sha256}
        assert made.add(found)[1] == {each.sha256 for each in found}
        assert set(looked_for) == {each.sha256 for each in found}
        made.index.forget_segment(found[0].sha256)
        assert made.add(found, [])[0].archives == [found[0].sha256]
