"""When the next tick is due: on the grid, never in a pile, and more rarely while ticks fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moon.watch.tick_schedule import LONGEST_PAUSE, Pace, is_failure

intervals = st.integers(5, 3600).map(float)
moments = st.floats(0, 1e6, allow_nan=False)


@pytest.mark.parametrize(("code", "failed"), [(0, False), (3, False), (75, False), (1, True), (78, True), (137, True)])
def test_what_counts_as_a_failure(code: int, failed: bool) -> None:
    assert is_failure(code) is failed


@given(intervals, moments, moments)
def test_the_next_tick_is_the_next_place_on_the_grid(interval: float, began: float, passed: float) -> None:
    now = began + passed
    due = Pace(interval).next_start(began, now)
    assert now < due + 1e-6 and due - now <= interval + 1e-6
    assert abs((due - began) / interval - round((due - began) / interval)) < 1e-6


def test_ticks_that_a_long_one_ran_over_are_left_out() -> None:
    assert Pace(30.0).next_start(0.0, 100.0) == 120.0


@given(intervals, st.integers(0, 100))
def test_failures_double_the_pause_up_to_a_bound(interval: float, failures: int) -> None:
    pauses = [Pace(interval, each).next_start(0.0, 0.0) for each in range(failures + 1)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= max(interval, LONGEST_PAUSE) + interval


def test_one_that_is_well_ends_the_pauses() -> None:
    pace = Pace(30.0).after(1).after(1)
    assert (pace.failures, pace.next_start(0.0, 0.0)) == (2, 120.0)
    assert pace.after(75).failures == 0
    assert pace.after(0).next_start(0.0, 0.0) == 30.0
