"""Problems from when they begin until they are over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon import schema
from moon.health import health_file
from moon.health.health_file import Health
from moon.health.problems import MAX_SUBJECTS, Subject, Trouble, after, of_cycle, over_after_cycle
from moon.paths import Home

STATIONS = ("archive", "index", "prune")


def subject(number: int) -> Subject:
    return Subject("main", f"agent:main:{number}", f"s{number}")


def trouble(code: str = "no_permission", *numbers: int, station: str = "archive", path: str = "") -> Trouble:
    return Trouble(station, code, f"words of {code}", subjects=tuple(map(subject, numbers)), path=path)


def never(_trouble: Trouble, _subject: Subject | None) -> bool:
    return False


def cycle(*records: tuple[str, list[tuple[int, str, dict[str, Any]]]]) -> Any:
    stations = [
        {"station": name, "sessions": [{**subject(n)._asdict(), "outcome": how, **more} for n, how, more in entries]}
        for name, entries in records
    ]
    return {"stations": stations}


def test_one_cause_is_one_problem_however_many_sessions_have_it() -> None:
    seen = [trouble("no_permission", n) for n in range(300)] + [trouble("store_busy", 1)]
    known = after([], seen, never, 5)
    assert [(each.code, len(each.subjects), each.times, each.since) for each in known] == [
        ("no_permission", 300, 1, 5),
        ("store_busy", 1, 1, 5),
    ]


def test_seen_again_it_keeps_its_beginning_and_counts() -> None:
    known = after(after([], [trouble("x", 1)], never, 5), [trouble("x", 2)], never, 9)
    assert [(each.since, each.last, each.times, each.subjects) for each in known] == [
        (5, 9, 2, (subject(1), subject(2)))
    ]


def test_over_with_the_last_of_its_sessions() -> None:
    known = after([], [trouble("x", 1, 2)], never, 5)
    one_left = after(known, [], lambda _, each: each == subject(1), 6)
    assert [each.subjects for each in one_left] == [(subject(2),)]
    assert after(one_left, [], lambda _, each: each == subject(2), 7) == []


def test_two_stores_that_fail_alike_are_two_problems() -> None:
    seen = [trouble("store_foreign", station="sample", path=path) for path in ("/a", "/b")]
    known = after([], seen, never, 5)
    assert [each.path for each in known] == ["/a", "/b"]
    assert [each.path for each in after(known, seen[:1], lambda *_: True, 6)] == ["/a"]


def test_what_a_cycle_shows() -> None:
    document = cycle(
        ("archive", [(1, "failed", {"code": "no_permission", "reason": "closed"}), (2, "done", {})]),
        (
            "prune",
            [(2, "deferred", {"reason": "a run is active"}), (3, "deferred", {"backoff": True, "reason": "away"})],
        ),
    )
    assert [(each.station, each.code, each.subjects) for each in of_cycle(document)] == [
        ("archive", "no_permission", (subject(1),)),
        ("prune", "gateway_unreachable", (subject(3),)),
    ]


def test_what_a_cycle_ends() -> None:
    known = after([], [trouble("x", 1, 2), trouble("x", 1, station="index"), trouble("qmd", station="index")], never, 5)
    document = cycle(("archive", [(1, "done", {}), (2, "failed", {})]))
    left = after(known, [], over_after_cycle(document), 6)
    assert [(each.station, each.subjects) for each in left] == [
        ("archive", (subject(2),)),
        ("index", (subject(1),)),
        ("index", ()),
    ]
    document = cycle(("index", [(9, "done", {})]))
    assert [each.station for each in after(left, [], over_after_cycle(document), 7)] == ["archive", "index"]


def test_the_number_of_sessions_that_are_told_apart_is_bounded() -> None:
    known = after([], [trouble("x", n) for n in range(MAX_SUBJECTS + 5)], never, 5)
    assert len(known[0].subjects) == MAX_SUBJECTS


TROUBLES = st.builds(
    trouble,
    st.sampled_from(["a", "b"]),
    st.integers(0, 3),
    station=st.sampled_from(STATIONS),
)


@given(st.lists(st.tuples(st.lists(TROUBLES, max_size=6), st.frozensets(st.integers(0, 3)))))
def test_any_history_keeps_what_was_seen_last_and_nothing_that_is_over(history: Any) -> None:
    known: list[Trouble] = []
    open_now: dict[tuple[str, str], set[Subject]] = {}
    for now, (seen, well) in enumerate(history):
        over = {subject(number) for number in well}
        known = after(known, seen, lambda _, each, over=over: each in over, now)
        open_now = {key: left for key, them in open_now.items() if (left := them - over)}
        for each in seen:
            open_now.setdefault((each.station, each.code), set()).update(each.subjects)
        assert {(each.station, each.code): set(each.subjects) for each in known} == open_now
        assert all(each.since <= each.last <= now and each.times >= 1 for each in known)


def test_the_file_keeps_it_and_fits_its_schema(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.state.mkdir()
    known = after([], [trouble("no_permission", 1), trouble("store_foreign", station="sample", path="/a")], never, 5)
    health = Health({"archive": 7_000_000}, known)
    health_file.write(home, health)
    assert health_file.read(home) == health
    schema.read("health", home.health_file)
    assert home.health_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b'{"schema": "moon.health/1", "problems": [{}]}', b"\xff\x00"])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    home = Home(tmp_path)
    home.state.mkdir()
    home.health_file.write_bytes(rubbish)
    assert not health_file.read(home).problems
    health_file.write(home, Health())
    schema.read("health", home.health_file)


def test_the_file_of_a_newer_moon_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.state.mkdir()
    home.health_file.write_text(json.dumps({"schema": "moon.health/2"}))
    found = health_file.read(home)
    health_file.write(home, Health({}, [trouble()], found.foreign))
    assert json.loads(home.health_file.read_text()) == {"schema": "moon.health/2"}
