"""Copies: what is put, found again, put right and brought back, in folders and in a real S3 server."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.archiving import Archiver
from tests.support.buckets import Buckets, serving
from tests.support.crash import killed_at
from tests.support.mirrors import Mirrored, head_of, restore_into, restored, same_archive
from tests.support.settings import settings

from moon.copies.copied import not_copied
from moon.copies.copy_errors import CopyExists, ObjectMissing
from moon.copies.copy_record import record_file
from moon.copies.place import Place, open_place
from moon.copies.sealing import Unsealed
from moon.errors import MoonError
from moon.guard.coverage import NotCopiedYet, require_coverage
from moon.host_id import host_file, known_host
from moon.mirror.mirror_station import lock_file
from moon.openclaw.transcript_store import Transcript
from moon.vault.catalog import open_catalog
from moon.vault.forgetting import Tombstone, all_of, forget
from moon.vault.ledger import Ledger
from moon.vault.packing import pack_past_days
from moon.vault.verify import verify

pyrage = pytest.importorskip("pyrage")


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with serving() as served:
        yield served


@pytest.fixture(params=["folder", "bucket"])
def place_url(request, tmp_path: Path, buckets: Buckets, monkeypatch) -> str:
    """An empty place of each kind."""
    if request.param == "folder":
        (tmp_path / "nas").mkdir()
        return f"file://{tmp_path / 'nas'}"
    for name, value in buckets.environment().items():
        monkeypatch.setenv(name, value)
    return buckets.make(f"b{uuid.uuid4().hex}") + "/some/prefix"


@pytest.fixture
def key() -> tuple[str, bytes]:
    """(recipient, identity)"""
    made = pyrage.x25519.Identity.generate()
    return str(made.to_public()), str(made).encode()


@pytest.fixture
def nas(tmp_path: Path) -> str:
    (tmp_path / "nas").mkdir()
    return f"file://{tmp_path / 'nas'}"


class TestPlaces:
    """Every kind of place does the same."""

    def test_an_object_is_made_once_and_never_written_over(self, place_url: str):
        place = open_place(place_url, seconds=10)
        place.create("h/archives/raw/a b/x.jsonl", b"first")
        with pytest.raises(CopyExists):
            place.create("h/archives/raw/a b/x.jsonl", b"other")
        assert place.get("h/archives/raw/a b/x.jsonl", 100) == b"first"

    def test_what_is_replaced_listed_removed_and_missing(self, place_url: str):
        place: Place = open_place(place_url, seconds=10)
        assert list(place.list("h/ledger")) == [] and list(place.folders()) == []
        place.replace("h/head.json", b"one")
        place.replace("h/head.json", b"two")
        place.create("h/ledger/0001/00000001", b"12345")
        place.create("hh/ledger/0001/00000001", b"1")
        assert place.get("h/head.json", 10) == b"two"
        assert [(each.name, each.bytes) for each in place.list("h/ledger")] == [("h/ledger/0001/00000001", 5)]
        assert list(place.folders()) == ["h", "hh"]
        place.delete("h/head.json")
        place.delete("h/head.json")
        with pytest.raises(ObjectMissing):
            place.get("h/head.json", 10)
        with pytest.raises(MoonError):
            place.get("h/ledger/0001/00000001", 4)


def sealing(url: str, key: tuple[str, bytes]) -> dict[str, object]:
    """A bucket is always sealed; a folder here is not."""
    return {"recipients": [key[0]]} if url.startswith("s3") else {"encrypt": "off"}


def test_a_home_is_copied_once_and_comes_back_whole(place_url: str, tmp_path: Path, key):
    mirrored = Mirrored(tmp_path / "a", place_url, sealing(place_url, key))
    for number in range(3):
        mirrored.hear(f"s{number}", 4)
    (mirrored.home.memory).mkdir()
    (mirrored.home.memory / "2026-11-22.md").write_text("what was decided\n")
    outcome = mirrored.copy()
    assert (outcome.error, outcome.problems(), outcome.done.objects, outcome.done.left) == (None, [], 4, 0)
    again = mirrored.copy()
    assert (again.done.objects, again.done.parts) == (0, 0), "what is there is not put again"
    home = restored(place_url, tmp_path / "b", mirrored.host, key[1], sealed=place_url.startswith("s3"))
    assert same_archive(mirrored.home, home)
    assert (home.memory / "2026-11-22.md").read_text() == "what was decided\n"
    assert host_file(home).stat().st_mode & 0o077 == 0 and home.ledger.stat().st_mode & 0o077 == 0


def test_what_leaves_the_machine_says_nothing_and_opens_with_the_key_alone(place_url, tmp_path, key):
    recipient, identity = key
    mirrored = Mirrored(tmp_path / "a", place_url, {"recipients": [recipient]})
    mirrored.hear("sunflower", 3, words="the vault code is kingfisher")
    mirrored.home.memory.mkdir()
    (mirrored.home.memory / "2026-11-22.md").write_text("the vault code is kingfisher\n")
    assert mirrored.copy().problems() == []
    place = mirrored.place()
    names = [each.name for each in place.list(mirrored.host)]
    there = b"".join(place.get(name, 1 << 20) for name in names) + " ".join(names).encode()
    for word in (b"kingfisher", b"lantern", b"agent-main", b"sunflower", b"2026-11-22.md", b"session_key"):
        assert word not in there.replace(mirrored.host.encode(), b""), word
    home = restored(place_url, tmp_path / "b", mirrored.host, identity, sealed=True)
    assert same_archive(mirrored.home, home)
    assert "kingfisher" in (home.memory / "2026-11-22.md").read_text()


def test_the_wrong_key_and_no_key_are_told_and_leave_nothing_behind(nas, tmp_path, key):
    mirrored = Mirrored(tmp_path / "a", nas, {"recipients": [key[0]]})
    mirrored.hear("s1")
    mirrored.copy()
    other = str(pyrage.x25519.Identity.generate()).encode()
    for identity in (other, b""):
        with pytest.raises(MoonError) as caught:
            restored(nas, tmp_path / "b", mirrored.host, identity, sealed=True)
        assert caught.value.code == "copy_key" and "identity" in caught.value.hint
        assert not (tmp_path / "b" / "archives").exists()


def test_three_hosts_share_a_place_and_do_not_meet(place_url, tmp_path, key):
    sealed = place_url.startswith("s3")
    homes = [Mirrored(tmp_path / name, place_url, sealing(place_url, key)) for name in ("a", "b", "c")]
    for number, each in enumerate(homes):
        each.hear("s1", 3, words=f"only host {number} heard this")
        assert each.copy().problems() == []
    assert len({each.host for each in homes}) == 3
    for each in homes:
        again = restored(place_url, tmp_path / f"again-{each.host}", each.host, key[1], sealed=sealed)
        assert same_archive(each.home, again)


def test_only_what_is_new_is_put_and_what_was_joined_is_removed(nas, tmp_path, monkeypatch):
    mirrored = Mirrored(tmp_path / "a", nas)
    for start in range(0, 9, 3):
        monkeypatch.setenv("MOON_NOW", f"2026-11-22T06:0{start}:00Z")
        mirrored.hear("s1", 3, start)
        assert mirrored.copy().done.objects == 1
    monkeypatch.setenv("MOON_NOW", "2026-11-24T06:00:00Z")
    with open_catalog(mirrored.home) as catalog:
        assert pack_past_days(catalog, "UTC", bounded=False).packs
    outcome = mirrored.copy()
    assert (outcome.problems(), outcome.done.objects, outcome.done.removed) == ([], 1, 3)
    names = [each.name for each in mirrored.place().list(f"{mirrored.host}/archives")]
    assert len(names) == 1 and "00001-00003" in names[0]
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))


def test_a_record_that_is_lost_is_made_anew_from_the_copy_without_a_key(place_url, tmp_path, key):
    mirrored = Mirrored(tmp_path / "a", place_url, {"recipients": [key[0]]})
    mirrored.hear("s1")
    mirrored.home.memory.mkdir()
    (mirrored.home.memory / "standing.md").write_text("never on Fridays\n")
    mirrored.copy()
    before = mirrored.record()
    record_file(mirrored.home, place_url).unlink()
    mirrored.hear("s2")
    outcome = mirrored.copy()
    assert outcome.problems() == [] and outcome.done.objects == 1, "only the new session"
    after = mirrored.record()
    assert after.ledger_end > before.ledger_end and after.missing == [] and after.remove == []
    assert same_archive(mirrored.home, restored(place_url, tmp_path / "b", mirrored.host, key[1], sealed=True))


def test_a_part_that_was_put_and_not_noted_is_taken_in(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    mirrored.copy()
    before = record_file(mirrored.home, nas).read_bytes()
    mirrored.hear("s2")
    mirrored.copy()
    record_file(mirrored.home, nas).write_bytes(before)  # as a kill between the two leaves it
    (mirrored.folder / "nas").mkdir(exist_ok=True)
    outcome = mirrored.copy()
    assert (outcome.problems(), outcome.done.objects) == ([], 0)
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))


def test_an_object_without_its_part_is_put_again_beside_and_then_removed(nas, tmp_path, key):
    """As a kill between an object and its part leaves it; what was sealed is other bytes each time."""
    mirrored = Mirrored(tmp_path / "a", nas, {"recipients": [key[0]]})
    mirrored.hear("s1")
    mirrored.copy()
    for name in ("ledger", "head.json"):
        target = tmp_path / "nas" / mirrored.host / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    record_file(mirrored.home, nas).unlink()
    outcome = mirrored.copy()
    assert outcome.problems() == [] and outcome.done.removed == 1
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host, key[1], sealed=True))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("step", [1, 3, 8])
def test_what_a_killed_run_put_goes_when_it_is_forgotten(nas, tmp_path, key, sealed, step):
    """No part ever names it: neither an object nor what was not finished of one may stay."""
    mirrored = Mirrored(tmp_path / "a", nas, {"recipients": [key[0]]} if sealed else {"encrypt": "off"})
    for path, text in (("standing", "kept"), ("2026-11-29", "this too")):
        mirrored.home.memory.mkdir(exist_ok=True)
        (mirrored.home.memory / f"{path}.md").write_text(text)
    mirrored.hear("s1")
    mirrored.copy()
    before = {path for path in (tmp_path / "nas").rglob("*") if path.is_file()}
    mirrored.hear("s2", words="the saffron lighthouse")
    assert killed_at(step, mirrored.copy)
    with open_catalog(mirrored.home) as catalog:
        for file in list(catalog.segments("main", "s2")):
            forget(catalog, all_of(catalog, file), Tombstone("2026-11-29T08:00:00.000Z", "asked for", "all"))
    assert mirrored.copy().problems() == []
    now = {path for path in (tmp_path / "nas").rglob("*") if path.is_file()}
    assert {path for path in now - before if "ledger" not in path.parts} == set()
    assert before <= now
    restored(nas, tmp_path / "b", mirrored.host, key[1] if sealed else b"", sealed=sealed)


def test_time_that_is_over_leaves_the_rest_to_the_next_run(nas, tmp_path, monkeypatch):
    monkeypatch.setattr("moon.mirror.copy_plan.FILES", 2)
    mirrored = Mirrored(tmp_path / "a", nas)
    for number in range(7):
        mirrored.hear(f"s{number}", 1)
    outcome = mirrored.copy(seconds=0)
    assert outcome.error is None and outcome.done.objects == 2 and outcome.done.left > 0
    assert head_of(mirrored.place(), mirrored.host)["behind"] == outcome.done.left
    while mirrored.copy(seconds=0).done.left:
        pass
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))


def test_a_damaged_archive_is_not_copied_and_stops_no_other(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    for number in range(3):
        mirrored.hear(f"s{number}", 2)
    victim = next(mirrored.home.raw.glob("*/*s1*"))
    sound = victim.read_bytes()
    victim.write_bytes(sound[:-5])
    outcome = mirrored.copy()
    (problem,) = outcome.problems()
    assert problem.code == "archive_damaged" and victim.name in problem.message and "--repair" in problem.hint
    assert outcome.done.objects == 2
    path = mirrored.home.relative(victim)
    assert mirrored.record().missing == [path] and not_copied(mirrored.home, mirrored.config, [path]) == {nas: [path]}
    victim.write_bytes(sound)
    assert mirrored.copy().problems() == [] and mirrored.record().missing == []
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))


def test_notes_that_change_or_go_are_replaced_and_removed_there(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    mirrored.home.memory.mkdir()
    day, other = mirrored.home.memory / "2026-11-22.md", mirrored.home.memory / "2026-11-23.md"
    day.write_text("first\n")
    other.write_text("to be forgotten\n")
    mirrored.copy()
    day.write_text("second, longer\n")
    other.unlink()
    assert mirrored.copy().done.removed == 2
    texts = [mirrored.place().get(each.name, 1 << 20) for each in mirrored.place().list(f"{mirrored.host}/notes")]
    assert texts == [b"second, longer\n"]
    home = restored(nas, tmp_path / "b", mirrored.host)
    assert [path.name for path in home.memory.iterdir()] == [day.name]


def test_a_configuration_with_a_secret_stays_here(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    mirrored.home.config_file.write_text("distill: {prompts: ghp_abcdefghijklmnopqrstuvwxyz0123456789}\n")
    mirrored.copy()
    assert list(mirrored.place().list(f"{mirrored.host}/notes")) == []
    mirrored.home.config_file.write_text("timezone: Europe/Oslo\n")
    mirrored.copy()
    assert (restored(nas, tmp_path / "b", mirrored.host).root / "moon.yaml").read_text() == "timezone: Europe/Oslo\n"


def test_a_restored_home_goes_on_and_the_old_one_is_told(nas, tmp_path):
    old = Mirrored(tmp_path / "a", nas)
    old.hear("s1")
    old.copy()
    shutil.copytree(old.archiver.state_dir, tmp_path / "b" / "openclaw")
    restored(nas, tmp_path / "b" / "moon", old.host)
    new = Mirrored(tmp_path / "b", nas)
    new.hear("s2")
    assert new.host == old.host and new.copy().problems() == []
    old.hear("s3")
    outcome = old.copy()
    assert outcome.error is not None and outcome.error.code == "copy_taken"
    assert same_archive(new.home, restored(nas, tmp_path / "c" / "moon", new.host))
    third = Mirrored(tmp_path / "c", nas)
    third.hear("s4")
    assert third.copy().problems() == [], "the parts of both before it are its own now"
    assert new.copy().error is not None


def test_a_cloned_home_and_one_set_back_do_not_write_over_the_other(nas, tmp_path):
    one = Mirrored(tmp_path / "a", nas)
    one.hear("s1")
    one.copy()
    shutil.copytree(one.folder, tmp_path / "clone")
    one.hear("s2")
    one.copy()
    clone = Mirrored(tmp_path / "clone", nas)
    clone.hear("s3")
    outcome = clone.copy()
    assert outcome.error is not None and outcome.error.code == "copy_diverged"
    assert same_archive(one.home, restored(nas, tmp_path / "b", one.host))
    assert clone.copy(anew=True).problems() == [], "asked for by name"
    assert clone.copy().problems() == []
    assert same_archive(clone.home, restored(nas, tmp_path / "c", one.host))
    head = head_of(one.place(), one.host)
    assert head["generation"] == 2
    kept = one.place().get(f"{one.host}/ledger/0001/00000002", 1 << 20)
    assert kept, "the ledger that the clone does not have stays"


def test_what_was_emptied_is_not_begun_anew_by_itself(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    mirrored.copy()
    shutil.rmtree(tmp_path / "nas")
    assert mirrored.copy().error.code == "copy_gone"
    (tmp_path / "nas").mkdir()  # the mount point of a disk that is away
    outcome = mirrored.copy()
    assert outcome.error.code == "copy_gone" and "mount" in outcome.error.hint
    assert list((tmp_path / "nas").iterdir()) == []
    assert mirrored.copy(anew=True).problems() == []
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))


def test_a_failure_is_kept_with_growing_pauses_and_over_when_it_works(nas, tmp_path):
    from moon.health import health_file

    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    (tmp_path / "nas").rmdir()
    for number in (1, 2):
        assert mirrored.copy().error.code == "copy_gone"
        assert mirrored.record().failures == number and mirrored.record().retry_at
    assert [(each.station, each.code) for each in health_file.read(mirrored.home).problems] == [("mirror", "copy_gone")]
    (tmp_path / "nas").mkdir()
    assert mirrored.copy().error is None
    assert mirrored.record().failures == 0 and health_file.read(mirrored.home).problems == []


def test_a_session_is_not_pruned_before_each_copy_has_it(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    config = settings(copies=[{"url": nas, "encrypt": "off"}], guard={"require_copy": True})
    assert objections(mirrored.archiver, config) == ["1 archive not yet copied to " + nas]
    mirrored.copy()
    assert objections(mirrored.archiver, config) == []
    mirrored.hear("s1", 2, 3)
    assert objections(mirrored.archiver, config) == ["1 archive not yet copied to " + nas]
    assert objections(mirrored.archiver, settings(copies=[{"url": nas, "encrypt": "off"}])) == []


def objections(archiver: Archiver, config) -> list[str]:
    """What keeps the guard from prune or rollover, but for the index, which is not made here."""
    (store,) = archiver.stores().stores
    transcript = Transcript("main", "agent:main:s1", "s1")
    with open_catalog(archiver.home) as catalog, pytest.MonkeyPatch.context() as patch:
        patch.setattr("moon.guard.coverage._unindexed", lambda *about: ((), ""))
        try:
            require_coverage(archiver.home, config, catalog, store, transcript)
        except NotCopiedYet as error:
            return error.message.split("; ")
    return []


def test_two_runs_at_once_do_not_meet(nas, tmp_path):
    from moon.errors import LockBusy
    from moon.files import exclusively

    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    with exclusively(lock_file(mirrored.home)), pytest.raises(LockBusy):
        mirrored.copy()


class TestDamage:
    """What somebody else did to the copy is told, put right by the next run, and never restored as if it were sound."""

    @pytest.fixture
    def mirrored(self, nas, tmp_path) -> Mirrored:
        made = Mirrored(tmp_path / "a", nas)
        for number in range(3):
            made.hear(f"s{number}")
        made.copy()
        return made

    def objects(self, mirrored: Mirrored, kind: str) -> list[Path]:
        root = mirrored.folder.parent / "nas" / mirrored.host / kind
        return sorted(path for path in root.rglob("*") if path.is_file())

    def proof(self, mirrored: Mirrored):
        from moon.copies.copy_record import write_record
        from moon.host_id import own_host
        from moon.mirror.proving import prove

        record = mirrored.record()
        found = prove(
            Ledger(mirrored.home.ledger), own_host(mirrored.home), mirrored.place(), Unsealed(), record, 1.0, 7
        )
        write_record(mirrored.home, record)
        return found

    @pytest.mark.parametrize("how", ["half", "other", "gone", "planted"])
    def test_an_object(self, mirrored: Mirrored, tmp_path: Path, how: str):
        assert self.proof(mirrored).errors == []
        victim, sound = self.objects(mirrored, "archives")[:2]
        spoil(victim, sound, how)
        home, lost = restore_into(mirrored.url, tmp_path / "early", mirrored.host, Unsealed())
        assert len(lost) == 1 and "is not restored" in lost[0]
        (error,) = self.proof(mirrored).errors
        assert error.code == "copy_damaged" and victim.name in error.message
        assert mirrored.copy().problems() == [] and self.proof(mirrored).errors == []
        assert same_archive(mirrored.home, restored(mirrored.url, tmp_path / "b", mirrored.host))

    @pytest.mark.parametrize("how", ["half", "other", "gone"])
    def test_a_part_of_the_ledger(self, mirrored: Mirrored, tmp_path: Path, how: str):
        mirrored.hear("s9")
        mirrored.copy()
        first, second = self.objects(mirrored, "ledger")
        spoil(first, second, how)
        _, lost = restore_into(mirrored.url, tmp_path / "early", mirrored.host, Unsealed())
        assert lost
        assert [each.code for each in self.proof(mirrored).errors] == ["copy_damaged"]
        assert mirrored.copy().error is None and self.proof(mirrored).errors == []
        assert same_archive(mirrored.home, restored(mirrored.url, tmp_path / "b", mirrored.host))

    @pytest.mark.parametrize("how", ["half", "gone"])
    def test_the_head(self, mirrored: Mirrored, tmp_path: Path, how: str):
        (head,) = (tmp_path / "nas" / mirrored.host).glob("head.json")
        spoil(head, head, how)
        assert same_archive(mirrored.home, restored(mirrored.url, tmp_path / "b", mirrored.host))
        mirrored.hear("s9")
        assert mirrored.copy().error is None
        assert head_of(mirrored.place(), mirrored.host)["parts"] == 2


def spoil(victim: Path, other: Path, how: str) -> None:
    """Do to an object what others do."""
    data = victim.read_bytes()
    victim.unlink()
    if how == "half":
        victim.write_bytes(data[: len(data) // 2])
    elif how == "other":
        victim.write_bytes(other.read_bytes())
    elif how == "planted":
        victim.write_bytes(data.replace(b"lantern", b"burglar"))


def test_a_restore_that_was_cut_short_goes_on_and_a_used_folder_is_refused(nas, tmp_path, monkeypatch):
    from moon.mirror import restoring

    mirrored = Mirrored(tmp_path / "a", nas)
    for number in range(3):
        mirrored.hear(f"s{number}")
    mirrored.copy()
    whole = restoring._fetch
    calls = []

    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(restoring, "_fetch", dying)
    with pytest.raises(KeyboardInterrupt):
        restored(nas, tmp_path / "b", mirrored.host)
    assert not (tmp_path / "b" / "archives" / "ledger.jsonl").exists(), "half a home is none"
    assert same_archive(mirrored.home, restored(nas, tmp_path / "b", mirrored.host))
    with pytest.raises(MoonError) as caught:
        restored(nas, tmp_path / "b", mirrored.host)
    assert caught.value.code == "place_taken"


def test_a_copy_cannot_make_a_restore_write_elsewhere(nas, tmp_path):
    from moon.copies.layout import Item, Stored
    from moon.mirror.restoring import _fetch
    from moon.paths import Home

    home = Home(tmp_path / "b")
    for path in (
        "../evil",
        "/etc/passwd",
        "memory/../../x",
        "state/moon_state.json",
        "archives/ledger.jsonl",
        "environment",
    ):
        size, error = _fetch(open_place(nas, seconds=5), "h", Unsealed(), home, Item(path, "0"), Stored("x", 1, "0"))
        assert size == 0 and error is not None


def test_a_folder_that_may_not_be_written_is_told_with_its_cure(nas, tmp_path):
    if os.geteuid() == 0:
        # root may write everywhere; what the system says of a read-only disk is translated alike
        from moon.copies.folder_place import FolderPlace

        failed = FolderPlace(nas)._failed(OSError(30, "Read-only file system"))
        assert failed.code == "copy_refused"
        return
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1")
    (tmp_path / "nas").chmod(0o500)
    assert mirrored.copy().error.code == "copy_refused"
    (tmp_path / "nas").chmod(0o700)
    assert mirrored.copy().error is None


class TestBuckets:
    """What a server says is told by its cause."""

    @pytest.fixture
    def mirrored(self, buckets: Buckets, tmp_path: Path, monkeypatch) -> Mirrored:
        for name, value in buckets.environment().items():
            monkeypatch.setenv(name, value)
        recipient = str(pyrage.x25519.Identity.generate().to_public())
        made = Mirrored(tmp_path / "a", "s3://there-is-none/moon", {"recipients": [recipient]})
        made.hear("s1")
        return made

    def test_a_wrong_bucket(self, mirrored: Mirrored):
        error = mirrored.copy().error
        assert error.code == "copy_gone" and "bucket" in error.message

    def test_a_server_that_is_away(self, mirrored: Mirrored, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert mirrored.copy().error.code == "copy_away"

    def test_no_credentials_and_no_package(self, mirrored: Mirrored, monkeypatch):
        from moon.copies.bucket_place import BucketPlace

        place = BucketPlace("s3://b/p", 5)
        said = "Error performing PUT http://169.254.169.254/latest/api/token: 403 Forbidden"
        assert "AWS_ACCESS_KEY_ID" in place._failed(Exception(said)).hint
        monkeypatch.setitem(__import__("sys").modules, "obstore", None)
        error = mirrored.copy().error
        assert error.code == "package_absent" and "fleet" in error.hint


def test_places_of_google_and_azure_are_understood(monkeypatch):
    """Their clients are made from the URL; no server of either is asked here."""
    from moon.copies.bucket_place import BucketPlace

    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IGEgc2VjcmV0")
    for url, shown in (
        ("gs://bucket/some/prefix", 'bucket="bucket"'),
        ("az://box/some/prefix", 'container_name="box"'),
    ):
        said = repr(BucketPlace(url, 5)._store)
        assert shown in said and "some/prefix" in said
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME")
    with pytest.raises(MoonError) as caught:
        BucketPlace("az://box/some/prefix", 5)
    assert caught.value.code == "copy_refused"


@pytest.mark.parametrize(
    ("copies", "words"),
    [
        ([{"url": "s3://b/p", "encrypt": "off"}], "one's own"),
        ([{"url": "s3://b/p"}], "recipients"),
        ([{"url": "ftp://b/p", "encrypt": "off"}], "s3://"),
        ([{"url": "s3://key:secret@b/p", "recipients": ["age1x"]}], "keys do not go in here"),
        ([{"url": "file:///x", "encrypt": "off"}, {"url": "file:///x/", "encrypt": "off"}], "twice"),
        ([{"url": "file:///x", "encrypt": "of"}], "encrypt"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(copies, words):
    with pytest.raises(MoonError) as caught:
        settings(copies=copies)
    assert words in caught.value.message


def test_a_demand_without_copies_is_refused():
    with pytest.raises(MoonError):
        settings(guard={"require_copy": True})


def test_the_host_is_named_once_and_a_damaged_name_is_told(tmp_path):
    mirrored = Mirrored(tmp_path / "a", "file:///nowhere")
    assert known_host(mirrored.home) is None
    assert mirrored.host == mirrored.host
    host_file(mirrored.home).write_text(json.dumps({"schema": "moon.host/1", "id": "../x"}))
    with pytest.raises(MoonError):
        known_host(mirrored.home)


def test_verify_of_a_restored_home_is_green(nas, tmp_path):
    mirrored = Mirrored(tmp_path / "a", nas)
    mirrored.hear("s1", 40)
    mirrored.copy()
    assert verify(restored(nas, tmp_path / "b", mirrored.host)).errors == []
