"""moon-verify: does Moon have what it needs, do its work, and keep what is sound? Says what to fix."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from moon import config as configuration
from moon import output
from moon.cli.daily_keeping import keep_house
from moon.cli.parser import Parser
from moon.cli.run_tool import say_error
from moon.errors import DONE, FAILED
from moon.files import Lock
from moon.paths import Home
from moon.report import Report
from moon.verify.finding import FAIL, OK, WARN, Finding
from moon.verify.run_checks import run_checks
from moon.verify.soundness import check_part

EXAMPLES = """\
  moon-verify                                  some seconds: programs, stores, keys, timer, disk, ledger, search
  moon-verify --deep                           also reads every archive back and searches for each
  moon-verify --fix                            closes files to others, enters what is missing into the index
  moon-verify --strict && echo well            warnings count as failures
  moon-verify --json | jq '.details[] | select(.level != "ok")'
"""


def main(arguments: list[str]) -> int:
    """Check, print each finding as it is made, and return 0, or 1 when something fails."""
    options = parse(arguments)
    home = Home.from_environment()
    if options.daily:
        return daily(home)
    found = []
    for finding in look(home, options):
        found.append(finding)
        if not options.json:
            output.tell(*words_of(finding))
            output.flush()
    if options.json:
        output.put(report_of(found).as_json())
    else:
        output.tell(verdict(found))
    bad = (FAIL, WARN) if options.strict else (FAIL,)
    return FAILED if any(each.level in bad for each in found) else DONE


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser("moon-verify", "Check what Moon needs and what it keeps, and say what to fix.", EXAMPLES)
    parser.add_argument("--deep", action="store_true", help="read every archive back and search for each")
    parser.add_argument("--strict", action="store_true", help="let warnings count as failures")
    parser.add_argument(
        "--fix", action="store_true", help="mend what is safe to mend: modes, missing index entries, leftovers"
    )
    parser.add_argument(
        "--daily",
        action="store_true",
        help="read a seventh of the archives back and tidy up, as the timer does every day",
    )
    parser.add_argument("--json", action="store_true", help="print a report")
    return parser.parse_args(arguments)


def look(home: Home, options: argparse.Namespace) -> Iterator[Finding]:
    """The findings; on a terminal a line says what is being looked at meanwhile."""
    for finding in run_checks(
        home, deep=options.deep, fix=options.fix, progress=lambda name: output.progress(f"looking at: {name} …")
    ):
        output.progress("")
        yield finding
    output.progress("")


def daily(home: Home) -> int:
    """Today's part of the archives, retention, cooling, the disk; under the lock, and silent when all is well."""
    lock = Lock.take(home.lock_file)
    try:
        config, wrong = configuration.load_to_read(home)
        errors = check_part(home, config)
        # With a configuration that is not understood, nothing is let go.
        errors += keep_house(home, config) if wrong is None else []
    finally:
        lock.release()
    for error in errors:
        say_error("moon-verify", error)
    return FAILED if errors else DONE


def words_of(finding: Finding) -> list[str]:
    """A line for the finding, and a second one with the remedy."""
    lines = [f"{finding.level:<5} {finding.check:<12} {finding.message}"]
    return [*lines, f"{'':<19}hint: {finding.hint}"] if finding.hint else lines


def verdict(found: list[Finding]) -> str:
    """`all is well`, or how much is not."""
    levels = [each.level for each in found]
    if FAIL not in levels and WARN not in levels:
        return "all is well"
    return f"{levels.count(FAIL)} to fix, {levels.count(WARN)} to look at"


def report_of(found: list[Finding]) -> Report:
    """The CommandReport: every finding in `details`, the failures also in `errors`."""
    report = Report("moon-verify", outcome=verdict(found), details=[each.as_detail() for each in found])
    changed = ("closed to others now", "entered ", "removed ", "made ")
    report.changed = any(each.level == OK and each.message.startswith(changed) for each in found)
    report.errors = [
        {"code": each.code or f"{each.check}_failed", "message": each.message, "hint": each.hint, "path": each.path}
        for each in found
        if each.level == FAIL
    ]
    return report
