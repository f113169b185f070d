"""What the command lines of the stations have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from moon import config as configuration
from moon.cli.parser import Parser
from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.cycle import station_runner
from moon.errors import UsageWrong
from moon.openclaw.locate import Stores, open_stores
from moon.openclaw.transcript_store import SessionEntry, TranscriptStore
from moon.openclaw.usage import read_one
from moon.openclaw.usage_rows import row_of, usage_document
from moon.paths import Home

if TYPE_CHECKING:
    from moon.documents import Row, UsageDocument


def station_parser(tool: str, description: str, examples: str) -> Parser:
    """A parser with the options every station takes."""
    parser = Parser(tool, description, examples)
    where = parser.add_argument_group("what to work on (default: a document on standard input)")
    where.add_argument("--cycle", metavar="FILE", default="", help="a usage or cycle document in a file")
    where.add_argument(
        "--session", metavar="KEY", action="append", default=[], help="a session, by key or id; repeatable"
    )
    where.add_argument("--agent", metavar="NAME", default="", help="every session of this agent")
    where.add_argument("--all", action="store_true", help="every session")
    parser.add_argument("--json", action="store_true", help="print the cycle document, also on a terminal")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and do nothing")
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=0, help="wait this long for the lock")
    return parser


def run_station(
    station: str, work: station_runner.Work, options: argparse.Namespace, select: station_runner.Select | None = None
) -> int:
    """Load the configuration and run the station as the options say."""
    home = Home.from_environment()
    config = configuration.load(home)
    if select is None and (options.session or options.agent or options.all):
        select = select_sessions(options, station)
    if select is not None and options.cycle:
        raise UsageWrong("--cycle names a document; it does not go with --session, --agent or --all")
    call = station_runner.Call(options.cycle, select, options.json, options.dry_run, options.wait)
    return station_runner.run(station, work, home, config, call)


def select_sessions(options: argparse.Namespace, *stations: str) -> station_runner.Select:
    """The sessions that the options name, with these stations due."""

    def select(config: Config) -> UsageDocument:
        stores = open_stores(config)
        now = now_ms()
        rows: list[Row] = [
            {
                **row_of(read_one(config, store, entry, now), due=list(stations), reason="asked for by name"),
                "whole": True,
            }
            for store, entry in _named(stores, options)
        ]
        return usage_document(format_ms(now), rows, [*stores.problems, *stores.notices()])

    return select


def _named(stores: Stores, options: argparse.Namespace) -> list[tuple[TranscriptStore, SessionEntry]]:
    if options.session:
        return [stores.find(name) for name in options.session]
    found = [(store, entry) for store, entry in stores.sessions() if options.agent in ("", entry.agent)]
    if options.agent and not found:
        raise UsageWrong(f"agent {options.agent!r} has no sessions in {stores.folder}")
    return found
