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
