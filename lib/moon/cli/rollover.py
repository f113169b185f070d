"""moon-rollover: a fresh window that opens with a continuity map."""

from __future__ import annotations

from moon.cli.station_command import run_station, station_parser
from moon.rollover.rollover_station import work

EXAMPLES = """\
  moon-rollover --session agent:main:main
  moon-sample --no-exec | moon-archive | moon-index | moon-distill | moon-rollover
"""


def main(arguments: list[str]) -> int:
    """Roll over what is due or named; returns the exit code."""
    parser = station_parser(
        "moon-rollover",
        "Start a fresh window that opens with a continuity map. Refuses unless every event is archived, read back and "
        "found by a search; waits while somebody is at work.",
        EXAMPLES,
    )
    return run_station("rollover", work, parser.parse_args(arguments))
