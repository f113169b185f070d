"""Which files are joined: of one session, one local day, one window; never today's; never more than a pack may hold."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from moon.vault.catalog import Segment
from moon.vault.pack_plan import plan_packs

TODAY = "2026-11-22"


def file(ordinal: int, day: int = 20, size: int = 100, session: str = "s1", hour: int = 9) -> Segment:
    """A small file, archived on that day of the month."""
    when = f"2026-11-{day:02d}T{hour:02d}:{ordinal % 60:02d}:00.000Z"
    path = Path(f"{session}.{ordinal}")
    return Segment("main", f"agent:main:{session}", session, ordinal, f"{ordinal:064x}", path, 3, size, False, when)


def plan(files, links=(), limit=1000):
    groups = plan_packs(files, lambda when: when[:10], TODAY, lambda _agent, _key: links, limit)
    return [[(each.session_id, each.ordinal) for each in group] for group in groups]


def test_a_day_of_a_session_becomes_one():
    files = [file(1), file(2), file(3, day=21), file(4, day=21), file(5, day=21)]
    assert plan(files) == [[("s1", 1), ("s1", 2)], [("s1", 3), ("s1", 4), ("s1", 5)]]


def test_today_stays_as_it_is():
    assert plan([file(1, day=22), file(2, day=22), file(3, day=23), file(4, day=23)]) == []


def test_one_file_is_nothing_to_join():
    assert plan([file(1, day=19), file(2, day=20), file(3, day=21)]) == []


def test_sessions_stay_apart_and_files_come_in_their_own_order():
    files = [file(2), file(1, session="s2"), file(1), file(2, session="s2")]
    assert plan(files) == [[("s1", 1), ("s1", 2)], [("s2", 1), ("s2", 2)]]


def test_a_pack_has_an_upper_size():
    files = [file(each, size=400) for each in range(1, 6)]
    assert plan(files) == [[("s1", 1), ("s1", 2)], [("s1", 3), ("s1", 4)]]
    assert plan([file(1, size=5_000), file(2, size=5_000)]) == []


def test_two_windows_are_not_joined():
    files = [file(1, hour=8), file(2, hour=9), file(3, hour=11), file(4, hour=12)]
    assert plan(files, links=["2026-11-20T10:00:00.000Z"]) == [[("s1", 1), ("s1", 2)], [("s1", 3), ("s1", 4)]]


@given(st.lists(st.tuples(st.integers(15, 23), st.integers(1, 1_500)), max_size=40))
def test_what_was_joined_is_never_joined_again(described):
    files = [file(number, day, size) for number, (day, size) in enumerate(sorted(described), 1)]
    groups = plan_packs(files, lambda when: when[:10], TODAY, lambda _agent, _key: [], 1_000)
    joined = {each.ordinal for group in groups for each in group}
    packs = [
        file(group[0].ordinal, int(group[0].archived_at[8:10]), sum(each.bytes for each in group)) for group in groups
    ]
    rest = [each for each in files if each.ordinal not in joined]
    assert plan([*packs, *rest]) == []
    assert all(sum(each.bytes for each in group) <= 1_000 for group in groups)


def test_a_year_of_an_idle_chat_is_hundreds_of_units():
    """Twenty archives a day for a year: a pack a day, however often the plan is made."""
    standing: list[Segment] = []
    planned = 0
    for day in range(365):
        date = f"{2025 + (day // 300)}-{1 + day % 300 // 28:02d}-{1 + day % 28:02d}"
        for each in range(20):
            number = day * 20 + each + 1
            when = f"{date}T{each:02d}:00:00.000Z"
            standing.append(
                Segment("main", "k", "s1", number, f"{number:064x}", Path(str(number)), 2, 500, False, when)
            )
        groups = plan_packs(standing, lambda when: when[:10], "2030-01-01", lambda _a, _k: [])
        gone = {id(each) for group in groups for each in group}
        packs = [
            Segment(*(*_head(group), sum(each.bytes for each in group), False, group[-1].archived_at))
            for group in groups
        ]
        standing = sorted([*packs, *(each for each in standing if id(each) not in gone)], key=lambda each: each.ordinal)
        planned += len(groups)
    assert len(standing) == 365 and planned == 365


def _head(group):
    first = group[0]
    return first.agent, first.session_key, first.session_id, first.ordinal, first.sha256, first.path, 40
