"""moon-index on the index that several machines share: making it, sending to it."""

from __future__ import annotations

from moon import audit, output
from moon import config as configuration
from moon.errors import UsageWrong
from moon.index.outbox import send
from moon.paths import Home
from moon.report import Report
from moon.shared_index.database import address, connect
from moon.shared_index.migrations import all_sql, migrate

MIGRATION_SECONDS = 600.0


def init_database(partitions: int, *, print_only: bool, as_json: bool) -> int:
    """Make the shared index or bring it up to date, or print what would make it; the exit code."""
    if print_only:
        output.put(all_sql(partitions))
        return 0
    home = Home.from_environment()
    config = configuration.load(home)
    report = Report("moon-index")
    with connect(address(config.index.postgresql), MIGRATION_SECONDS) as connection:
        before, now = migrate(connection, partitions)
    report.changed = before != now
    report.outcome = _made(before, now)
    if report.changed and home.root.is_dir():
        audit.record(home, "init_database", "done", reason=report.outcome)
    return _tell(report, as_json)


def _made(before: int, now: int) -> str:
    if before == now:
        return f"the shared index has version {now} already"
    if before:
        return f"the shared index was brought from version {before} to {now}"
    return f"made the shared index, version {now}; `SELECT moon.allow(…)` lets a machine in (docs/fleet.md)"


def send_now(as_json: bool) -> int:
    """Send what the shared index lacks; the exit code."""
    home = Home.from_environment()
    config = configuration.load(home)
    if config.index.engine != "postgresql":
        raise UsageWrong(
            "there is no shared index to send to", hint="set index.engine: postgresql in moon.yaml (docs/fleet.md)"
        )
    done = send(home, config)
    report = Report("moon-index", changed=bool(done.archives or done.removed), outcome=done.describe())
    counts = {"archives": len(done.archives), "messages": done.messages, "removed": done.removed}
    report.details = [{**counts, "waiting": done.waiting, "skipped": len(done.skipped)}]
    if done.error is not None:
        report.details = report.details if report.changed else []
        report.fail(done.error)
    return _tell(report, as_json)


def _tell(report: Report, as_json: bool) -> int:
    if as_json:
        output.put(report.as_json())
    output.say(f"moon-index: {report.outcome}")
    for each in report.errors:
        output.say(f"moon-index: {each['message']}", f"hint: {each['hint']}")
    return report.exit_code
