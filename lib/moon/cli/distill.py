"""moon-distill: what is worth carrying over, into DistillationRecords and the daily memory."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from moon import config as configuration
from moon.cli.station_command import run_station, station_parser
from moon.clock import format_ms, local_date, now_ms, parse_ms
from moon.config import Config
from moon.distill.archive_units import ArchiveUnit, Wanted
from moon.distill.daily_memory import day_of
from moon.distill.distill_station import session_units, work_for
from moon.distill.unit_reading import last_said
from moon.distillations import Distillations, read_record
from moon.errors import UsageWrong
from moon.openclaw.transcript_store import Transcript
from moon.openclaw.usage_rows import transcript_row, usage_document
from moon.paths import Home
from moon.vault.archive_names import select_segments
from moon.vault.catalog import Catalog, Segment, open_catalog

if TYPE_CHECKING:
    from moon.documents import UsageDocument

EXAMPLES = """\
  moon-distill --session agent:main:main       every archive of a session that is not distilled yet
  moon-distill --archive 4f1a9c                the day of one archive, by the beginning of its SHA-256
  moon-distill --pending                       every archive that was never distilled
  moon-distill --archive 4f1a9c --provider local --dry-run
  moon-archive --all | moon-index | moon-distill
"""


def main(arguments: list[str]) -> int:
    """Distill what is asked for; returns the exit code."""
    parser = station_parser("moon-distill", "Distill archives into daily memory and records.", EXAMPLES)
    parser.add_argument(
        "--archive", metavar="SHA256", action="append", default=[], help="the day of this archive; repeatable"
    )
    parser.add_argument("--pending", action="store_true", help="every archive that has no distillation yet")
    parser.add_argument("--date", metavar="YYYY-MM-DD", default="", help="archives whose conversation ended that day")
    parser.add_argument("--provider", choices=("gemini", "openai", "local"), default="", help="use only this provider")
    options = parser.parse_args(arguments)
    if options.date and not re.fullmatch(r"\d{4}-\d\d-\d\d", options.date):
        raise UsageWrong(f"--date takes YYYY-MM-DD, not {options.date!r}")
    chosen: frozenset[str] = frozenset()
    select = None
    if options.archive or options.session or options.agent or options.all or options.pending or options.date:
        units = find_units(Home.from_environment(), options)
        chosen = frozenset(sha for unit in units for sha in unit.archives)
        select = _select([file for unit in units for file in unit.files])
    return run_station("distill", work_for(Wanted(chosen, options.provider)), options, select)


def find_units(home: Home, options: argparse.Namespace) -> list[ArchiveUnit]:
    """What the options name, by session, day and window. Raises `SessionUnknown`, `UsageWrong`."""
    zone_name = configuration.load(home).timezone
    known = Distillations(home)
    with open_catalog(home) as catalog:
        named = select_segments(catalog, archives=options.archive, sessions=options.session, agent=options.agent)
        wanted = Wanted(frozenset(file.sha256 for file in named))
        sessions = dict.fromkeys((file.agent, file.session_id) for file in named)
        units = [unit for owner in sessions for unit in session_units(catalog, *owner, zone_name, known.of)]
        units = [unit for unit in units if wanted.names(unit)]
        if options.archive or not options.date:
            return units
        return [unit for unit in units if _ended_on(catalog, unit, zone_name) == options.date]


def _ended_on(catalog: Catalog, unit: ArchiveUnit, zone_name: str) -> str:
    """The local date of the last thing said in a unit."""
    record = None if unit.new else read_record(catalog.home, unit.name)
    if record is not None:
        return day_of(record, zone_name)
    last = last_said(catalog, unit) or unit.files[-1].archived_at
    return local_date(parse_ms(last) or 0, zone_name).isoformat()


def _select(found: list[Segment]) -> Callable[[Config], UsageDocument]:
    sessions = dict.fromkeys(Transcript(each.agent, each.session_key, each.session_id) for each in found)

    def select(config: Config) -> UsageDocument:
        rows = [transcript_row([each], due=["distill"], reason="asked for by name") for each in sessions]
        return usage_document(format_ms(now_ms()), rows, [])

    return select
