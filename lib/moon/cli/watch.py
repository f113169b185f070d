"""moon-watch: the timer for hosts without a service manager."""

from __future__ import annotations

from moon import config as configuration
from moon import output, resources
from moon.cli.parser import Parser
from moon.clock import now_text
from moon.paths import Home
from moon.watch.watch_loop import run_forever, run_once

EXAMPLES = """\
  moon-watch --once                            one tick; its exit code
  moon-watch --daemon                          a tick every timer.interval_seconds, in the foreground
  nohup moon-watch --daemon 2>>watch.log &     where nothing else starts it
"""


def main(arguments: list[str]) -> int:
    """Run ticks; returns the exit code of the tick, or 128 + the signal that ended the loop."""
    parser = Parser("moon-watch", "Run moon-sample again and again, in the foreground.", EXAMPLES)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="one tick, then end with its exit code")
    how.add_argument("--daemon", action="store_true", help="a tick every timer.interval_seconds until a signal")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    interval = configuration.load(home).timer.interval_seconds
    tick = resources.program("sample")
    return run_once(tick) if options.once else run_forever(home, float(interval), say, tick)


def say(words: str) -> None:
    """One line about one event."""
    output.say(f"{now_text()} moon-watch: {words}")
