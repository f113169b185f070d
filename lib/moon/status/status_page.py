"""The status as one HTML page: problems, curves, growth, spend, and the conversations to read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moon import html_text as h
from moon.status.usage_curve import Curve
from moon.text import counted, readable_size

Document = dict[str, Any]
WIDTH, HEIGHT = 640, 120
COLOURS = {"archive": "var(--mark)", "prune": "var(--faint)", "distill": "var(--faint)", "rollover": "var(--bad)"}
STYLE = """\
svg{display:block;width:100%;height:auto;background:var(--card)}
.curve{fill:none;stroke:var(--mark);stroke-width:2}.limit{stroke:var(--line)}figure{margin:1rem 0}
"""


class DayTotal(NamedTuple):
    """How many bytes of events were kept at the end of a day."""

    day: str
    bytes: int


class Readable(NamedTuple):
    """A conversation to read: `page` is a path beside this page, empty where none was made."""

    agent: str
    session_key: str
    events: int
    bytes: int
    last: str
    page: str


def status_page(
    document: Document,
    curves: Sequence[Curve],
    growth: Sequence[DayTotal],
    conversations: Sequence[Readable],
) -> str:
    """The whole page."""
    parts = [
        h.begin("Moon", STYLE),
        f'<p class="faint">{h.text(document["home"])}, looked at {h.text(document["taken_at"])}</p>\n',
        *_problems(document["problems"]),
        *_numbers(document),
        "<h2>How full the sessions were</h2>\n",
        *map(_figure, curves),
        "" if curves else "<p>No archived answer says so yet.</p>\n",
        "<h2>What is kept</h2>\n",
        _growth(growth),
        "<h2>Conversations</h2>\n",
        _conversations(conversations),
        h.end(),
    ]
    return "".join(parts)


def _problems(problems: Sequence[Document]) -> Iterable[str]:
    yield "<h2>Problems</h2>\n"
    if not problems:
        yield "<p>None.</p>\n"
        return
    yield "<ul>\n"
    for each in problems:
        kind = ' class="bad"' if each["needs_person"] else ""
        yield f"<li><span{kind}>{h.text(each['message'])}</span><br>"
        yield f'<span class="faint">{h.text(each["hint"])}; since {h.text(each["since"])}</span></li>\n'
    yield "</ul>\n"


def _numbers(document: Document) -> Iterable[str]:
    kept, disk, spent = document["archives"], document["disk"], document["distillation"]
    rows = {
        "last look": document["heartbeat"]["at"] or "never",
        "archives": f"{counted(kept['archives'], 'archive')}, {counted(kept['events'], 'event')}, "
        f"{readable_size(kept['bytes'])}",
        "on disk": f"archives {readable_size(disk['raw_bytes'])}, index {readable_size(disk['index_bytes'])}",
    }
    if spent is not None:
        rows["models today"] = (
            f"{spent['calls']} of {spent['calls_per_day']} calls, {spent['tokens']} of {spent['tokens_per_day']} tokens"
        )
    yield _table(("", ""), ((name, h.text(words)) for name, words in rows.items()))


def _figure(curve: Curve) -> str:
    """A curve with its thresholds and marks."""
    first, last = curve.span

    def x(at: int) -> float:
        return min(1.0, max(0.0, (at - first) / (last - first)))

    limits = "".join(
        f'<line class="limit" x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/>'
        for y in (_y(share * curve.budget / curve.top) for share in curve.limits)
    )
    marks = "".join(
        f'<line x1="{at}" x2="{at}" y1="0" y2="{HEIGHT}" stroke="{COLOURS[action]}" stroke-dasharray="2 4">'
        f"<title>{action}</title></line>"
        for at, action in ((_x(x(each.at)), each.action) for each in curve.marks)
    )
    counts = {action: sum(each.action == action for each in curve.marks) for action in COLOURS}
    done = ", ".join(f"{action} {number}" for action, number in counts.items() if number) or "nothing done yet"
    at_most = f" of {curve.budget}" if curve.budget else ""
    words = f"{h.text(curve.session_key)}: {curve.points[-1].tokens}{at_most} tokens; {done}"
    points = [(x(each.at), each.tokens / curve.top) for each in curve.points]
    return _drawing(points, words, behind=limits + marks)


def _growth(growth: Sequence[DayTotal]) -> str:
    if not growth:
        return "<p>Nothing yet.</p>\n"
    levels = [0, *(each.bytes for each in growth)]
    top, steps = max(levels[-1], 1), len(levels) - 1
    words = f"{readable_size(levels[-1])} of events on {growth[-1].day}, from {growth[0].day} on"
    return _drawing([(number / steps, level / top) for number, level in enumerate(levels)], words)


def _drawing(points: Iterable[tuple[float, float]], words: str, *, behind: str = "") -> str:
    """A line through points, each a share of width and height; the words say the same to who cannot see it."""
    line = " ".join(f"{_x(across)},{_y(up)}" for across, up in points)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{behind}'
        f'<polyline class="curve" points="{line}"/></svg><figcaption class="faint">{words}</figcaption></figure>\n'
    )


def _x(share: float) -> float:
    return round(share * WIDTH, 1)


def _y(share: float) -> float:
    return round(HEIGHT - share * (HEIGHT - 8), 1)


def _conversations(found: Sequence[Readable]) -> str:
    if not found:
        return "<p>None is archived yet.</p>\n"
    rows = []
    for each in found:
        name = h.text(each.session_key or "(no key)")
        link = f'<a href="{h.text(each.page)}">{name}</a>' if each.page else name
        rows.append((link, h.text(each.agent), str(each.events), readable_size(each.bytes), h.text(each.last)))
    return _table(("conversation", "agent", "events", "size", "last archived"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{each}</th>" for each in heads)
    head = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<div class="wide"><table>{head}<tbody>\n{body}</tbody></table></div>\n'


def kept_by_day(days: Mapping[str, int]) -> list[DayTotal]:
    """Kept bytes at the end of each day on which something was archived."""
    total, found = 0, []
    for day in sorted(days):
        total += days[day]
        found.append(DayTotal(day, total))
    return found
