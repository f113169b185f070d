"""How many tokens a text is, about."""

from __future__ import annotations


def estimate_tokens(text: str) -> int:
    """Rather too many than too few, without knowing the model's own way of counting."""
    plain = len(text.encode("ascii", "ignore"))
    return int(plain / 3.4 + (len(text) - plain) / 1.2) + 1
