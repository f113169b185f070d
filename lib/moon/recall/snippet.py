"""The part of a text that shows best why it was found."""

from __future__ import annotations

from collections.abc import Collection

from moon.fulltext.languages import term_places
from moon.text import one_line

WIDTH = 240
MARK = "**"


def marked_spans(text: str, stems: Collection[str], language: str = "") -> list[tuple[int, int]]:
    """Where words of the question stand in a text of this language; pairs that overlap are one place."""
    spans: list[tuple[int, int]] = []
    for term, start, end in term_places(text, language):
        if term in stems:
            if spans and start < spans[-1][1]:
                start = spans.pop()[0]
            spans.append((start, end))
    return spans


def cut(text: str, stems: Collection[str], width: int = WIDTH, language: str = "") -> tuple[str, list[tuple[int, int]]]:
    """(about `width` characters around the densest match, the matches in it). One line, as `moon.text` makes it."""
    flat = one_line(text)
    spans = marked_spans(flat, stems, language)
    if len(flat) <= width:
        return flat, spans
    start = _densest(spans, width)
    start = max(0, min(start - width // 6, len(flat) - width))
    end = min(len(flat), start + width)
    if start:
        start = flat.find(" ", start, start + 30) + 1 or start
    if end < len(flat):
        end = max(flat.rfind(" ", end - 30, end), start + width // 2)
    head = "… " if start else ""
    shift = len(head) - start
    inside = [(low + shift, high + shift) for low, high in spans if low >= start and high <= end]
    return head + flat[start:end] + (" …" if end < len(flat) else ""), inside


def _densest(spans: list[tuple[int, int]], width: int) -> int:
    """Where a window of that width holds most matches."""
    best = (0, 0)
    for first, (start, _) in enumerate(spans):
        inside = sum(1 for low, high in spans[first:] if high <= start + width)
        best = max(best, (inside, -start))
    return -best[1]


def mark(text: str, spans: list[tuple[int, int]], before: str = MARK, after: str = MARK) -> str:
    """The text with each match between marks."""
    pieces = []
    last = 0
    for low, high in spans:
        pieces += [text[last:low], before, text[low:high], after]
        last = high
    return "".join([*pieces, text[last:]])
