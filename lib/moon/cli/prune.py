"""moon-prune: make room in a session that is fully archived and at rest."""

from __future__ import annotations

from moon.cli.station_command import run_station, station_parser
from moon.prune.prune_station import work

EXAMPLES = """\
  moon-prune --session agent:main:main
  moon-sample --no-exec | moon-archive | moon-index | moon-prune
"""


def main(arguments: list[str]) -> int:
    """Prune what is due or named; returns the exit code."""
    parser = station_parser(
        "moon-prune",
        "Have OpenClaw compact sessions. Refuses unless every event is archived, read back and found by a search; "
        "waits while somebody is at work.",
        EXAMPLES,
    )
    return run_station("prune", work, parser.parse_args(arguments))
