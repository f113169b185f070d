"""The measure of how many lines of a memory are right: what it calls right, misplaced and idle."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from moon.distill.distillation import Item
from moon.distill.turns import Turn

BENCH = Path(__file__).parents[1] / "bench"
TEXT = """name: sample
kind: project
language: en
search: db-3 | 5432

=== 2024-01-01
U> Which database do we take, or should we ask Pia? ⟦D We take Postgres on db-3.⟧ Nice weather today, by the way.
A> ⟦T I still have to open the port for the office.⟧
C> exec ⟦C ssh db-3 systemctl restart postgresql⟧ && true
"""


@pytest.fixture
def bench(monkeypatch):
    """The modules as `make bench-distill` runs them."""
    monkeypatch.syspath_prepend(str(BENCH))
    import bench_precision
    import labelled_sessions

    return labelled_sessions, bench_precision


@pytest.fixture
def judged(bench, tmp_path):
    """A function from a list and its lines to their verdicts, over the sample."""
    sessions, precision = bench
    path = tmp_path / "sample.txt"
    path.write_text(TEXT, encoding="utf-8")
    (window,) = sessions._windows(path, sessions.TUNED)

    def judge(name, *lines):
        tally = precision.Tally()
        tally.add(window, {name: [Item(line, ("e000",)) for line in lines]})
        return [each.verdict for each in tally.verdicts], tally

    return judge


def test_a_line_is_judged_by_the_statement_it_was_made_of(judged):
    assert judged("decisions", "We take Postgres on db-3.")[0] == ["right"]
    assert judged("rules", "We take Postgres on db-3.")[0] == ["misplaced"]
    assert judged("summary", "We take Postgres on db-3.")[0] == ["right"], "the summary may hold all that counts"
    assert judged("decisions", "Nice weather today, by the way.")[0] == ["idle"]
    assert judged("open_tasks", "Which database do we take, or should we ask Pia?")[0] == ["idle"]


def test_a_line_that_joins_two_sentences_is_right_by_the_larger_part(judged):
    assert judged("decisions", "We take Postgres on db-3. Nice weather today, by the way.")[0] == ["right"]
    long = "Which database do we take, or should we ask Pia? Nice weather today, by the way. We take Postgres"
    assert judged("decisions", long)[0] == ["idle"]


def test_the_same_said_twice_is_idle(judged):
    twice, tally = judged("decisions", "We take Postgres on db-3.", "We take Postgres on db-3!")
    assert twice == ["right", "idle"]
    assert (tally.kept, tally.marked) == (1, 2), "the task was not kept; a command is no statement"


def test_commands_and_identifiers(judged):
    assert judged("commands", "ssh db-3 systemctl restart postgresql && true", "true")[0] == ["right", "idle"]
    assert judged("identifiers", "db-3", "5432", "Postgres", "432")[0] == ["right", "right", "idle", "idle"]


def test_words_that_nobody_said_are_counted(judged):
    assert judged("decisions", "We take Postgres on db-3, was MySQL.")[1].foreign
    assert not judged("decisions", "We take Postgres on db-3, was db-3.")[1].foreign


def test_a_fragment_is_told_from_a_sentence_that_somebody_writes_small(judged, monkeypatch):
    assert not judged("decisions", "We take Postgres on db-3.")[1].fragments
    cut = ["take Postgres on db-3.", "I still have to open the", ", or should we ask Pia?"]
    assert judged("decisions", *cut)[1].fragments == cut
    lines = importlib.import_module("lines")
    turn = Turn("e0", "user", "the nas beeps. ok allow port 22\n- then a new disk")
    assert not any(
        lines.is_fragment(line, [turn]) for line in ("the nas beeps.", "ok allow port 22", "then a new disk")
    )
    assert lines.is_fragment("nas beeps. ok allow", [turn])


def test_the_labelled_sessions_can_be_read(bench):
    sessions, _ = bench
    windows = sessions.load_labelled()
    for half in (sessions.TUNED, sessions.HELD_OUT):
        assert len({window.kind for window in windows if window.half == half}) >= 10
    assert sum(bool(each.lists) for window in windows for each in window.statements) >= 300
    said = [turn.text for window in windows for turn in window.turns]
    assert not any("⟦" in text or "⟧" in text for text in said), "a mark of a label is left in a turn"
