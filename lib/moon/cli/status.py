"""moon-status: what Moon did last, what waits, and how much it keeps. Only reads; never waits."""

from __future__ import annotations

from moon import config as configuration
from moon import output
from moon.cli.parser import Parser
from moon.paths import Home
from moon.status.status_facts import as_json, gather
from moon.status.status_text import describe

EXAMPLES = """\
  moon-status
  moon-status --json | jq .heartbeat
  moon-status --json | jq -r '.sessions[] | select(.pending != []) | .session_key'
"""


def main(arguments: list[str]) -> int:
    """Print the status; 0 whatever it says."""
    parser = Parser("moon-status", "Say what Moon did last, what waits, and how much it keeps.", EXAMPLES)
    parser.add_argument("--json", action="store_true", help="print the status document")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    document = gather(home, configuration.load(home))
    if options.json:
        output.put(as_json(document))
    else:
        output.tell(*describe(document))
    return 0
