"""Part of a copy of the checkout, as `lib/watch_reach.py`: which test reaches which function, and which tests to run.

A pytest plugin in the process of the tests. The instrumented sources call `mark` also in the programs that tests start;
those learn from a file which test is going on. Tests run one at a time in a copy, so there is only one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1] / ".reach"
# A test may put something else in the place of `os.write`.
WRITE = os.write
CURRENT, SEEN, RESULTS, WANTED = (FOLDER / name for name in ("current", "seen", "results", "wanted"))


class _State:
    """What is going on in this process."""

    label = ""
    seen: set[tuple[str, int]] = set()


def _begin(label: str) -> None:
    _State.label, _State.seen = label, set()
    CURRENT.write_text(label, "utf-8")


def _note(path: Path, *values: object) -> None:
    data = json.dumps(values).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        WRITE(file, data)
    finally:
        os.close(file)


def mark(path: str, line: int) -> None:
    """The function that begins at a line of a source is entered."""
    if (path, line) not in _State.seen:
        _State.seen.add((path, line))
        try:
            _note(SEEN, _State.label or CURRENT.read_text("utf-8"), path, line)
        except OSError:
            # A program without rights, files or room, as its test wants it.
            pass


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only the tests that are wanted, in the order in which they are wanted; without such a list, all."""
    if WANTED.exists():
        places = {name: number for number, name in enumerate(json.loads(WANTED.read_text("utf-8")))}
        items[:] = sorted((each for each in items if each.nodeid in places), key=lambda each: places[each.nodeid])


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    if not WANTED.exists():
        _begin(nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
    """What several tests share is reached by every test of the file."""
    if fixturedef.scope == "function" or WANTED.exists():
        return (yield)
    before = _State.label
    _begin(before.split("::")[0])
    try:
        return (yield)
    finally:
        _begin(before)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """How each part of a test ended, and its seconds."""
    if not WANTED.exists():
        _note(RESULTS, report.nodeid, report.passed or report.skipped, report.duration)
