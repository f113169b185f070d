"""`moon-archive --repair`: what is damaged is made anew from proven bytes, and what nobody has is said to be lost."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest
import zstandard
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.crash import killed_at
from tests.support.moon import Moon, files_below
from tests.support.settings import settings
from tests.support.stores import JsonlStoreBuilder, SqliteStoreBuilder

from moon import schema
from moon.cli.archive_repair import repair
from moon.vault.catalog import discard, open_catalog
from moon.vault.chain import with_check
from moon.vault.ledger import GENESIS, Ledger, line_hash
from moon.vault.packing import pack_past_days
from moon.vault.recovery import Copies
from moon.vault.restore import restore
from moon.vault.verify import verify

KEY = "agent:main:main"


@pytest.fixture
def archiver(tmp_path):
    """Four archives of one session; the store holds all of it."""
    return filled(Archiver(tmp_path))


def filled(made: Archiver) -> Archiver:
    store = JsonlStoreBuilder(made.state_dir)
    for turns in (2, 4, 6, 8):
        store.write("s1", events.conversation("s1", turns))
        made.archive("s1")
    return made


LINES = events.conversation("s1", 8)
WHOLE = b"".join(each + b"\n" for each in LINES)


def mend(archiver: Archiver, folder=None, **options):
    """One run of the repair."""
    options = {"dry_run": False, **options}
    config = settings(openclaw={"state_dir": str(archiver.state_dir)})
    with open_catalog(archiver.home) as catalog:
        return repair(catalog, config, Copies(folder), **options)


def pack(archiver: Archiver) -> None:
    with pytest.MonkeyPatch.context() as patch, open_catalog(archiver.home) as catalog:
        patch.setenv("MOON_NOW", "2099-01-01T00:00:00.000Z")
        assert pack_past_days(catalog, "UTC", bounded=False).packs


def archive_path(archiver: Archiver, number: int):
    return archiver.home.root / list(Ledger(archiver.home.ledger).archives())[number]["archive_path"]


def spoil(path, old: bytes, new: bytes) -> None:
    """Change bytes inside an archive, plain or compressed."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        assert old in plain
        path.write_bytes(zstandard.ZstdCompressor().compress(plain.replace(old, new)))
        return
    assert old in data
    path.write_bytes(data.replace(old, new))


DAMAGES = {
    "changed": lambda path: spoil(path, b"lantern", b"lanterm"),
    "gone": lambda path: path.unlink(),
    "short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\xff" * 200),
}


def is_sound(archiver: Archiver) -> None:
    """Nothing is wrong, and a second run finds nothing to do."""
    assert archiver.damage() == []
    before = files_below(archiver.home.archives)
    again = mend(archiver)
    assert not again.changed() and again.problems == []
    assert files_below(archiver.home.archives) == before


@pytest.mark.parametrize("packed", [False, True], ids=["segments", "pack"])
@pytest.mark.parametrize("without_catalog", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_the_store_holds_is_made_anew_with_the_same_hash(archiver, damage, without_catalog, packed):
    if packed:
        pack(archiver)
    names = [line["archive_path"] for line in Ledger(archiver.home.ledger).archives()]
    DAMAGES[damage](archiver.home.root / names[-1])
    if without_catalog:
        discard(archiver.home)
    assert archiver.damage()
    done = mend(archiver)
    assert (len(done.remade), done.retired, done.lost) == (1, [], 0)
    assert archiver.restored("s1") == WHOLE
    assert [line["archive_path"] for line in Ledger(archiver.home.ledger).archives()] == names
    is_sound(archiver)
    assert archiver.archive("s1", whole=True).new == 0
    discard(archiver.home)
    assert archiver.archive("s1", whole=True).new == 0 and archiver.restored("s1") == WHOLE


def test_a_line_of_nothing_that_fits_its_hash_stops_no_repair(archiver):
    victim = archive_path(archiver, 1)
    lines = archiver.home.ledger.read_bytes().splitlines()
    record = json.loads(lines[1])
    del record["check"]
    lines[1] = with_check(json.dumps({**record, "events": 0}).encode())
    archiver.home.ledger.write_bytes(b"".join(each + b"\n" for each in lines))
    victim.unlink()
    discard(archiver.home)
    mend(archiver)
    archiver.archive("s1", whole=True)
    assert sorted(archiver.restored("s1").splitlines()) == sorted(LINES)
    mend(archiver)
    is_sound(archiver)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain copy", "compressed copy"])
@pytest.mark.parametrize("packed", ["", "before the copy", "after the copy"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_copy_mends_what_the_store_has_lost(archiver, tmp_path, damage, packed, compressed):
    if packed == "before the copy":
        pack(archiver)
    copy = tmp_path / "backup" / "deep"
    shutil.copytree(archiver.home.raw, copy)
    if compressed:
        for path in copy.rglob("*.jsonl"):
            path.with_suffix(".jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
            path.unlink()
    if packed == "after the copy":
        pack(archiver)
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    DAMAGES[damage](archive_path(archiver, 0))
    discard(archiver.home)
    done = mend(archiver, tmp_path / "backup", force=True)
    assert (len(done.remade), done.lost) == (1, 0)
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_what_nobody_has_is_retired_and_the_rest_keeps_its_place(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    victim = archive_path(archiver, 1)
    spoil(victim, b"answer number 2", b"answer number X")
    done = mend(archiver)
    assert (done.remade, len(done.retired), done.lost) == ([], 1, 1)
    lost = next(each for each in LINES if b"answer number 2" in each)
    expected = [each for each in LINES if each != lost]
    for _ in range(2):
        assert archiver.restored("s1") == b"".join(each + b"\n" for each in expected)
        assert archiver.held("s1") == Counter(expected)
        assert archiver.archive("s1", whole=True).new == 0
        discard(archiver.home)
    is_sound(archiver)
    checked = verify(archiver.home)
    assert checked.retired == 1 and "1 event retired" in checked.describe()
    (record,) = [line for line in Ledger(archiver.home.ledger).lines() if line["kind"] == "retired"]
    assert (record["events"], record["lost"], record["first_event_id"], record["session_id"]) == (4, 1, "s1-u2", "s1")
    (kept,) = list(archiver.home.quarantine.glob("*.jsonl"))
    assert b"answer number X" in kept.read_bytes(), "the damaged file itself is kept aside"


def test_without_the_catalog_a_lost_archive_is_lost_but_for_what_the_store_holds(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", [LINES[0], *LINES[6:]])
    spoil(archive_path(archiver, 1), b"answer number 2", b"answer number X")
    discard(archiver.home)
    done = mend(archiver)
    assert (len(done.retired), done.lost) == (1, 1), "of four events the store holds three"
    assert Counter(archiver.restored("s1").splitlines()) == Counter(each for each in LINES if each != LINES[5])
    assert set(Counter(archiver.held("s1")).values()) == {1}
    is_sound(archiver)


def test_of_a_damaged_pack_only_what_is_damaged_is_lost(archiver):
    pack(archiver)
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    spoil(archive_path(archiver, 0), b"answer number 3", b"answer number X")
    done = mend(archiver)
    assert (done.remade, len(done.retired), done.lost) == ([], 1, 1)
    expected = [each for each in LINES if b"answer number 3" not in each]
    for _ in range(2):
        assert archiver.restored("s1") == b"".join(each + b"\n" for each in expected)
        discard(archiver.home)
    is_sound(archiver)
    pack(archiver)
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in expected)
    is_sound(archiver)


def test_a_compressed_pack_that_breaks_off_keeps_what_can_be_read(archiver):
    pack(archiver)
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    path = archive_path(archiver, 0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    done = mend(archiver)
    held = archiver.restored("s1").splitlines()
    assert len(held) == len(LINES) - done.lost and held == [each for each in LINES if each in set(held)]
    is_sound(archiver)


@pytest.mark.parametrize("without_catalog", [False, True])
@pytest.mark.parametrize("place", range(4))
def test_damage_of_the_ledger_is_accounted_for_once_all_is_saved(archiver, place, without_catalog):
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join([*lines[:place], b"garbage\n", *lines[place + 1 :]]))
    if without_catalog:
        discard(archiver.home)
    assert archiver.damage()
    done = mend(archiver)
    assert done.accounted and archiver.restored("s1") == WHOLE
    is_sound(archiver)
    assert "accounted for" in verify(archiver.home).describe()
    assert set(archiver.held("s1").values()) == {1}
    data = archiver.home.ledger.read_bytes()
    archiver.home.ledger.write_bytes(data.replace(b"garbage", b"garbagE"))
    assert archiver.damage(), "damage that is not the one named still counts"


def test_a_lost_line_in_the_middle_is_accounted_for(archiver):
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join([lines[0], *lines[2:]]))
    mend(archiver)
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_a_line_of_a_later_kind_is_never_accounted_for(archiver):
    archiver.home.ledger.write_bytes(
        archiver.home.ledger.read_bytes()
        + json.dumps(
            {
                "schema": "moon.archive/1",
                "kind": "moved",
                "agent": "",
                "session_key": "",
                "prev": Ledger(archiver.home.ledger).tip(),
            }
        ).encode()
        + b"\n"
    )
    assert any("moved" in problem for problem in archiver.damage())
    mend(archiver)
    assert any("moved" in problem for problem in archiver.damage())


@pytest.mark.parametrize("without_catalog", [False, True])
def test_a_pack_whose_line_is_damaged_is_a_pack_again(archiver, without_catalog):
    pack(archiver)
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join([*lines[:-1], b"garbage\n"]))
    if without_catalog:
        discard(archiver.home)
    mend(archiver)
    assert archiver.restored("s1") == WHOLE and set(archiver.held("s1").values()) == {1}
    is_sound(archiver)


def test_a_ledger_that_is_gone_is_made_anew_from_the_files(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    archiver.home.ledger.unlink()
    discard(archiver.home)
    assert len(mend(archiver).adopted) == 4
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_an_unnamed_file_whose_name_says_nothing_is_taken_in_too(archiver):
    stray = archiver.home.raw / "main" / "odd..00001.jsonl"
    stray.write_bytes(events.message("x", "who wrote this") + b"\n")
    assert mend(archiver).adopted == [stray.name]
    is_sound(archiver)


def test_an_unnamed_file_of_a_session_that_no_store_lists_is_taken_in(archiver):
    archiver.home.ledger.unlink()
    discard(archiver.home)
    shutil.rmtree(archiver.state_dir)
    assert len(mend(archiver).adopted) == 4
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_a_line_that_names_an_archive_twice_is_accounted_for(archiver):
    ledger = Ledger(archiver.home.ledger)
    ledger.append({name: value for name, value in list(ledger.lines())[1].items() if name != "prev"})
    assert verify(archiver.home).notes
    assert mend(archiver).accounted == 1
    assert not any("second time" in note for note in verify(archiver.home).notes)
    is_sound(archiver)


def test_a_file_that_is_only_out_of_reach_is_not_written_off(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    victim = archive_path(archiver, 1)
    aside = victim.with_name("aside")
    victim.rename(aside)
    victim.mkdir()
    done = mend(archiver)
    assert done.retired == [] and [problem.path for problem in done.problems] == [str(victim)]
    victim.rmdir()
    aside.rename(victim)
    is_sound(archiver)


def test_an_empty_archive_folder_looks_like_a_disk_that_is_not_mounted(tmp_path):
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", LINES)
    moon.ok("archive", "--session", KEY)
    store.put(KEY, "s1", LINES[-2:])
    shutil.rmtree(moon.home.raw)
    before = moon.home.ledger.read_bytes()
    done = moon.run("archive", "--repair")
    assert done.code == 1 and "mount" in done.stderr and "--force" in done.stderr
    assert moon.home.ledger.read_bytes() == before
    forced = moon.ok("archive", "--repair", "--force")
    assert "15 events lost" in forced.stderr and "15 events retired" in moon.ok("archive", "--verify").stderr


@pytest.mark.parametrize("packed", [False, True], ids=["segments", "pack"])
def test_killed_at_any_step_the_next_run_mends_it(tmp_path, packed):
    prepared = filled(Archiver(tmp_path / "prepared"))
    if packed:
        pack(prepared)
    JsonlStoreBuilder(prepared.state_dir).write("s1", LINES[-1:])
    spoil(archive_path(prepared, 0 if packed else 1), b"answer number 3", b"answer number X")
    lines = prepared.home.ledger.read_bytes().splitlines(keepends=True)
    prepared.home.ledger.write_bytes(b"".join([*lines[:2], b"x" * (len(lines[2]) - 1) + b"\n", *lines[3:]]))
    expected = [each for each in LINES if b"answer number 3" not in each]
    step = 0
    while True:
        folder = tmp_path / f"killed-{step}"
        shutil.copytree(tmp_path / "prepared", folder)
        archiver = Archiver(folder)
        killed = killed_at(step, lambda archiver=archiver: mend(archiver))
        mend(archiver)
        assert Counter(archiver.restored("s1").splitlines()) == Counter(expected), f"killed at step {step}"
        is_sound(archiver)
        shutil.rmtree(folder)
        if not killed:
            break
        step += 1
    assert step > 10


def test_a_dry_run_says_all_and_changes_nothing(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[5:])
    DAMAGES["gone"](archive_path(archiver, 0))
    spoil(archive_path(archiver, 3), b"lantern", b"lanterm")
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:]]))
    with open_catalog(archiver.home):
        pass
    before = files_below(archiver.home.archives)
    done = mend(archiver, dry_run=True)
    assert (len(done.remade), len(done.retired), len(done.adopted)) == (1, 1, 1) and done.accounted
    assert files_below(archiver.home.archives) == before


def test_a_damaged_retirement_is_written_again(archiver):
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES[-1:])
    DAMAGES["gone"](archive_path(archiver, 1))
    mend(archiver)
    data = archiver.home.ledger.read_bytes()
    archiver.home.ledger.write_bytes(data.replace(b'"kind": "retired"', b'"kind"; "retired"'))
    archiver.archive("s1")
    assert archiver.damage()
    mend(archiver)
    assert archiver.restored("s1") == b"".join(each + b"\n" for each in LINES if each not in LINES[5:9])
    is_sound(archiver)


def test_what_can_be_read_is_restored_though_one_archive_is_gone(tmp_path):
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    for turns in (2, 4):
        store.put(KEY, "s1", events.conversation("s1", turns))
        moon.ok("archive", "--session", KEY)
    (moon.home.root / moon.ledger()[0]["archive_path"]).unlink()
    done = moon.run("archive", "--restore", KEY, "--to", str(tmp_path / "back"))
    assert done.code == 3 and "--repair" in done.stderr
    assert (tmp_path / "back").read_bytes() == b"".join(each + b"\n" for each in events.conversation("s1", 4)[5:])


# Links.


def with_rollover(archiver: Archiver, *, arrived: bool = True) -> dict[str, object]:
    """A map, the window that opened with it, and the ledger's line of both."""
    rollover = "20261122T060000000Z-abc123"
    document = {
        "schema": "moon.continuity/1",
        "rollover_id": rollover,
        "agent": "main",
        "session_key": KEY,
        "from_session_id": "s1",
        "boundary_event_id": "s1-a7",
        "created_at": "2026-11-01T00:00:00.000Z",
        **{
            name: []
            for name in ("summary", "decisions", "rules", "milestones", "open_tasks", "identifiers", "archives")
        },
        **{name: [] for name in ("memory_files", "recall_hints")},
    }
    archiver.home.continuity.mkdir(parents=True)
    schema.write("continuity", document, archiver.home.continuity / f"{rollover}.json")
    text = f"# Continuity map {rollover}\nit goes on" if arrived else "hello"
    JsonlStoreBuilder(archiver.state_dir).write("s1", [*LINES, events.reset("r1"), events.message("m1", text)])
    record = {
        "schema": "moon.archive/1",
        "kind": "link",
        "agent": "main",
        "session_key": KEY,
        "from_session_id": "s1",
        "to_session_id": "s1",
        "to_session_key": KEY,
        "boundary_event_id": "s1-a7",
        "continuity_path": f"continuity/{rollover}.json",
        "rollover_id": rollover,
        "linked_at": "2026-11-01T00:00:09.000Z",
    }
    Ledger(archiver.home.ledger).append(record)
    return record


def links(archiver: Archiver) -> list[dict[str, object]]:
    wanted = ("from_session_id", "to_session_id", "to_session_key", "boundary_event_id", "continuity_path")
    return [{name: line[name] for name in wanted} for line in Ledger(archiver.home.ledger).links()]


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.97], ids=["little", "half", "nearly all"])
@pytest.mark.parametrize("archived", [False, True], ids=["in the store", "in the archive"])
def test_a_torn_link_is_found_again(archiver, kept, archived):
    record = with_rollover(archiver)
    before = links(archiver)
    data = archiver.home.ledger.read_bytes()
    last = data.splitlines(keepends=True)[-1]
    archiver.home.ledger.write_bytes(data[: len(data) - len(last) + int(len(last) * kept)])
    assert links(archiver) == []
    if archived:
        archiver.archive("s1")  # which sets the torn line aside
        shutil.rmtree(archiver.state_dir)
    done = mend(archiver)
    assert done.linked == [record["rollover_id"]] and links(archiver) == before
    is_sound(archiver)


def test_a_damaged_link_is_found_again_from_what_is_left_of_it(archiver):
    with_rollover(archiver, arrived=False)
    before = links(archiver)
    data = archiver.home.ledger.read_bytes()
    archiver.home.ledger.write_bytes(data.replace(b'{"schema": "moon.archive/1", "kind": "link"', b"\x00" * 43))
    assert links(archiver) == []
    mend(archiver)
    assert links(archiver) == before
    is_sound(archiver)


def test_a_map_that_never_arrived_gets_no_link_and_one_under_way_is_left_to_its_journal(archiver):
    record = with_rollover(archiver)
    lines = archiver.home.ledger.read_bytes().splitlines(keepends=True)
    archiver.home.ledger.write_bytes(b"".join(lines[:-1]))
    journal = {
        "schema": "moon.rollover/1",
        "rollover_id": record["rollover_id"],
        "agent": "main",
        "session_key": KEY,
        "from_session_id": "s1",
        "boundary_event_id": "s1-a7",
        "mode": "reset",
        "step": "opened",
    }
    path = archiver.home.rollover_journal("main", KEY)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(journal))
    assert mend(archiver).linked == []
    path.unlink()
    JsonlStoreBuilder(archiver.state_dir).write("s1", LINES)
    assert mend(archiver).linked == []


# The command.


def test_the_command_says_what_it_did_and_leaves_an_audit_line(tmp_path):
    moon = Moon(tmp_path)
    store = JsonlStoreBuilder(moon.state_dir)
    for turns in (2, 4):
        store.put(KEY, "s1", events.conversation("s1", turns))
        moon.ok("archive", "--session", KEY)
    path = moon.home.root / moon.ledger()[0]["archive_path"]
    spoil(path, b"lantern", b"lanterm")
    assert moon.run("archive", "--verify").code == 1
    would = moon.ok("archive", "--repair", "--dry-run")
    assert "would be: 1 archive made anew" in would.stderr
    done = moon.ok("archive", "--repair", "--json")
    report = done.json()
    assert report["changed"] and len(report["details"][0]["remade"]) == 1
    assert "made anew from" in done.stderr
    moon.ok("archive", "--verify")
    (line,) = moon.audit("repair")
    assert (line["outcome"], line["lost"]) == ("done", 0) and line["ids"] == report["details"][0]["remade"]
    again = moon.ok("archive", "--repair", "--json").json()
    assert again["changed"] is False and "nothing to mend" in again["outcome"]
    assert len(moon.audit("repair")) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--repair", "--verify"),
        ("--from", "."),
        ("--repair", "--from", "/no/such/folder"),
        ("--force",),
        ("--list", "--pack"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, arguments):
    assert Moon(tmp_path).run("archive", *arguments).code == 2


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_what_was_set_aside_is_made_anew_or_said_to_be_lost(tmp_path, damage):
    made = Archiver(tmp_path)
    store = SqliteStoreBuilder(made.state_dir)
    store.write("s1", [events.header("s1"), b'{"id":"odd","text":"one\ntwo"}'])
    made.archive("s1")
    (path,) = made.home.quarantine.glob("*.bin")
    kept = path.read_bytes()
    copies = tmp_path / "copies"
    shutil.copytree(made.home.quarantine, copies)

    def spoil_it() -> None:
        path.write_bytes(kept[:-1]) if damage == "changed" else path.unlink()
        assert "set aside" in made.damage()[0]

    spoil_it()
    assert mend(made, dry_run=True).remade and made.damage()
    assert mend(made).remade == [path.stem] and path.read_bytes() == kept
    is_sound(made)
    store.write("s1", [events.header("s1")])
    spoil_it()
    assert mend(made, copies).remade == [path.stem] and path.read_bytes() == kept
    is_sound(made)
    spoil_it()
    done = mend(made)
    assert (done.remade, done.retired, done.lost) == ([], [path.stem], 1)
    assert verify(made.home).retired == 1
    is_sound(made)
    store.write("s1", [events.header("s1"), kept])
    made.archive("s1", whole=True)
    assert path.read_bytes() == kept and verify(made.home).retired == 0
    is_sound(made)


def changed(raw: bytes, field: str) -> bytes:
    """A line of the ledger with one character of a field changed."""
    at = raw.index(f'"{field}": '.encode()) + len(field) + 4
    at += raw[at : at + 1] == b'"'
    return raw[:at] + (b"1" if raw[at : at + 1] != b"1" else b"2") + raw[at + 1 :]


def without_checks(archiver: Archiver) -> None:
    """The ledger as it was before lines had a hash of themselves."""
    before, lines = GENESIS, []
    for record in Ledger(archiver.home.ledger).lines():
        lines.append(json.dumps({name: value for name, value in record.items() if name != "check"} | {"prev": before}))
        before = line_hash(lines[-1].encode())
    archiver.home.ledger.write_text("".join(f"{line}\n" for line in lines))


FIELDS = ("sha256", "events", "bytes", "ordinal", "session_id", "archive_path", "last_event_id", "prev", "check")


@pytest.mark.parametrize("without_catalog", [False, True])
@pytest.mark.parametrize("in_the_store", [False, True])
@pytest.mark.parametrize(("place", "field"), [*((-1, name) for name in FIELDS), (0, "sha256"), (1, "bytes")])
@pytest.mark.parametrize("packed", [False, True], ids=["segments", "pack"])
def test_a_changed_line_condemns_no_sound_archive(archiver, place, field, packed, in_the_store, without_catalog):
    if packed:
        pack(archiver)
    raw = archiver.home.ledger.read_bytes().splitlines()
    raw[place] = changed(raw[place], field)
    archiver.home.ledger.write_bytes(b"\n".join(raw) + b"\n")
    check_that_nothing_is_condemned(archiver, in_the_store, without_catalog)


@pytest.mark.parametrize("without_catalog", [False, True])
@pytest.mark.parametrize("in_the_store", [False, True])
def test_a_changed_line_from_before_lines_had_a_hash_of_themselves(archiver, in_the_store, without_catalog):
    without_checks(archiver)
    assert archiver.damage() == []
    raw = archiver.home.ledger.read_bytes().splitlines()
    archiver.home.ledger.write_bytes(b"\n".join([changed(raw[0], "sha256"), *raw[1:]]) + b"\n")
    check_that_nothing_is_condemned(archiver, in_the_store, without_catalog)


def check_that_nothing_is_condemned(archiver: Archiver, in_the_store: bool, without_catalog: bool) -> None:
    files = files_below(archiver.home.raw)
    if not in_the_store:
        shutil.rmtree(archiver.state_dir)
    if without_catalog:
        archiver.home.catalog.unlink()
    assert archiver.damage() != []
    mended = mend(archiver)
    assert (mended.retired, mended.lost, mended.aside, mended.problems) == ([], 0, [], [])
    assert files_below(archiver.home.raw) == files
    assert archiver.restored("s1") == WHOLE and archiver.held("s1") == Counter(LINES)
    is_sound(archiver)


def test_a_line_that_breaks_its_schema_is_accounted_for(archiver):
    ledger = archiver.home.ledger
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"malformed": 0', b'"malformed": -1')
    ledger.write_bytes(b"".join(lines))
    discard(archiver.home)
    assert archiver.damage()
    assert mend(archiver).accounted == 2
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_a_retired_line_that_stands_twice_stops_nobody(archiver):
    spoil(archive_path(archiver, 1), b"answer number 3", b"answer number X")
    JsonlStoreBuilder(archiver.state_dir).write("s1", [])
    mend(archiver)
    line = next(line for line in archiver.home.ledger.read_bytes().splitlines(keepends=True) if b'"retired"' in line)
    with archiver.home.ledger.open("ab") as stream:
        stream.write(line)
    for _ in range(2):
        JsonlStoreBuilder(archiver.state_dir).write("s2", events.conversation("s2", 1))
        archiver.archive("s2")
        discard(archiver.home)
    mend(archiver)
    is_sound(archiver)


def test_a_sound_pack_whose_line_is_wrong_is_named_again(archiver):
    pack(archiver)
    sha256 = next(Ledger(archiver.home.ledger).archives())["sha256"]
    wrong = archiver.home.ledger.read_bytes().replace(sha256.encode(), b"0" * 64)
    archiver.home.ledger.write_bytes(wrong)
    assert archiver.damage()
    done = mend(archiver)
    assert (done.remade, done.retired, len(done.adopted)) == ([], [], 1)
    assert archiver.restored("s1") == WHOLE
    is_sound(archiver)


def test_a_catalog_with_a_wrong_hash_is_made_anew(archiver):
    with open_catalog(archiver.home) as catalog, catalog.connection:
        catalog.connection.execute("UPDATE files SET sha256 = replace(sha256, 'a', 'b')")
    assert archiver.damage() == []
    assert not mend(archiver).changed()
    with open_catalog(archiver.home) as catalog:
        assert restore(catalog, "main", "s1", lambda data: None).damaged == ()


def test_a_pack_is_never_joined_into_itself(archiver):
    """A damaged line gives a segment of a pack another name, so that its own is looked for once more beside it."""
    pack(archiver)
    raw = archiver.home.ledger.read_bytes()
    head, mark, tail = raw.partition(b'"segments": [{"archive_path": "archives/raw/main')
    archiver.home.ledger.write_bytes(head + mark[:-4] + b"mai0" + tail)
    discard(archiver.home)
    mend(archiver)
    assert archiver.damage() == []
    with pytest.MonkeyPatch.context() as patch, open_catalog(archiver.home) as catalog:
        patch.setenv("MOON_NOW", "2099-01-02T00:00:00.000Z")
        pack_past_days(catalog, "UTC", bounded=False)
    assert archiver.damage() == []
    assert sorted(archiver.restored("s1").splitlines()) == sorted(LINES)


def test_nothing_is_written_off_while_openclaws_store_is_out_of_reach(tmp_path):
    moon = Moon(tmp_path)
    SqliteStoreBuilder(moon.state_dir).put("agent:main:main", "s1", events.conversation("s1", 5))
    moon.ok("snapshot")
    (archive,) = moon.home.raw.rglob("*.jsonl")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    away = moon.state_dir.rename(tmp_path / "away")
    waits = moon.run("archive", "--repair")
    assert waits.code in (1, 3)
    assert "once OpenClaw's store can be read" in waits.stderr
    assert [line for line in moon.ledger() if line["kind"] == "retired"] == []
    away.rename(moon.state_dir)
    moon.ok("archive", "--repair")
    assert "all as recorded" in moon.ok("archive", "--verify").stderr
    archive.write_bytes(data)
    moon.state_dir.rename(tmp_path / "away")
    moon.ok("archive", "--repair", "--force")
    assert len([line for line in moon.ledger() if line["kind"] == "retired"]) == 1
