"""moon-distill: what is worth carrying over, into DistillationRecords and the daily memory."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from moon import config as configuration
from moon.cli.station_command import run_station, station_parser
from moon.clock import format_ms, local_date, now_ms, parse_ms
from moon.config import Config
from moon.distill.archive_distiller import read_events, read_record
from moon.distill.archive_selection import Wanted
from moon.distill.daily_memory import day_of
from moon.distill.distill_station import work_for
from moon.documents import UsageDocument
from moon.errors import UsageWrong
from moon.openclaw.transcript_store import Transcript
from moon.openclaw.usage_rows import transcript_row, usage_document
from moon.paths import Home
from moon.vault.archive_names import select_segments
from moon.vault.catalog import Segment, open_catalog

EXAMPLES = """\
  moon-distill --session agent:main:main       every archive of a session that is not distilled yet
  moon-distill --archive 4f1a9c                one archive, by the beginning of its SHA-256
  moon-distill --pending                       every archive that was never distilled
  moon-distill --archive 4f1a9c --provider local --dry-run
  moon-archive --all | moon-index | moon-distill
"""


def main(arguments: list[str]) -> int:
    """Distill what is asked for; returns the exit code."""
    parser = station_parser("moon-distill", "Distill archives into daily memory and records.", EXAMPLES)
    parser.add_argument("--archive", metavar="SHA256", action="append", default=[], help="one archive; repeatable")
    parser.add_argument("--pending", action="store_true", help="every archive that has no distillation yet")
    parser.add_argument("--date", metavar="YYYY-MM-DD", default="", help="archives whose conversation ended that day")
    parser.add_argument("--provider", choices=("gemini", "openai", "local"), default="", help="use only this provider")
    options = parser.parse_args(arguments)
    if options.date and not re.fullmatch(r"\d{4}-\d\d-\d\d", options.date):
        raise UsageWrong(f"--date takes YYYY-MM-DD, not {options.date!r}")
    chosen: frozenset[str] = frozenset()
    select = None
    if options.archive or options.session or options.agent or options.all or options.pending or options.date:
        found = find_segments(Home.from_environment(), options)
        chosen = frozenset(segment.sha256 for segment in found)
        select = _select(found)
    return run_station("distill", work_for(Wanted(chosen, options.provider)), options, select)


def find_segments(home: Home, options: argparse.Namespace) -> list[Segment]:
    """The archives that the options name. Raises `SessionUnknown`, `UsageWrong`."""
    config = configuration.load(home)
    with open_catalog(home) as catalog:
        found = select_segments(catalog, archives=options.archive, sessions=options.session, agent=options.agent)
    if options.archive:
        return found
    return [each for each in found if not options.date or _ended_on(home, each, config.timezone) == options.date]


def _ended_on(home: Home, segment: Segment, zone_name: str) -> str:
    """The local date of the last thing said in an archive."""
    record = read_record(home, segment.sha256)
    if record is not None:
        return day_of(record, zone_name)
    last = max((event.timestamp for event in read_events(segment) if event.timestamp and event.pieces), default="")
    return local_date(parse_ms(last or segment.archived_at) or 0, zone_name).isoformat()


def _select(found: list[Segment]) -> Callable[[Config], UsageDocument]:
    sessions = dict.fromkeys(Transcript(each.agent, each.session_key, each.session_id) for each in found)

    def select(config: Config) -> UsageDocument:
        rows = [transcript_row([each], due=["distill"], reason="asked for by name") for each in sessions]
        return usage_document(format_ms(now_ms()), rows, [])

    return select
