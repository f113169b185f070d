"""moon-verify: is everything there that Moon needs, and is what it keeps sound? Says what to fix."""

from __future__ import annotations

from moon import output
from moon.cli.parser import Parser
from moon.errors import DONE, FAILED
from moon.paths import Home
from moon.report import Report
from moon.verify.finding import FAIL, WARN, Finding
from moon.verify.run_checks import run_checks

EXAMPLES = """\
  moon-verify                                  a few seconds: programs, stores, keys, permissions, ledger
  moon-verify --deep                           also reads every archive back and searches for each
  moon-verify --fix                            closes files and folders to others
  moon-verify --json | jq '.details[] | select(.level != "ok")'
"""


def main(arguments: list[str]) -> int:
    """Check, print, and return 0, or 1 when something fails."""
    parser = Parser("moon-verify", "Check what Moon needs and what it keeps, and say what to fix.", EXAMPLES)
    parser.add_argument("--deep", action="store_true", help="read every archive back and search for each")
    parser.add_argument("--fix", action="store_true", help="close files and folders to others; fixes nothing else")
    parser.add_argument("--json", action="store_true", help="print a report")
    options = parser.parse_args(arguments)
    found = run_checks(Home.from_environment(), deep=options.deep, fix=options.fix)
    if options.json:
        output.put(report_of(found).as_json())
    else:
        output.tell(*describe(found))
    return FAILED if any(each.level == FAIL for each in found) else DONE


def describe(found: list[Finding]) -> list[str]:
    """A line for each finding, a second one with the remedy, and a verdict."""
    lines = []
    for each in found:
        lines.append(f"{each.level:<5} {each.check:<12} {each.message}")
        if each.hint:
            lines.append(f"{'':<19}hint: {each.hint}")
    return [*lines, verdict(found)]


def verdict(found: list[Finding]) -> str:
    """`all is well`, or how much is not."""
    levels = [each.level for each in found]
    if FAIL not in levels and WARN not in levels:
        return "all is well"
    return f"{levels.count(FAIL)} to fix, {levels.count(WARN)} to look at"


def report_of(found: list[Finding]) -> Report:
    """The CommandReport: every finding in `details`, the failures also in `errors`."""
    report = Report("moon-verify", outcome=verdict(found), details=[each.as_detail() for each in found])
    report.changed = any(each.message.startswith("closed to others now") for each in found)
    report.errors = [
        {"code": f"{each.check}_failed", "message": each.message, "hint": each.hint, "path": each.path}
        for each in found
        if each.level == FAIL
    ]
    return report
