"""moon-snapshot: take in everything that is there now, and make it findable, in one go."""

from __future__ import annotations

from moon import config as configuration
from moon.archive.archive_station import work as archive_work
from moon.cli.archive import select_everything
from moon.cli.index import work_and_skills as index_work
from moon.cli.parser import Parser
from moon.cli.station_command import select_sessions
from moon.cycle import station_runner
from moon.paths import Home

EXAMPLES = """\
  moon-snapshot                              every transcript of the store, archived and findable
  moon-snapshot --session agent:main:main    one session
  moon-snapshot --json | jq .stations
"""


def main(arguments: list[str]) -> int:
    """Archive and index; returns the exit code."""
    about = "Archive everything there is now and make it findable: moon-archive --all | moon-index, under one lock."
    parser = Parser("moon-snapshot", about, EXAMPLES)
    parser.add_argument("--session", metavar="KEY", action="append", default=[], help="a session, by key or id")
    parser.add_argument("--agent", metavar="NAME", default="", help="every session of this agent")
    parser.add_argument("--json", action="store_true", help="print the cycle document, also on a terminal")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and do nothing")
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60, help="wait this long for the lock (60)")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    config = configuration.load(home)
    named = options.session or options.agent
    select = select_sessions(options, "archive", "index") if named else select_everything
    call = station_runner.Call("", select, options.json, options.dry_run, options.wait)
    return station_runner.run_together([("archive", archive_work), ("index", index_work)], home, config, call)
