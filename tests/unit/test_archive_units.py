"""What is distilled as one: a session's day within a window, under one name however it grows and is joined."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from moon.distill.archive_units import ArchiveUnit, Wanted, plan_units, select_units
from moon.distillations import Known
from moon.vault.catalog import Segment
from moon.vault.pack_plan import group_by_day

FIRST = datetime(2026, 11, 20, 8)


def sha(number: int) -> str:
    return f"{number:064x}"


def file(ordinal: int, when: datetime, session: str = "s1") -> Segment:
    path = Path(f"{session}.{ordinal}")
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.000Z"
    return Segment("main", f"agent:main:{session}", session, ordinal, sha(ordinal), path, 3, 100, False, stamp)


def files(days: int, a_day: int) -> list[Segment]:
    times = [FIRST + timedelta(days=day, minutes=15 * each) for day in range(days) for each in range(a_day)]
    return [file(number, when) for number, when in enumerate(times, 1)]


def joined(found: list[Segment]) -> Segment:
    """A pack in the place of files."""
    parts = tuple(each.sha256 for each in found)
    path, size = Path(f"pack.{found[0].ordinal}"), sum(each.bytes for each in found)
    return replace(found[0], sha256="f" * 64, path=path, bytes=size, archived_at=found[-1].archived_at, parts=parts)


def known(*numbers: int, name: int = 0, grows: bool = True, provider: str = "local", unwritten: bool = False) -> Known:
    archives = tuple(map(sha, numbers))
    return Known(sha(name or numbers[0]), "main", "s1", archives, provider, grows, unwritten)


def units(found, records=(), links=(), day_of=lambda when: when[:10]) -> list[ArchiveUnit]:
    by_archive = {each: record for record in records for each in record.archives}
    return plan_units(group_by_day(found, day_of, lambda _agent, _key: links), by_archive.get)


def shown(found: list[ArchiveUnit]) -> list[tuple[int, list[int], list[int]]]:
    """(name, archives, new ones) of each unit, as the numbers that the hashes were made of."""
    return [
        (int(unit.name, 16), [int(each, 16) for each in unit.archives], [int(each, 16) for each in unit.new])
        for unit in found
    ]


def test_a_year_of_a_quiet_chat_is_a_unit_a_day():
    year = files(365, 20)
    found = units(year)
    assert len(found) == 365
    assert [unit.name for unit in found] == [each.sha256 for each in year[::20]]
    assert {len(unit.archives) for unit in found} == {20}
    packs = [joined(year[day * 20 : day * 20 + 20]) for day in range(364)]
    assert [(unit.name, unit.archives) for unit in units([*packs, *year[-20:]])] == [
        (unit.name, unit.archives) for unit in found
    ]
    done = [Known(unit.name, "main", "s1", unit.archives, "local", True, False) for unit in found]
    assert list(select_units(units(packs, done), Wanted())) == []


def test_a_rollover_ends_a_unit():
    assert shown(units(files(1, 4), links=["2026-11-20T08:20:00.000Z"])) == [
        (1, [1, 2], [1, 2]),
        (3, [3, 4], [3, 4]),
    ]


def test_what_is_new_joins_the_unit_of_its_day_under_the_same_name():
    assert shown(units(files(2, 3), [known(1, 2)])) == [(1, [1, 2, 3], [3]), (4, [4, 5, 6], [4, 5, 6])]


def test_a_unit_keeps_its_name_when_an_earlier_archive_is_mended():
    assert shown(units(files(1, 3), [known(2, 3)])) == [(2, [1, 2, 3], [1])]


def test_what_was_distilled_alone_stays_alone():
    old = [known(1, grows=False), known(2, grows=False)]
    assert shown(units(files(1, 2), old)) == [(1, [1], []), (2, [2], [])]
    assert shown(units(files(1, 4), old)) == [(1, [1], []), (2, [2], []), (3, [3, 4], [3, 4])]
    assert shown(units([joined(files(1, 4))], old)) == [(1, [1], []), (2, [2], []), (3, [3, 4], [3, 4])]
    assert list(select_units(units([joined(files(1, 2))], old), Wanted())) == []


def test_a_pack_that_was_distilled_as_such_is_done():
    pack = joined(files(1, 3))
    found = units([pack], [Known(pack.sha256, "main", "s1", (pack.sha256,), "local", False, False)])
    assert list(select_units(found, Wanted())) == []
    (step,) = select_units(found, Wanted(provider="gemini"))
    assert step.unit.name == pack.sha256 and step.wanted == "gemini"


def test_another_time_zone_splits_days_and_distills_nothing_twice():
    def later(when: str) -> str:
        return "1" if when < "2026-11-20T08:40" else "2"

    assert shown(units(files(1, 5), [known(1, 2, 3, 4)], day_of=later)) == [(1, [1, 2, 3, 4], []), (5, [5], [5])]


def test_a_record_of_another_session_is_done_and_never_grows():
    other = replace(file(1, FIRST, "s2"), sha256=sha(1))
    found = units([*files(1, 2), other, file(9, FIRST, "s2")], [known(1, 2)])
    assert [(int(unit.name, 16), [int(each, 16) for each in unit.new]) for unit in found] == [(1, []), (9, [9])]


def test_only_what_is_asked_for_is_selected():
    found = units(files(3, 2), [known(1, 2, unwritten=True), known(3, 4, provider="openai")])
    assert [(step.unit.name, step.unwritten) for step in select_units(found, Wanted())] == [
        (sha(1), True),
        (sha(5), False),
    ]
    assert [step.unit.name for step in select_units(found, Wanted(frozenset([sha(6)])))] == [sha(5)]
    again = list(select_units(found, Wanted(frozenset([sha(4)]), "local")))
    assert [(step.unit.name, step.wanted) for step in again] == [(sha(3), "local")]


def test_what_cannot_be_read_is_left_out():
    (unit,) = units(files(1, 3))
    left = unit.without(Path("s1.1"))
    assert left and shown([left]) == [(2, [2, 3], [2, 3])]
    (grown,) = units(files(1, 3), [known(2)])
    left = grown.without(Path("s1.1"))
    assert left and shown([left]) == [(2, [2, 3], [3])]
    apart = grown.without(Path("s1.2"))
    assert apart and shown([apart]) == [(1, [1, 3], [1, 3])] and apart.known is None
    (same,) = units(files(1, 3), [known(1, 2)])
    assert same.without(Path("s1.3")) is None
