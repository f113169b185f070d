"""moon-status: what is wrong, what Moon did last, what waits, and how much it keeps. Only reads; never waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moon import output
from moon.cli.parser import Parser
from moon.errors import DONE, FAILED, UsageWrong
from moon.files import write_atomic
from moon.paths import Home
from moon.status.metrics import as_metrics
from moon.status.status_facts import as_json, gather
from moon.status.status_problems import needs_person
from moon.status.status_text import check_line, describe

EXAMPLES = """\
  moon-status                                  problems first; exit code 1 when one needs you
  moon-status --check                          one line, for monitoring
  moon-status --prometheus /var/lib/node_exporter/moon.prom
  moon-status --plot agent:main:main           how full it was over time, and what was done when
  moon-status --html moon.html                 a page with all of it, and the conversations to read
  moon-status --fleet                          every machine that copies to the same places
  moon-status --json | jq .problems
  moon-status --json | jq -r '.sessions[] | select(.pending != []) | .session_key'
"""
STDOUT = "-"
# Metrics hold numbers only, and node_exporter is another user.
READABLE = 0o644


def main(arguments: list[str]) -> int:
    """Print the status; 0 when all is well or passes by itself, 1 when something needs a person."""
    parser = Parser(
        "moon-status", "Say what is wrong, what Moon did last, what waits, and how much it keeps.", EXAMPLES
    )
    form = parser.add_mutually_exclusive_group()
    parser.add_argument("--json", action="store_true", help="print the status document")
    form.add_argument("--check", action="store_true", help="print one line, for monitoring")
    form.add_argument(
        "--prometheus",
        metavar="FILE",
        help="write metrics for node_exporter's textfile collector (- for standard output)",
    )
    form.add_argument(
        "--fleet", action="store_true", help="every host that copies to the same places, from their heads"
    )
    form.add_argument("--plot", metavar="SESSION", nargs="?", const="", help="draw how full it was, and what was done")
    form.add_argument("--html", metavar="FILE", help="write a page: problems, curves, growth, conversations to read")
    parser.add_argument(
        "--conversations", metavar="N", type=int, default=50, help="with --html: pages for the N newest (default 50)"
    )
    parser.add_argument("--all", action="store_true", help="list every session")
    options = parser.parse_args(arguments)
    if options.json and (options.check or options.prometheus or options.html or options.plot is not None):
        raise UsageWrong("--json goes with --fleet, or alone", hint="see `moon-status --help`")
    home = Home.from_environment()
    if options.plot is not None:
        from moon.cli.status_pictures import print_plots

        print_plots(home, options.plot)
        return DONE
    if options.fleet:
        return print_fleet(home, options.json)
    document = gather(home)
    if options.json:
        output.put(as_json(document))
    elif options.check:
        output.tell(check_line(document))
    elif options.prometheus:
        write_metrics(document, options.prometheus)
        return DONE  # the alarm is the collector's business
    elif options.html:
        from moon.cli.status_pictures import write_page

        write_page(home, document, file_for(options.html), options.conversations)
        return DONE
    else:
        output.tell(*describe(document, everything=options.all))
    return FAILED if needs_person(document) else DONE


def print_fleet(home: Home, as_json: bool) -> int:
    """Every host of every place; 1 when one of them needs a person. Raises `UsageWrong` without copies."""
    from moon import config as configuration
    from moon import schema
    from moon.copies.copy_settings import copies_of
    from moon.status.fleet_status import describe_fleet, gather_fleet, is_well

    urls = [each.url for each in copies_of(configuration.load(home))]
    if not urls:
        raise UsageWrong("no copies are configured, so no fleet is known", hint="`moon-mirror --init URL` shows how")
    document = gather_fleet(urls)
    if as_json:
        output.put(schema.dump("fleet", document))
    else:
        output.tell(*describe_fleet(document))
    return DONE if is_well(document) else FAILED


def write_metrics(document: dict[str, Any], target: str) -> None:
    """Write the metrics in one step, so that no collector reads a part. Raises `HomeUnusable`, `UsageWrong`."""
    if target == STDOUT:
        output.put(as_metrics(document))
        return
    path = file_for(target)
    write_atomic(path, as_metrics(document))
    path.chmod(READABLE)


def file_for(target: str) -> Path:
    """The file that an option names. Raises `UsageWrong` where its folder is missing."""
    path = Path(target).expanduser()
    if not path.parent.is_dir():
        raise UsageWrong(f"there is no folder {path.parent}", hint="make it, or name a file in another one")
    return path
