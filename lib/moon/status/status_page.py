"""The status as one HTML page: problems, curves, growth, spend, and the conversations to read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moon import html_text as h
from moon.config import Thresholds
from moon.status.usage_curve import Curve
from moon.text import counted, readable_size

Document = dict[str, Any]
WIDTH, HEIGHT = 640, 120
COLOURS = {"archive": "var(--mark)", "prune": "var(--faint)", "distill": "var(--faint)", "rollover": "var(--bad)"}
STYLE = """\
svg{display:block;width:100%;height:auto;background:var(--card)}
.curve{fill:none;stroke:var(--mark);stroke-width:2}.limit{stroke:var(--line)}figure{margin:1rem 0}
"""


class Growth(NamedTuple):
    """How many bytes of events were kept at the end of a day."""

    day: str
    bytes: int


class Listed(NamedTuple):
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
    thresholds: Thresholds,
    growth: Sequence[Growth],
    conversations: Sequence[Listed],
) -> str:
    """The whole page."""
    parts = [
        h.begin("Moon", STYLE),
        f'<p class="faint">{h.text(document["home"])}, looked at {h.text(document["taken_at"])}</p>\n',
        *_problems(document["problems"]),
        *_numbers(document),
        "<h2>How full the sessions were</h2>\n",
        *(_figure(each, thresholds) for each in curves),
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


def _figure(curve: Curve, thresholds: Thresholds) -> str:
    """A curve with its thresholds and marks; the words below say the same to who cannot see it."""
    first, last = curve.points[0].at, max(curve.points[-1].at, curve.points[0].at + 1)

    def x(at: int) -> float:
        return round(min(1.0, max(0.0, (at - first) / (last - first))) * WIDTH, 1)

    def y(tokens: float) -> float:
        return round(HEIGHT - tokens / curve.top * (HEIGHT - 8), 1)

    points = " ".join(f"{x(each.at)},{y(each.tokens)}" for each in curve.points)
    limits = "".join(
        f'<line class="limit" x1="0" x2="{WIDTH}" y1="{y(share * curve.budget)}" y2="{y(share * curve.budget)}"/>'
        for share in (thresholds.archive, thresholds.prune, thresholds.distill)
        if curve.budget
    )
    marks = "".join(
        f'<line x1="{x(each.at)}" x2="{x(each.at)}" y1="0" y2="{HEIGHT}" stroke="{COLOURS[each.action]}" '
        f'stroke-dasharray="2 4"><title>{each.action}</title></line>'
        for each in curve.marks
    )
    counts = {action: sum(each.action == action for each in curve.marks) for action in COLOURS}
    done = ", ".join(f"{action} {number}" for action, number in counts.items() if number) or "nothing done yet"
    at_most = f" of {curve.budget}" if curve.budget else ""
    words = f"{h.text(curve.session_key)}: {curve.points[-1].tokens}{at_most} tokens; {done}"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{limits}{marks}'
        f'<polyline class="curve" points="{points}"/></svg><figcaption class="faint">{words}</figcaption></figure>\n'
    )


def _growth(growth: Sequence[Growth]) -> str:
    if not growth:
        return "<p>Nothing yet.</p>\n"
    top = max(growth[-1].bytes, 1)
    levels = [0, *(each.bytes for each in growth)]
    step = WIDTH / (len(levels) - 1)
    points = " ".join(
        f"{round(number * step, 1)},{round(HEIGHT - level / top * (HEIGHT - 8), 1)}"
        for number, level in enumerate(levels)
    )
    words = f"{readable_size(growth[-1].bytes)} of events on {growth[-1].day}, from {growth[0].day} on"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">'
        f'<polyline class="curve" points="{points}"/></svg><figcaption class="faint">{words}</figcaption></figure>\n'
    )


def _conversations(found: Sequence[Listed]) -> str:
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


def growth_of(days: Mapping[str, int]) -> list[Growth]:
    """Kept bytes at the end of each day on which something was archived."""
    total, found = 0, []
    for day in sorted(days):
        total += days[day]
        found.append(Growth(day, total))
    return found
