"""`python lib/launch.py install …`, which `make install`, `make uninstall` and `make docs` call."""

from __future__ import annotations

from pathlib import Path

from moon import output, schema
from moon.cli.parser import Parser
from moon.install import config_pages, installation, machine_facts
from moon.install.install_plan import Link, plan
from moon.paths import Home
from moon.report import Report

EXAMPLES = """\
  make install                    link into ~/.local/bin, write the units, start the timer
  make install PREFIX=/opt/moon   link into /opt/moon/bin
  make uninstall                  take back exactly that
  make docs                       write moon.yaml.example and docs/configuration.md
"""


def main(arguments: list[str]) -> int:
    """Install, uninstall, or render what comes from the schema; returns the exit code."""
    parser = Parser("moon-install", "Put Moon to work on this machine, or take it off again.", EXAMPLES)
    parser.add_argument("action", choices=("install", "uninstall", "docs"))
    parser.add_argument("--prefix", metavar="FOLDER", type=Path, default=Path("~/.local"), help="links go to its bin/")
    parser.add_argument("--dry-run", action="store_true", help="install: print what would be there, and do nothing")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    if options.action == "docs":
        return render_docs()
    if options.action == "uninstall":
        return finish(installation.uninstall(home), options.json)
    facts = machine_facts.gather(home, options.prefix)
    wanted = plan(facts)
    if options.dry_run:
        for each in wanted.things:
            output.tell(f"{each.path} -> {each.target}" if isinstance(each, Link) else str(each.path))
        return 0
    return finish(installation.install(home, facts, wanted), options.json)


def render_docs() -> int:
    """Write the two texts that are rendered from the schema of the configuration."""
    shape = schema.load_schema("config")
    (machine_facts.CHECKOUT / "moon.yaml.example").write_text(config_pages.render_example(shape), "utf-8")
    (machine_facts.CHECKOUT / "docs" / "configuration.md").write_text(config_pages.render_reference(shape), "utf-8")
    return 0


def finish(outcome: installation.Outcome, as_json: bool) -> int:
    """Say what was done: in words, or as a report."""
    words = [f"made {each}" for each in outcome.made] + [f"removed {each}" for each in outcome.removed]
    words += [f"kept {each}" for each in outcome.kept]
    if as_json:
        report = Report("moon-install", changed=outcome.changed, details=[*words, *outcome.notes])
        report.outcome = f"made {len(outcome.made)}, removed {len(outcome.removed)}, kept {len(outcome.kept)}"
        output.put(report.as_json())
        return 0
    output.tell(*([*words, *outcome.notes] or ["nothing to do"]))
    return 0
