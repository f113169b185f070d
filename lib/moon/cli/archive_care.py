"""What `moon-archive` does beside archiving: verify, repair, pack, list, restore. Each is one call and a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from moon import audit, output
from moon import config as configuration
from moon.cli.archive_import import restore_for_openclaw
from moon.clock import local_date, now_ms
from moon.cycle.station_runner import take_lock
from moon.errors import UsageWrong
from moon.files import atomic_writer, write_all
from moon.paths import Home
from moon.report import Report
from moon.text import counted
from moon.vault.archive_names import select_segments
from moon.vault.catalog import open_catalog
from moon.vault.listing import as_lines, list_archives
from moon.vault.packing import pack_past_days, plan_past_days
from moon.vault.restore import find_archived, restore
from moon.vault.verify import verify
from moon.verify.soundness import keep_all


def run_verify(options: argparse.Namespace) -> int:
    """Re-read everything and report each damage."""
    home = Home.from_environment()
    config = configuration.load(home)
    report = Report("moon-archive")
    checked = verify(home)
    keep_all(home, config, checked)
    for error in checked.errors:
        report.fail(error)
    report.outcome = checked.describe()
    found = {"segments": checked.segments, "events": checked.events, "bytes": checked.bytes}
    report.details = [{**found, "retired": checked.retired, "forgotten": checked.forgotten, "notes": checked.notes}]
    finish(report, options.json)
    return 1 if checked.errors else 0


def run_list(options: argparse.Namespace) -> int:
    """Name every archive, or those of some sessions."""
    home = Home.from_environment()
    config = configuration.load(home)
    report = Report("moon-archive")
    with open_catalog(home) as catalog:
        found = select_segments(catalog, sessions=options.session, agent=options.agent)
        listed = list_archives(catalog, found, config.timezone)
    sessions = len({(each["agent"], each["session_id"]) for each in listed})
    report.outcome = f"{counted(len(listed), 'archive')} of {counted(sessions, 'session')}"
    report.details = list(listed)
    if not options.json:
        none = f"no archive of agent {options.agent}" if options.agent else "nothing is archived yet"
        output.tell(*(as_lines(listed) or [none]))
    finish(report, options.json)
    return 0


def run_pack(options: argparse.Namespace) -> int:
    """Join what the days before today have left in small files, all of it."""
    home = Home.from_environment()
    config = configuration.load(home)
    report = Report("moon-archive")
    if options.dry_run:
        with open_catalog(home) as catalog:
            groups = plan_past_days(catalog, config.timezone, local_date(now_ms(), config.timezone).isoformat())
        report.outcome = f"would join {counted(sum(map(len, groups)), 'archive')} into {len(groups)}"
        finish(report, options.json)
        return 0
    lock = take_lock(home, options.wait)
    try:
        with open_catalog(home) as catalog:
            packed = pack_past_days(catalog, config.timezone, bounded=False)
    finally:
        lock.release()
    report.changed = bool(packed.packs)
    for problem in packed.problems:
        report.fail(problem)
    report.outcome = packed.describe()
    report.details = [{"packs": packed.packs, "joined": packed.joined, "events": packed.events}]
    if packed.packs or packed.problems:
        audit.record(home, "pack", "done" if packed.packs else "failed", ids=packed.packs)
    finish(report, options.json)
    return 0 if not packed.problems else 3 if packed.packs else 1


def run_restore(options: argparse.Namespace) -> int:
    """Write every archived transcript of that key or id, one after the other."""
    name, target = options.restore, options.to
    home = Home.from_environment()
    configuration.load(home)
    if target:
        require_target(target, options.force)
    report = Report("moon-archive", changed=True)
    with open_catalog(home) as catalog:
        found = find_archived(catalog, name, options.agent)
        if options.to_openclaw:
            target = options.to_openclaw
            done = restore_for_openclaw(catalog, found, Path(target).expanduser(), force=options.force)
        elif target == "-":
            done = [restore(catalog, each[0], each[2], output.put_bytes) for each in found]
        else:
            with atomic_writer(Path(target)) as descriptor:
                done = [restore(catalog, each[0], each[2], lambda data: write_all(descriptor, data)) for each in found]
    report.details = [each.as_detail() for each in done]
    for error in (problem for each in done for problem in each.damaged):
        report.fail(error)
    events = counted(sum(each.events for each in done), "event")
    report.outcome = f"restored {events} of {counted(len(done), 'transcript')} to {target}"
    aside = sum(len(each.set_aside) for each in done)
    report.outcome += f"; {aside} more could be no line and lie in archives/quarantine" if aside else ""
    if options.to_openclaw:
        report.outcome += "; with its gateway stopped, `openclaw doctor --session-sqlite import` takes them in"
    finish(report, options.json and target != "-")
    return report.exit_code


def require_target(target: str, force: bool) -> None:
    """A restored transcript goes into a folder that is there and over no file. Raises `UsageWrong`."""
    path = Path(target)
    if target == "-":
        return
    if not path.parent.is_dir():
        raise UsageWrong(
            f"there is no folder {path.parent} to write {path.name} into", hint="make the folder, or check the spelling"
        )
    if path.is_dir() or (path.exists() and not force):
        raise UsageWrong(f"{target} is there already", hint="name another file, or write over it with --force")


def finish(report: Report, as_json: bool, words: Sequence[str] = ()) -> None:
    """Print the report: one JSON document, or words on stderr."""
    if as_json:
        output.put(report.as_json())
    output.say(*words, f"{report.command}: {report.outcome}")
    for error in report.errors:
        output.say(f"  {error['message']}", *([f"    hint: {error['hint']}"] if error["hint"] else []))
