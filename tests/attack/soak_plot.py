"""The curves of a soak as one SVG, drawn by hand: no library is worth its weight for four polylines."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, GAP = 900, 120, 70, 42
PANELS = (
    ("CPU of a tick without a fault, ms", lambda each: None if each.fault else each.cpu_ms, "#2b6cb0"),
    ("peak memory of a tick, MiB", lambda each: each.memory_mib, "#b7791f"),
    ("archived (line) and on disk (dots), kB", lambda each: each.archived / 1000, "#2f855a"),
    ("live sessions", lambda each: each.live, "#718096"),
)


def draw(costs: Sequence[Any], path: Path, title: str) -> None:
    """Write the picture; `costs` as `soak.Cost`."""
    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(title)}</text>']
    for place, (name, of, colour) in enumerate(PANELS):
        top = 44 + place * (HEIGHT + GAP)
        points = [(each.number, of(each)) for each in costs if of(each) is not None]
        most = max((value for _, value in points), default=0) or 1
        parts.append(f'<text x="{LEFT}" y="{top - 6}">{escape(name)}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end">{most:.0f}</text>')
        parts.append(f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#cbd5e0"/>')
        last = max(1, costs[-1].number)
        line = " ".join(f"{LEFT + n * WIDTH / last:.1f},{top + HEIGHT - v / most * HEIGHT:.1f}" for n, v in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        if "on disk" in name:
            for each in costs[:: max(1, len(costs) // 60)]:
                y = top + HEIGHT - min(1.0, each.disk / 1000 / most) * HEIGHT
                parts.append(
                    f'<circle cx="{LEFT + each.number * WIDTH / last:.1f}" cy="{y:.1f}" r="2" fill="#e53e3e"/>'
                )
    height = 44 + len(PANELS) * (HEIGHT + GAP)
    size = f'width="{LEFT + WIDTH + 20}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    path.write_text(head + "".join(parts) + "</svg>\n")
