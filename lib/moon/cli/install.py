"""moon-install: put Moon to work on this machine, or take it off again; `make install` and `make uninstall` call it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from moon import output
from moon.cli.launch import TOOLS
from moon.cli.parser import Parser
from moon.cli.shell_help import pages
from moon.install import first_look, installation, machine_facts
from moon.install.install_plan import Facts, Link, plan
from moon.paths import Home
from moon.report import Report

EXAMPLES = """\
  moon-install                    links in ~/.local/bin, units, a timer that runs, the skill for each agent
  moon-install --prefix /opt/moon the links go into /opt/moon/bin
  moon-install --dry-run          what would be there
  moon-install uninstall          take back exactly that; archives stay
"""


def main(arguments: list[str]) -> int:
    """Install or uninstall; returns the exit code."""
    parser = Parser("moon-install", "Put Moon to work on this machine, or take it off again.", EXAMPLES)
    parser.add_argument(
        "action", nargs="?", choices=("install", "uninstall"), default="install", help="default: install"
    )
    parser.add_argument("--prefix", metavar="FOLDER", type=Path, default=Path("~/.local"), help="links go to its bin/")
    parser.add_argument("--dry-run", action="store_true", help="print what would be there, and do nothing")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    if options.action == "uninstall":
        if options.dry_run:
            output.tell(*[f"would remove {each}" for each in installation.removable(home)])
            return 0
        return finish(installation.uninstall(home), [], options.json)
    facts = gather(home, options.prefix)
    wanted = plan(facts)
    if options.dry_run:
        for each in wanted.things:
            output.tell(f"{each.path} -> {each.target}" if isinstance(each, Link) else str(each.path))
        return 0
    outcome = installation.install(home, facts, wanted)
    config = machine_facts.read_config(home)
    assert outcome.timer is not None
    look = first_look.lines(facts, config, outcome.timer, machine_facts.workspaces(config))
    return finish(outcome, look, options.json)


def gather(home: Home, prefix: Path) -> Facts:
    """The facts of this machine, with what the command lines know: their names, their completions, their manuals."""
    return replace(machine_facts.gather(home, prefix, commands()), shell_help=tuple(pages()))


def commands() -> tuple[str, ...]:
    """The names of all commands, as they get links."""
    return ("moon", *(f"moon-{tool}" for tool in TOOLS))


def finish(outcome: installation.Outcome, look: list[str], as_json: bool) -> int:
    """Say what was done: in words, or as a report."""
    words = [f"made {each}" for each in outcome.made] + [f"removed {each}" for each in outcome.removed]
    words += [f"kept {each}" for each in outcome.kept]
    if as_json:
        report = Report("moon-install", changed=outcome.changed, details=[*words, *look])
        report.outcome = f"made {len(outcome.made)}, removed {len(outcome.removed)}, kept {len(outcome.kept)}"
        output.put(report.as_json())
        return 0
    output.tell(*(words or ["nothing to do"]), *look)
    return 0
