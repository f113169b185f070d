"""How many examples a property is checked with."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100


def examples(count: int) -> settings:
    """So many in a usual run, and in a long run as many times more as that draws for any property."""
    return settings(max_examples=max(1, count * settings.default.max_examples // USUAL))
