"""What `moon-status` draws: usage curves on a terminal, and a page with the conversations to read."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from moon import config as configuration
from moon import output
from moon.clock import local_date, now_ms, parse_ms
from moon.config import Config
from moon.cycle import session_states as states
from moon.errors import MoonError
from moon.files import atomic_writer, write_all, write_atomic
from moon.paths import Home, safe_name
from moon.policies import for_session
from moon.recall.html_page import HtmlPage
from moon.recall.reading import Transcripts
from moon.sampling import sampler
from moon.status.status_facts import audit_tail
from moon.status.status_page import Readable, kept_by_day, status_page
from moon.status.usage_curve import Curve, marks_of, read_points
from moon.status.usage_plot import plot
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.restore import find_archived

Name = tuple[str, str]
CURVES = 12


def print_plots(home: Home, wanted: str) -> None:
    """The curve of the sessions of that key or id; of the fullest ones where none is named. Raises `SessionUnknown`."""
    config, _ = configuration.load_to_read(home)
    width = shutil.get_terminal_size().columns
    with open_catalog(home) as catalog:
        named = [(agent, key) for agent, key, _ in find_archived(catalog, wanted)] if wanted else []
        curves = _curves(home, config, catalog, list(dict.fromkeys(named)))
    if not curves:
        output.tell("no archived answer says how full a session was")
    for curve in curves if wanted else curves[:3]:
        output.tell(*plot(curve, width), "")


def write_page(home: Home, document: dict[str, Any], path: Path, limit: int) -> None:
    """Write the page, and beside it one for each of the newest conversations. Raises `HomeUnusable`."""
    config, _ = configuration.load_to_read(home)
    with open_catalog(home) as catalog:
        kept = _kept(catalog, config)
        folder = path.with_name(f"{path.stem}-conversations")
        listed = _write_conversations(catalog, config, kept, folder, limit)
        curves = [each for each in _curves(home, config, catalog, []) if each.points]
    write_atomic(path, status_page(document, curves, kept_by_day(kept.days), listed))
    output.say(f"moon-status: wrote {path}")


def _curves(home: Home, config: Config, catalog: Catalog, named: list[Name]) -> list[Curve]:
    """The curves of these sessions; where none is named, of the fullest that OpenClaw has, then those archived last."""
    try:
        rows = sampler.look(home, config, states.peek(home), now_ms()).rows
    except MoonError:
        rows = []  # what is wrong with the store stands among the problems
    budgets = {(row["agent"], row["session_key"]): row["budget_tokens"] or 0 for row in rows}
    fullest = [(row["agent"], row["session_key"]) for row in sorted(rows, key=lambda row: -(row["ratio"] or 0))]
    archived = [(agent, key) for agent, key, _ in reversed(catalog.sessions())]
    marks = marks_of(audit_tail(home.audit_log).splitlines())
    wanted = named or list(dict.fromkeys([*fullest, *archived]))[:CURVES]
    return [
        Curve(
            *name,
            read_points(catalog, *name),
            tuple(marks.get(name, ())),
            budgets.get(name, 0),
            for_session(config, *name).thresholds,
        )
        for name in wanted
    ]


class _Kept(NamedTuple):
    """Bytes by day, and for each conversation its events, bytes and the time of its last archive."""

    days: Counter[str]
    conversations: dict[Name, tuple[int, int, str]]


def _kept(catalog: Catalog, config: Config) -> _Kept:
    days: Counter[str] = Counter()
    found: dict[Name, tuple[int, int, str]] = {}
    for each in catalog.segments():
        days[local_date(parse_ms(each.archived_at) or 0, config.timezone).isoformat()] += each.bytes
        events, size, last = found.get((each.agent, each.session_key), (0, 0, ""))
        found[each.agent, each.session_key] = (events + each.events, size + each.bytes, max(last, each.archived_at))
    return _Kept(days, found)


def _write_conversations(catalog: Catalog, config: Config, kept: _Kept, folder: Path, limit: int) -> list[Readable]:
    """A page for each of the newest conversations; one that stands since its last archive is not written again."""
    listed = []
    newest = sorted(kept.conversations.items(), key=lambda item: item[1][2], reverse=True)
    for number, ((agent, key), (events, size, last)) in enumerate(newest):
        page = ""
        if number < limit and key:
            path = folder / f"{safe_name(f'{agent}/{key}')}.html"
            if not path.exists() or path.stat().st_mtime * 1000 < (parse_ms(last) or 0):
                folder.mkdir(mode=0o700, exist_ok=True)
                _write_conversation(catalog, config, agent, key, path)
            page = quote(f"{folder.name}/{path.name}")
        listed.append(Readable(agent, key, events, size, last, page))
    return listed


def _write_conversation(catalog: Catalog, config: Config, agent: str, key: str, path: Path) -> None:
    """Piece by piece, so that its size does not matter."""
    transcripts = Transcripts(catalog, config.redact, key, agent)
    page = HtmlPage()
    with atomic_writer(path) as descriptor:

        def write(piece: str) -> None:
            write_all(descriptor, piece.encode("utf-8", "replace"))

        write(page.begin(key))
        transcripts.read(lambda message: write(page.message(message)))
        write(page.end(transcripts.degraded))
    if transcripts.degraded:
        # The next time it may be whole: a page that is older than its archive is made again.
        os.utime(path, (0, 0))
