"""Standard output as others may have left it."""

from __future__ import annotations

import io
import sys

import pytest

from moon import output


def test_a_standard_output_that_others_closed_is_no_error_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The MCP package of version 1 wraps the stream and closes it when its client leaves."""
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    output.flush()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_work_says_how_far_it_is_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moon.output.TRACKED_SECONDS", -1.0)
    for stream, says in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        assert list(output.tracked(["a", "b"], "reading")) == ["a", "b"]
        assert ("reading: 2 of 2" in stream.getvalue()) is says
        assert stream.getvalue().endswith("\r\033[K" if says else "")
