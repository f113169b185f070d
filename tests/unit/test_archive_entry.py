"""What of an archive goes into the index and onto its page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moon.fulltext.index_filling import HEAD_CHARS, TAIL_CHARS
from moon.index.archive_entry import BEYOND_CHARS, _clean
from moon.redact import Redacted, Redactor

TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
WORDS = "plain words of no weight, "


class Counting(Redactor):
    """Counts how much it looks through."""

    seen = 0

    def redact(self, text: str) -> Redacted:
        self.seen += len(text)
        return super().redact(text)


def places() -> Iterator[int]:
    """Where a text is cut, from either end, and a little before and after."""
    for edge in (HEAD_CHARS, HEAD_CHARS + BEYOND_CHARS, HEAD_CHARS + 2 * BEYOND_CHARS):
        yield from (edge - 20, edge)
    for edge in (TAIL_CHARS, TAIL_CHARS + BEYOND_CHARS, TAIL_CHARS + 2 * BEYOND_CHARS):
        yield from (-edge - 20, -edge)


def huge(size: int) -> str:
    return (WORDS * (size // len(WORDS) + 1))[:size]


def test_of_a_huge_text_no_more_is_looked_through_than_of_a_large_one():
    redactor = Counting()
    kept = _clean(huge(20_000_000), redactor)
    assert redactor.seen <= HEAD_CHARS + TAIL_CHARS + 4 * BEYOND_CHARS
    assert kept[:HEAD_CHARS] == huge(HEAD_CHARS) and kept[-100:] == huge(20_000_000)[-100:]
    assert len(kept) > HEAD_CHARS + TAIL_CHARS


@pytest.mark.parametrize("place", list(places()))
def test_no_secret_is_left_in_half_where_a_huge_text_is_cut(place):
    plain = huge(2_000_000)
    kept = _clean(f"{plain[:place]} {TOKEN} {plain[place:]}", Redactor())
    assert all(TOKEN[at : at + 10] not in kept for at in range(len(TOKEN) - 10))


def test_a_text_that_is_kept_as_a_whole_stays_as_it_is():
    whole = huge(HEAD_CHARS + TAIL_CHARS)
    assert _clean(whole, Redactor()) == whole
