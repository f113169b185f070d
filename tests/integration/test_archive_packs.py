"""Small archives are joined: fewer files, the same bytes, and all that named the old ones still finds them."""

from __future__ import annotations

import errno
import shutil
from collections import Counter

import pytest
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.crash import killed_at, sync_fails_at
from tests.support.moon import Moon, files_below
from tests.support.stores import BUILDERS, JsonlStoreBuilder

from moon.errors import HomeUnusable
from moon.fulltext import open_reader
from moon.vault import segments
from moon.vault.archive_names import segment_by_prefix
from moon.vault.catalog import discard, open_catalog
from moon.vault.ledger import Ledger
from moon.vault.packing import Packed, pack_past_days
from moon.vault.places import locate_line
from moon.vault.verify import verify

KEY = "agent:main:main"
SPLITS = 6


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")


def on_day(monkeypatch, day: int, hour: int = 9) -> None:
    monkeypatch.setenv("MOON_NOW", f"2026-11-{day:02d}T{hour:02d}:00:00.000Z")


def grown(
    folder, monkeypatch, generation="jsonl", days=(20, 21), compress_from=1 << 20
) -> tuple[Archiver, list[bytes]]:
    """A session that was archived several times a day; the clock stands at the day after."""
    archiver = Archiver(folder, compress_from)
    store = BUILDERS[generation](archiver.state_dir)
    lines: list[bytes] = []
    for number, day in enumerate(days):
        for hour in range(SPLITS):
            on_day(monkeypatch, day, hour)
            turn = number * SPLITS + hour + 1
            lines = [*events.conversation("s1", turn), *([b"oops"] * turn)]
            lines[1] = events.message("s1-u0", f"changed {turn} times")
            store.write("s1", lines)
            archiver.archive("s1")
    on_day(monkeypatch, days[-1] + 1)
    return archiver, lines


def pack(archiver: Archiver, *, bounded: bool = False) -> Packed:
    with open_catalog(archiver.home) as catalog:
        return pack_past_days(catalog, "UTC", bounded=bounded)


def raw_files(archiver: Archiver) -> list[str]:
    return sorted(path.name for path in archiver.home.raw.rglob("*.jsonl*"))


@pytest.mark.parametrize("compress_from", [0, 1 << 40])
@pytest.mark.parametrize("generation", list(BUILDERS))
def test_a_day_becomes_one_file_and_nothing_is_lost(tmp_path, monkeypatch, generation, compress_from):
    archiver, lines = grown(tmp_path, monkeypatch, generation, compress_from=compress_from)
    held, restored = archiver.held("s1"), archiver.restored("s1")
    old = list(Ledger(archiver.home.ledger).archives())
    packed = pack(archiver)
    assert (packed.joined, len(packed.packs), packed.problems) == (2 * SPLITS, 2, [])
    assert len(raw_files(archiver)) == 2
    for _ in range(2):
        assert (archiver.held("s1"), archiver.restored("s1"), archiver.damage()) == (held, restored, [])
        assert archiver.archive("s1", whole=True).new == 0
        discard(archiver.home)
    with open_catalog(archiver.home) as catalog:
        for record in old:
            found = segment_by_prefix(catalog, record["sha256"][:16])
            assert record["sha256"] in found.parts and found.path.exists()
    before = files_below(archiver.home.archives)
    assert pack(archiver).packs == []
    assert files_below(archiver.home.archives) == before


def test_each_old_hash_is_made_again_from_the_pack(tmp_path, monkeypatch):
    archiver, _ = grown(tmp_path, monkeypatch)
    pack(archiver)
    (record, *_rest) = [line for line in Ledger(archiver.home.ledger).lines() if line["kind"] == "pack"]
    members = record["segments"]
    _, parts = segments.digest_parts(archiver.home.root / record["archive_path"], [each["bytes"] for each in members])
    assert parts == [(each["sha256"], each["events"], each["bytes"]) for each in members]
    assert len(members) == SPLITS


def test_an_old_reference_to_a_line_finds_it_in_the_pack(tmp_path, monkeypatch):
    archiver, _ = grown(tmp_path, monkeypatch)
    old = {
        (record["archive_path"], number): data
        for record in Ledger(archiver.home.ledger).archives()
        for number, data in enumerate(segments.lines(archiver.home.root / record["archive_path"]), 1)
    }
    pack(archiver)
    for (path, line), data in old.items():
        file, number = locate_line(archiver.home, path, line)
        assert list(segments.lines(file))[number - 1] == data


def test_an_active_chat_goes_on_and_its_day_is_joined_when_it_is_over(tmp_path, monkeypatch):
    archiver, lines = grown(tmp_path, monkeypatch, days=(20,))
    store = JsonlStoreBuilder(archiver.state_dir)
    pack(archiver)
    for hour in range(3):
        on_day(monkeypatch, 21, 10 + hour)
        lines.append(events.message(f"later-{hour}", "more"))
        store.write("s1", lines)
        assert archiver.archive("s1").new == 1
        assert pack(archiver).packs == []
    assert len(raw_files(archiver)) == 4
    on_day(monkeypatch, 22)
    assert pack(archiver).joined == 3
    assert len(raw_files(archiver)) == 2
    assert archiver.damage() == [] and Counter(lines) - archiver.held("s1") == Counter()


def test_a_day_that_is_done_is_not_looked_at_again(tmp_path, monkeypatch):
    archiver, _ = grown(tmp_path, monkeypatch)
    assert pack(archiver, bounded=True).packs
    with open_catalog(archiver.home) as catalog:
        monkeypatch.setattr(catalog, "segments", lambda *_a, **_k: pytest.fail("all archives were looked at again"))
        assert pack_past_days(catalog, "UTC", bounded=True).packs == []


def test_one_run_joins_no_more_than_a_tick_may_take(tmp_path, monkeypatch):
    monkeypatch.setattr("moon.vault.packing.PACKS_A_RUN", 1)
    archiver, _ = grown(tmp_path, monkeypatch, days=(18, 19, 20))
    assert [(len(done.packs), done.left) for done in (pack(archiver, bounded=True) for _ in range(4))] == [
        (1, 2),
        (1, 1),
        (1, 0),
        (0, 0),
    ]


@pytest.mark.parametrize("without_catalog", [False, True])
def test_killed_at_any_step_the_archive_is_whole_and_the_next_run_completes(tmp_path, monkeypatch, without_catalog):
    prepared, _ = grown(tmp_path / "prepared", monkeypatch)
    held, restored = prepared.held("s1"), prepared.restored("s1")
    step = 0
    while True:
        folder = tmp_path / f"killed-{step}"
        shutil.copytree(tmp_path / "prepared", folder)
        archiver = Archiver(folder)
        if not killed_at(step, lambda archiver=archiver: pack(archiver)):
            break
        if without_catalog:
            discard(archiver.home)
        when = f"killed at step {step}"
        unnamed = [each for each in archiver.damage() if "is not in the ledger" not in each]
        assert (archiver.held("s1"), archiver.restored("s1"), unnamed) == (held, restored, []), when
        pack(archiver)
        assert (archiver.held("s1"), archiver.restored("s1"), archiver.damage()) == (held, restored, []), when
        assert len(raw_files(archiver)) == 2 and archiver.leftovers() == [], when
        assert archiver.archive("s1", whole=True).new == 0
        shutil.rmtree(folder)
        step += 1
    assert step > 20


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_flush_that_fails_at_any_point_of_joining_loses_nothing(tmp_path, monkeypatch, code):
    prepared, _ = grown(tmp_path / "prepared", monkeypatch)
    held, restored = prepared.held("s1"), prepared.restored("s1")
    step = 0
    while True:
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "prepared", folder)
        archiver = Archiver(folder)
        with sync_fails_at(step, code) as failed:
            try:
                pack(archiver)
            except HomeUnusable:
                pass
        if not failed:
            break
        pack(archiver)
        assert (archiver.held("s1"), archiver.restored("s1"), archiver.damage()) == (held, restored, [])
        assert len(raw_files(archiver)) == 2 and verify(archiver.home).notes == []
        step += 1
    assert step >= 4


def test_a_damaged_file_is_named_and_left_and_the_other_days_are_joined(tmp_path, monkeypatch):
    archiver, _ = grown(tmp_path, monkeypatch)
    victim = archiver.home.root / next(Ledger(archiver.home.ledger).archives())["archive_path"]
    victim.write_bytes(victim.read_bytes().replace(b"shelf", b"shelg", 1))
    before = raw_files(archiver)
    packed = pack(archiver)
    assert len(packed.packs) == 1 and [error.path for error in packed.problems] == [str(victim)]
    assert set(raw_files(archiver)) & set(before) == set(before[:SPLITS])
    assert archiver.leftovers() == []


def test_a_pack_that_was_changed_is_named_by_verify(tmp_path, monkeypatch):
    archiver, _ = grown(tmp_path, monkeypatch)
    pack(archiver)
    path = next(archiver.home.raw.rglob("*.zst"))
    path.write_bytes(path.read_bytes()[:-9])
    assert any(path.name in problem for problem in archiver.damage())


def test_a_year_of_an_idle_chat_is_hundreds_of_files(tmp_path, monkeypatch):
    """A month of it by real files: what stands is a file a day and what came today."""
    archiver = Archiver(tmp_path)
    store = JsonlStoreBuilder(archiver.state_dir)
    lines = [events.header("s1")]
    for day in range(1, 29):
        for hour in range(4):
            on_day(monkeypatch, day, 6 + hour)
            lines.append(events.message(f"e{day}-{hour}", "still here"))
            store.write("s1", lines)
            archiver.archive("s1")
            pack(archiver, bounded=True)
        assert len(raw_files(archiver)) == day - 1 + 4
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in lines)
    assert archiver.damage() == []


# Through the executables: index, pages, recall.


@pytest.fixture
def chat(tmp_path, monkeypatch):
    """Three archives of yesterday, indexed; the words of each are its own."""
    moon = Moon(tmp_path, extra={"TZ": "UTC", "MOON_TIMEZONE": "UTC"})
    store = JsonlStoreBuilder(moon.state_dir)
    lines = [events.header("s1")]
    for hour, word in enumerate(("quartz", "heron", "saffron")):
        lines += [
            events.message(f"event-{word}", f"the word of this hour is {word}"),
            events.message(f"x{hour}", "fine"),
        ]
        store.put(KEY, "s1", lines)
        env = {"MOON_NOW": f"2026-11-20T1{hour}:00:00.000Z"}
        moon.ok("archive", "--session", KEY, env=env)
        moon.ok("index", "--session", KEY, env=env)
    moon.extra["MOON_NOW"] = "2026-11-21T09:00:00.000Z"
    return moon


def recalled(moon, word):
    (result, *_rest) = moon.ok("recall", word, "--json").json()["results"]
    return result


def test_index_and_pages_follow_a_pack_and_nothing_is_indexed_anew(chat, monkeypatch):
    old = {word: recalled(chat, word) for word in ("quartz", "heron", "saffron")}
    done = chat.ok("archive", "--pack", "--json").json()
    assert done["changed"] and done["details"][0]["joined"] == 3
    indexed = chat.ok("index", "--all").json()["stations"][0]
    assert sum(entry["messages"] for entry in indexed["sessions"]) == 0, "no message went into the index again"
    pages = sorted(path.name for path in chat.home.markdown.rglob("*.md"))
    assert len(pages) == 1 and "00001-00003" in pages[0]
    for word, before in old.items():
        now = recalled(chat, word)
        assert now["event_id"] == before["event_id"] == f"event-{word}"
        file, line = locate_line(chat.home, before["archive_path"], before["line"])
        assert (chat.home.relative(file), line) == (now["archive_path"], now["line"])
        assert word.encode() in list(segments.lines(file))[line - 1]
    chat.ok("archive", "--verify")
    again = chat.ok("index", "--all").json()["stations"][0]
    assert {entry["outcome"] for entry in again["sessions"]} == {"nothing"}


def test_a_chat_of_many_days_is_one_unit_a_day_everywhere(tmp_path):
    """Files, index, pages, and lines of the list: what is made for each archive does not add up."""
    moon = Moon(tmp_path, extra={"TZ": "UTC", "MOON_TIMEZONE": "UTC"})
    store = JsonlStoreBuilder(moon.state_dir)
    lines = [events.header("s1")]
    for day in range(1, 5):
        for hour in range(3):
            env = {"MOON_NOW": f"2026-11-{day:02d}T1{hour}:00:00.000Z"}
            lines.append(events.message(f"e{day}-{hour}", f"still here on day {day} at {hour}"))
            store.put(KEY, "s1", lines)
            moon.ok("archive", "--session", KEY, env=env)
            moon.ok("index", "--session", KEY, env=env)
    today = 3
    with open_reader(moon.home.text_index) as index:
        assert index.counts() == {"segments": 3 + today, "messages": 12}
    assert len(list(moon.home.markdown.rglob("*.md"))) == 3 + today
    assert len(moon.ok("archive", "--list", "--json").json()["details"]) == 3 + today
    assert moon.run("status", "--json").json()["archives"]["archives"] == 3 + today


def test_recall_finds_an_original_between_the_pack_and_the_next_index_run(chat):
    chat.ok("archive", "--pack")
    for word in ("quartz", "heron", "saffron"):
        assert word in chat.ok("recall", "--event", f"event-{word}").stdout.decode()


def test_an_archive_that_was_never_indexed_is_indexed_with_its_pack(chat):
    store = JsonlStoreBuilder(chat.state_dir)
    lines = (store.folder / "s1.jsonl").read_bytes().splitlines()
    store.put(KEY, "s1", [*lines, events.message("event-late", "the word of this hour is walnut")])
    chat.ok("archive", "--session", KEY, env={"MOON_NOW": "2026-11-20T20:00:00.000Z"})
    chat.ok("archive", "--pack")
    chat.ok("index", "--all")
    for word in ("quartz", "heron", "saffron", "walnut"):
        found = chat.ok("recall", word, "--json").json()["results"]
        assert [each["event_id"] for each in found if word in each["snippet"]] == [
            f"event-{word if word != 'walnut' else 'late'}"
        ]


def test_the_station_joins_past_days_by_itself_and_says_so(chat):
    store = JsonlStoreBuilder(chat.state_dir)
    lines = (store.folder / "s1.jsonl").read_bytes().splitlines()
    store.put(KEY, "s1", [*lines, events.message("next-day", "good morning")])
    record = chat.ok("archive", "--session", KEY).json()["stations"][0]
    assert "3 archives" in record["packed"]
    (line,) = chat.audit("pack")
    assert line["outcome"] == "done" and len(line["ids"]) == 1
    chat.ok("index", "--session", KEY)
    assert len(list(chat.home.raw.rglob("*.jsonl*"))) == 2
    chat.ok("archive", "--verify")


def test_distilled_archives_need_no_second_distillation_as_a_pack(chat):
    chat.ok("distill", "--all", "--provider", "local")
    records = files_below(chat.home.distillations)
    chat.ok("archive", "--pack")
    chat.ok("distill", "--session", KEY)
    assert files_below(chat.home.distillations) == records


def test_the_list_names_sessions_days_and_hashes(chat):
    listed = chat.ok("archive", "--list", "--json").json()["details"]
    assert [each["day"] for each in listed] == ["2026-11-20"] * 3
    assert {each["sha256"] for each in listed} == {line["sha256"] for line in chat.ledger()}
    text = chat.ok("archive", "--list", "--session", KEY).stdout.decode()
    assert KEY in text and "2 events" in text and listed[0]["sha256"][:12] in text
    chat.ok("archive", "--pack")
    assert "3 archives joined" in chat.ok("archive", "--list").stdout.decode()
    assert chat.run("archive", "--list", "--session", "no such").code == 1


def test_a_dry_run_of_packing_changes_nothing(chat):
    before = files_below(chat.home.archives)
    assert "would join 3 archives into 1" in chat.ok("archive", "--pack", "--dry-run").stderr
    assert files_below(chat.home.archives) == before
