"""What an archive still needs, and what a session's entry says about it."""

from __future__ import annotations

from pathlib import Path

from moon.index.index_steps import Made, entry_of, plan_steps
from moon.vault.catalog import Segment


def segment(name: str) -> Segment:
    return Segment("main", "agent:main:main", "s1", 1, name * 64, Path(f"/h/{name}.jsonl"), 3, 90, False, "")


A, B, C = segment("a"), segment("b"), segment("c")


def test_only_what_is_missing_becomes_a_step() -> None:
    steps = list(plan_steps([A, B, C], lambda each: each in (A, C), lambda each: each in (A, B)))
    assert [(step.segment, step.index, step.page) for step in steps] == [(B, True, False), (C, False, True)]


def test_indexed_means_that_a_search_finds_it() -> None:
    made = Made([A.sha256, B.sha256], messages=4)
    entry = entry_of(made, [A, B, C], {A.sha256, C.sha256}, fresh=[B.sha256, C.sha256])
    assert entry["indexed"] == [C.sha256, A.sha256]
    assert entry["outcome"] == "failed" and "1 archive not found" in entry["reason"]


def test_nothing_left_to_do() -> None:
    entry = entry_of(Made(), [A], {A.sha256}, fresh=[])
    assert (entry["outcome"], entry["words"]) == ("nothing", "1 archive indexed already")


def test_a_session_without_archives_says_so() -> None:
    assert entry_of(Made(), [], set(), fresh=[])["words"] == "no archive of this session yet"


def test_a_problem_fails_the_session_though_something_was_done() -> None:
    entry = entry_of(Made([A.sha256], problems=["archive b does not decompress"]), [A], {A.sha256}, fresh=[])
    assert (entry["outcome"], entry["reason"]) == ("failed", "archive b does not decompress")
