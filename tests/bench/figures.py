"""What a bench found, as a table and as curves with the exponent with which they grow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from measure import Cost

WIDTH, HEIGHT, EDGE = 560, 300, 56
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7a4f9a")


class Figure(NamedTuple):
    """One line of the table: a cost, and what it comes to beside a reference of the same run."""

    what: str
    cost: Cost
    ratio: str = ""
    wanted: str = ""


class Curve(NamedTuple):
    """CPU seconds over a size; both above zero."""

    name: str
    points: list[tuple[float, float]]

    @property
    def exponent(self) -> float:
        """The slope in a plot with logarithmic axes: 0 flat, 1 linear, 2 quadratic."""
        xs, ys = zip(*((math.log(x), math.log(y)) for x, y in self.points), strict=True)
        middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
        spread = sum((x - middle_x) ** 2 for x in xs)
        return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def times(cost: Cost, reference: Cost, name: str) -> str:
    """`1.31 × the interpreter`, or `1/45 of it` where it is far less."""
    ratio = cost.cpu / reference.cpu
    return f"{ratio:.2f} × {name}" if ratio >= 0.2 else f"1/{1 / ratio:.0f} of {name}"


def table(figures: Sequence[Figure]) -> str:
    """Markdown."""
    head = "| | CPU | wall | memory | ratio | wanted |\n|---|---|---|---|---|---|\n"
    return head + "".join(
        f"| {each.what} | {_seconds(each.cost.cpu)} | {_seconds(each.cost.wall)} | {each.cost.peak_mib:.0f} MiB "
        f"| {each.ratio} | {each.wanted} |\n"
        for each in figures
    )


def _seconds(value: float) -> str:
    return "" if not value else f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def exponents(curves: Sequence[Curve]) -> str:
    """A sentence for each curve."""
    return "".join(
        f"- {curve.name}: from {curve.points[0][0]:g} to {curve.points[-1][0]:g}, CPU grows with the power "
        f"{curve.exponent:.2f} of the size.\n"
        for curve in curves
    )


def plot(title: str, x_name: str, curves: Sequence[Curve]) -> str:
    """An SVG with logarithmic axes."""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    left, right = math.log10(min(xs)), math.log10(max(xs))
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left or 1)
        up = (math.log10(y) - low) / (high - low or 1)
        return EDGE + across * (WIDTH - 2 * EDGE), HEIGHT - EDGE - up * (HEIGHT - 2 * EDGE)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{WIDTH / 2}" y="18" text-anchor="middle" font-size="13">{title}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{x_name}</text>',
    ]
    for power in range(low, high + 1):
        _, y = at(min(xs), 10**power)
        parts.append(f'<line x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{EDGE - 6}" y="{y + 4:.1f}" text-anchor="end">{_seconds(10**power)}</text>')
    for x in sorted(set(xs)):
        place, _ = at(x, 10**low)
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - EDGE + 16}" text-anchor="middle">{x:g}</text>')
    for number, curve in enumerate(curves):
        parts += _drawn(curve, COLOURS[number % len(COLOURS)], 34 + 15 * number, [at(*each) for each in curve.points])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(curve: Curve, colour: str, label_at: float, places: Sequence[tuple[float, float]]) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    label = f"{curve.name} (power {curve.exponent:.2f})"
    return [line, *dots, f'<text x="{EDGE + 8}" y="{label_at}" fill="{colour}">{label}</text>']
