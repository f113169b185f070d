"""Nineteen languages in one archive: questions with other forms of the words find what answers them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench.bench_recall import Question, questions, turns
from tests.bench.written_sets import read_set

from moon.fulltext import Filters, MessageRow, SegmentSource, TextIndexWriter, open_writer
from moon.recall import embedded
from moon.recall.dates import Calendar

SAMPLES = read_set(Path(__file__).parents[1] / "bench" / "sets" / "languages")
AGENTS = [sample["sample_id"] for sample in SAMPLES]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextIndexWriter]:
    with open_writer(tmp_path_factory.mktemp("index") / "recall.sqlite") as opened:
        for sample in SAMPLES:
            said = [*turns(sample)]
            for session in dict.fromkeys(turn.session for turn in said):
                rows = [
                    MessageRow(turn.event, at + 1, turn.role, turn.text, f"{turn.when.isoformat()}Z")
                    for at, turn in enumerate(said)
                    if turn.session == session
                ]
                source = SegmentSource(session, sample["sample_id"], session, session, f"{session}.jsonl")
                opened.add_segment(source, rows)
        yield opened


def is_found(index: TextIndexWriter, asked: Question) -> bool:
    found = embedded.search(index, asked.text, Filters(agent=asked.agent), Calendar(0, "UTC"))
    return any(hit.row.event_id in asked.events for hit in embedded.hits(index, found.scored, 5))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_language(index: TextIndexWriter, agent: str) -> None:
    asked = [each for each in questions(SAMPLES) if each.agent == agent]
    missed = [each.text for each in asked if not is_found(index, each)]
    assert len(asked) == 6
    assert len(missed) <= 1, missed
