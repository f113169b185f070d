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
from moon.errors import MoonError, SessionUnknown
from moon.files import atomic_writer, unusable, write_all, write_atomic
from moon.paths import Home, safe_name
from moon.recall.html_page import HtmlPage
from moon.recall.reading import Transcripts
from moon.sampling import sampler
from moon.status.status_facts import audit_tail
from moon.status.status_page import Listed, growth_of, status_page
from moon.status.usage_curve import Curve, read_curve
from moon.status.usage_plot import plot
from moon.vault.catalog import Catalog, open_catalog

Name = tuple[str, str]
CURVES = 12


def print_plots(home: Home, wanted: str) -> None:
    """The curve of the sessions of that key or id; of the fullest ones where none is named. Raises `SessionUnknown`."""
    config = configuration.load(home)
    width = shutil.get_terminal_size().columns
    with open_catalog(home) as catalog:
        curves = _curves(home, config, catalog, _named(catalog, wanted) if wanted else [])
    if not curves:
        output.tell("no archived answer says how full a session was")
    for curve in curves if wanted else curves[:3]:
        output.tell(*plot(curve, config.thresholds, width), "")


def write_page(home: Home, document: dict[str, Any], target: str, limit: int) -> None:
    """Write the page, and beside it one for each of the newest conversations. Raises `HomeUnusable`."""
    config = configuration.load(home)
    path = Path(target).expanduser()
    if not path.parent.is_dir():
        raise unusable(path.parent, FileNotFoundError(2, os.strerror(2), str(path.parent)))
    with open_catalog(home) as catalog:
        kept = _kept(catalog, config)
        folder = path.with_name(f"{path.stem}-conversations")
        listed = _write_conversations(catalog, config, kept, folder, limit)
        curves = [each for each in _curves(home, config, catalog, []) if each.points][:CURVES]
    page = status_page(document, curves, config.thresholds, growth_of(kept.days), listed)
    write_atomic(path, page)
    output.say(f"moon-status: wrote {path}")


def _named(catalog: Catalog, wanted: str) -> list[Name]:
    found = [(agent, key) for agent, key, session_id in catalog.sessions() if wanted in (key, session_id)]
    if not found:
        raise SessionUnknown(
            f"no archive of a session {wanted!r}",
            path=str(catalog.home.ledger),
            hint="`moon-archive --list` names the sessions that have archives",
        )
    return list(dict.fromkeys(found))


def _curves(home: Home, config: Config, catalog: Catalog, named: list[Name]) -> list[Curve]:
    """The curves of these sessions; of all that OpenClaw has, the fullest first, where none is named."""
    audit = audit_tail(home.audit_log).splitlines()
    try:
        rows = sampler.look(home, config, states.peek(home), now_ms()).rows
    except MoonError:
        rows = []
    budgets = {(row["agent"], row["session_key"]): row["budget_tokens"] or 0 for row in rows}
    fullest = sorted(rows, key=lambda row: -(row["ratio"] or 0))
    wanted = named or [(row["agent"], row["session_key"]) for row in fullest][:CURVES]
    return [read_curve(catalog, agent, key, audit, budgets.get((agent, key), 0)) for agent, key in wanted]


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


def _write_conversations(catalog: Catalog, config: Config, kept: _Kept, folder: Path, limit: int) -> list[Listed]:
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
        listed.append(Listed(agent, key, events, size, last, page))
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
        write(page.end())
