"""moon-post-upgrade: what should be done after OpenClaw or Moon was upgraded. It may be run at any time, and twice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moon import config as configuration
from moon import home_format, output
from moon.cli.index import rebuild_all
from moon.cli.install import gather
from moon.cli.parser import Parser
from moon.config import Config
from moon.cycle.station_runner import take_lock
from moon.errors import MoonError
from moon.fulltext import IndexVersion, open_writer
from moon.install import install_manifest, installation
from moon.install.install_plan import plan
from moon.openclaw.locate import open_stores
from moon.paths import Home
from moon.report import Report
from moon.sampling import quiet
from moon.text import counted

if TYPE_CHECKING:
    from moon.documents import Problem

EXAMPLES = """\
  moon-post-upgrade               after `openclaw update`, or after a new version of Moon
  moon-post-upgrade --json
"""


def main(arguments: list[str]) -> int:
    """Renew the installation, bring the index up to date, look whether the store can be read; returns the exit code."""
    about = "After an upgrade of OpenClaw or Moon: renew units and skill, bring the index up to date, read the store."
    parser = Parser("moon-post-upgrade", about, EXAMPLES)
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60, help="wait this long for the lock (60)")
    parser.add_argument("--json", action="store_true", help="print a report as JSON")
    options = parser.parse_args(arguments)
    home = Home.from_environment()
    config = configuration.load(home)
    report = Report("moon-post-upgrade")
    quiet.forget(str(home.root))  # what the last version found at rest is looked at by this one
    steps = (
        lambda home, config: renew_format(home, options.wait),
        renew_installation,
        lambda home, config: renew_index(home, config, options.wait),
        read_stores,
    )
    for step in steps:
        try:
            done = step(home, config)
        except MoonError as error:
            report.fail(error)
            continue
        report.details += done.words
        report.errors += done.problems
        report.changed = report.changed or done.changed
    report.outcome = "done in part" if report.errors else "done"
    if options.json:
        output.put(report.as_json())
    else:
        output.tell(*[str(each) for each in report.details], "next: moon-verify")
    for each in report.errors:
        output.say(f"moon-post-upgrade: {each['message']}", f"hint: {each['hint']}")
    return report.exit_code


class Step(NamedTuple):
    """What one of the steps did: in words, whether anything is different now, and what of it went wrong."""

    words: list[str]
    changed: bool = False
    problems: list[Problem] = []


def renew_format(home: Home, wait_seconds: float) -> Step:
    """Give a home of an earlier Moon the format of this one; what it holds is read as it is."""
    before = home_format.format_of(home)
    if before == home_format.FORMAT or not home.state.exists():
        return Step([f"home: format {home_format.FORMAT}"])
    take_lock(home, wait_seconds).release()  # whoever takes it to write marks the home
    return Step([f"home: from format {before} to {home_format.FORMAT}; an earlier Moon refuses it from now on"], True)


def renew_installation(home: Home, config: Config) -> Step:
    """Links, units and skill as this version makes them, where Moon is installed; what was edited by hand stays."""
    manifest = install_manifest.load(home)
    if manifest is None:
        return Step(["installation: none; `moon-install` makes one"])
    facts = gather(home, prefix_of(manifest))
    outcome = installation.install(home, facts, plan(facts))
    state = f"{counted(len(outcome.made), 'file')} renewed" if outcome.made else "up to date"
    timer = [f"timer: {outcome.timer.words}"] if outcome.timer else []
    return Step([f"installation: {state}", *[f"  kept {each}" for each in outcome.kept], *timer], bool(outcome.made))


def prefix_of(manifest: install_manifest.Manifest) -> Path:
    """Where the installation put its links and pages; a package whose commands were on PATH has pages alone."""
    for place, entry in manifest.made.items():
        if place.endswith("/share/man/man1/moon.1"):
            return Path(place).parents[3]
        if entry["kind"] == "link":
            return Path(place).parents[1]
    return Path("~/.local")


def renew_index(home: Home, config: Config, wait_seconds: float) -> Step:
    """Make an index of an earlier version anew, now; a tick does the same, little by little."""
    if not home.text_index.exists():
        return Step(["index: none yet"])
    try:
        open_writer(home.text_index, timeout=0).close()
    except IndexVersion:
        made = rebuild_all(home, config, wait_seconds)
        return Step([f"index: made anew, {made.outcome}"], True, made.errors)
    return Step(["index: up to date"])


def read_stores(home: Home, config: Config) -> Step:
    """Can what OpenClaw keeps now be read? Raises the first problem."""
    stores = open_stores(config)
    sessions = sum(1 for _ in stores.sessions())
    if stores.problems:
        raise stores.problems[0]
    notes = [f"  note: {each.message}" for each in stores.notices()]
    return Step([f"OpenClaw: {counted(sessions, 'session')} can be read in {stores.folder}", *notes])
