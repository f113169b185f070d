"""A usage curve in the characters of a terminal. Pure."""

from __future__ import annotations

from moon.clock import format_ms
from moon.status.usage_curve import Curve
from moon.text import shown

HEIGHT = 12
BARS = " ▁▂▃▄▅▆▇█"
LETTERS = {"archive": "a", "prune": "p", "distill": "d", "rollover": "R"}
LABEL = 7


def plot(curve: Curve, width: int) -> list[str]:
    """The lines to print: the curve, a row of letters for what was done, the times at both ends."""
    name = shown(curve.session_key)
    if not curve.points:
        return [f"{name}: no archived answer says how full it was"]
    columns = max(20, width - LABEL - 2)
    first, last = curve.span
    heights = _heights(curve, columns, first, last)
    lines = [f"{name}: {curve.points[-1].tokens} of {curve.budget or '?'} tokens at the last archived answer"]
    for row in reversed(range(HEIGHT)):
        lines.append(f"{_axis(row, curve):>{LABEL}} ┤{''.join(_cell(each, row) for each in heights)}".rstrip())
    lines.append(f"{'':>{LABEL}} └{_letters(curve, columns, first, last)}".rstrip())
    ends = (format_ms(first)[:16].replace("T", " "), format_ms(last)[:16].replace("T", " "))
    lines.append(f"{'':>{LABEL}}  {ends[0]}{ends[1]:>{max(1, columns - len(ends[0]))}}")
    lines.append(f"{'':>{LABEL}}  " + ", ".join(f"{letter} {action}" for action, letter in LETTERS.items()))
    return lines


def column_of(at: int, columns: int, first: int, last: int) -> int:
    """The column of a moment; what lies outside belongs to the end that is nearer."""
    return min(columns - 1, max(0, (at - first) * (columns - 1) // (last - first)))


def _heights(curve: Curve, columns: int, first: int, last: int) -> list[float]:
    """The highest value of each column as a share of the axis; a column without one holds the value before it."""
    heights = [-1.0] * columns
    for point in curve.points:
        column = column_of(point.at, columns, first, last)
        heights[column] = max(heights[column], point.tokens / curve.top)
    known = 0.0
    for column, height in enumerate(heights):
        known = height if height >= 0 else known
        heights[column] = known
    return heights


def _cell(height: float, row: int) -> str:
    """The character of a column in a row of the plot."""
    filled = height * HEIGHT - row
    return BARS[min(8, max(0, round(filled * 8)))]


def _axis(row: int, curve: Curve) -> str:
    """What stands beside a row: the threshold that lies in it, the top, the bottom."""
    for share in curve.limits:
        if row == min(HEIGHT - 1, int(share * curve.budget / curve.top * HEIGHT)):
            return f"{share:.0%}"
    return str(curve.top) if row == HEIGHT - 1 else "0" if row == 0 else ""


def _letters(curve: Curve, columns: int, first: int, last: int) -> str:
    row = ["─"] * columns
    for mark in curve.marks:
        row[column_of(mark.at, columns, first, last)] = LETTERS[mark.action]
    return "".join(row)
