"""Which archives have a record is known without reading records that nobody changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from moon import distillations, schema
from moon.distillations import Distillations, read_record, record_path
from moon.documents import DistillationRecord
from moon.paths import Home


def sha(number: int) -> str:
    return f"{number:064x}"


def write(home: Home, *numbers: int, **more: object) -> DistillationRecord:
    record = {
        "schema": "moon.distillation/1",
        "archive_sha256": sha(numbers[0]),
        "archives": [sha(number) for number in numbers],
        "agent": "main",
        "session_id": "s1",
        "provider": "local",
        "model": "extractive-1",
        **{name: [] for name in distillations.LISTS},
        "decisions": ["Use the blue folder."],
        "sources": {},
        "memory_file": None,
        "created_at": "2026-11-21T01:00:00.000Z",
        **more,
    }
    schema.write("distillation", record, record_path(home, sha(numbers[0])))
    return record  # type: ignore[return-value]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the records that were read."""
    seen: list[str] = []

    def read(home: Home, name: str) -> DistillationRecord | None:
        seen.append(name)
        return read_record(home, name)

    monkeypatch.setattr(distillations, "read_record", read)
    return seen


def test_a_record_is_read_once_and_again_when_it_has_changed(home: Home, reads: list[str]) -> None:
    write(home, 1, 2)
    write(home, 3)
    Distillations(home).save()
    assert sorted(reads) == [sha(1), sha(3)]
    known = Distillations(home)
    assert len(reads) == 2
    assert known.of(sha(2)) == known.of(sha(1)) == distillations.known_of(write(home, 1, 2))
    write(home, 1, 2, 4)
    again = Distillations(home).of(sha(4))
    assert again is not None and again.archives == (sha(1), sha(2), sha(4))
    assert reads[2:] == [sha(1)]


def test_what_was_just_written_is_not_read(home: Home, reads: list[str]) -> None:
    known = Distillations(home)
    known.note(write(home, 1, 2))
    assert known.of(sha(2)) is not None
    known.save()
    assert Distillations(home).of(sha(2)) is not None
    assert reads == []


def test_a_record_that_is_gone_or_damaged_is_none(home: Home) -> None:
    write(home, 1)
    write(home, 2)
    Distillations(home).save()
    record_path(home, sha(1)).unlink()
    record_path(home, sha(2)).write_text("{")
    known = Distillations(home)
    assert (known.of(sha(1)), known.of(sha(2))) == (None, None)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 9, "records": {}}', '{"version": 1, "records": {"a": 1}}']
)
def test_a_damaged_index_costs_only_the_reading(home: Home, content: str) -> None:
    write(home, 1)
    Distillations(home).save()
    (home.cache / "distillations.json").write_text(content)
    assert Distillations(home).of(sha(1)) is not None


def test_what_is_known_of_a_record(home: Home) -> None:
    known = distillations.known_of(write(home, 1, 2))
    assert (known.grows, known.unwritten) == (True, True)
    old = write(home, 3, memory_file="/m/2026-11-20.md")
    del old["archives"]
    assert distillations.known_of(old)[3:] == ((sha(3),), "local", False, False)
    assert not distillations.known_of(write(home, 4, decisions=[])).unwritten
