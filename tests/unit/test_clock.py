"""Time in one form."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moon.clock import LAST_MS, format_ms, local_date, now_ms, parse_ms, utc_text, zone

INSTANTS = st.integers(0, LAST_MS)


@given(INSTANTS)
@example(1_001)
@example(1_795_334_935_409)
def test_text_and_back(instant):
    text = format_ms(instant)
    assert parse_ms(text) == instant
    assert len(text) == 24 and text.endswith("Z")


@given(st.lists(INSTANTS, min_size=2, max_size=9))
def test_texts_sort_as_instants_do(instants):
    assert sorted(map(format_ms, instants)) == [format_ms(each) for each in sorted(instants)]


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-11-22T06:00:00Z", 1795327200000),
        ("2026-11-22T06:00:00.5Z", 1795327200500),
        ("2026-11-22T06:00:00.123456789Z", 1795327200123),
        ("2026-11-22T08:00:00.000+02:00", 1795327200000),
        ("2026-11-22T06:00:00", 1795327200000),
        (" 2026-11-22T06:00:00z ", 1795327200000),
        (1795327200000, 1795327200000),
        (1795327200, 1795327200000),
        (1795327200.25, 1795327200250),
    ],
)
def test_forms_that_are_read(value, instant):
    assert parse_ms(value) == instant


@pytest.mark.parametrize(
    "value",
    [None, True, "", "soon", "2026-13-01", [], {}, float("nan"), float("inf"), "." * 999, 1e300, 10**30, -(10**30)],
)
def test_what_is_no_time(value):
    assert parse_ms(value) is None


@given(st.text(max_size=30) | st.floats() | st.integers())
def test_no_value_breaks_it(value):
    found = parse_ms(value)
    assert found is None or format_ms(found)


def test_now_can_be_fixed(monkeypatch):
    monkeypatch.setenv("MOON_NOW", "2026-11-22T06:00:00.000Z")
    assert now_ms() == 1795327200000
    monkeypatch.setenv("MOON_NOW", "nonsense")
    assert now_ms() > 1_700_000_000_000


@pytest.mark.parametrize(
    ("name", "day"),
    [("UTC", date(2026, 11, 22)), ("Pacific/Kiritimati", date(2026, 11, 22)), ("Pacific/Honolulu", date(2026, 11, 21))],
)
def test_dates_are_local(name, day):
    assert local_date(1795327200000, name) == day


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "\0", "UTC\n"])
def test_unknown_zones(name):
    with pytest.raises(LookupError):
        zone(name)


@pytest.fixture
def slim_machine():
    """A machine without time zones of its own, as small containers are."""
    zoneinfo.reset_tzpath([])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


def test_zones_are_known_where_the_machine_has_none(slim_machine):
    assert local_date(1795327200000, "Pacific/Honolulu") == date(2026, 11, 21)


def test_without_any_zones_the_package_is_named(slim_machine, monkeypatch):
    for name in [each for each in sys.modules if each.split(".")[0] == "tzdata"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tzdata", None)
    with pytest.raises(LookupError, match="package tzdata.*make venv"):
        zone("Europe/Berlin")


def test_no_name_is_the_machine_s_own_zone():
    assert zone("") is None


@given(INSTANTS, st.sampled_from(["{}", "{}0", " {}", "{}Z"]))
def test_a_minute_that_was_read_before_changes_nothing(instant, form):
    text = form.format(format_ms(instant))
    first = parse_ms(text)
    assert parse_ms(text) == first
    assert utc_text(text) == (None if first is None else format_ms(first))


@pytest.mark.parametrize("end", ["60.000Z", "5x.000Z", "59.0-1Z", "59.000+", "59,000Z", "5٣.000Z", "59.00Z0"])
def test_an_odd_end_in_a_known_minute_is_read_as_ever(end):
    assert parse_ms("2026-11-22T06:00:00.000Z") is not None
    before = parse_ms("2026-11-22T06:01:" + end)  # a minute that was not read
    parse_ms("2026-11-22T06:01:00.000Z")
    assert parse_ms("2026-11-22T06:01:" + end) == before


def test_any_minute_of_a_day_that_was_read_before_is_read_as_the_calendar_reads_it():

    parse_ms("2024-02-29T23:59:59.999Z")
    for text in ("2024-02-29T00:00:00.000Z", "2024-02-29T07:08:09.010Z", "2024-02-29T23:59:59.999Z"):
        expected = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        assert parse_ms(text) == round(expected * 1000)
    for text in (
        "2024-02-29T24:00:00.000Z",
        "2024-02-29T07:60:09.010Z",
        "2024-02-29T0٣:08:09.010Z",
        "2024-02-29T07:08",
    ):
        wrong = parse_ms(text)
        assert wrong is None or format_ms(wrong) != text
