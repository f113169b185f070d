"""What a compaction must show before it counts as done."""

from __future__ import annotations

import pytest

from moon.prune.shrinkage import Extent, is_compacted_already, shrinkage

BEFORE = Extent(40, 45_000, 1)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (Extent(41, 9_000, 2), "45000 tokens became 9000"),
        (Extent(41, 44_999, 2), "45000 tokens became 44999"),
        (Extent(41, 45_000, 2), ""),
        (Extent(41, 45_001, 2), ""),
        (Extent(41, None, 2), "compacted; its usage is known after the next turn"),
        (Extent(41, 9_000, 1), ""),
        (Extent(40, None, 1), ""),
        (Extent(40, 9_000, 0), ""),
        (BEFORE, ""),
    ],
)
def test_only_a_new_compaction_that_left_fewer_tokens_counts(after, words):
    assert shrinkage(BEFORE, after) == words


@pytest.mark.parametrize("before", [None, 0])
def test_a_number_that_was_not_known_before_proves_nothing(before):
    assert shrinkage(Extent(40, before, 1), Extent(41, 9_000, 2)) == ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"compacted": False, "reason": "Already compacted"}, True),
        ({"compacted": False, "reason": "nothing to compact here"}, True),
        ({"compacted": True, "reason": "already compacted"}, False),
        ({"compacted": False, "reason": "no model"}, False),
        ({"compacted": False, "reason": None}, False),
        ({"reason": "already compacted"}, False),
    ],
)
def test_an_answer_that_nothing_is_left_to_do(answer, expected):
    assert is_compacted_already(answer) is expected
