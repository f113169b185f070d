"""moon-archive: the lossless archive, its verification, and rebuilding a session from it."""

from __future__ import annotations

import sys
from pathlib import Path

from moon import config as configuration
from moon.archive.archive_station import work
from moon.cli.station_command import run_station, station_parser
from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.cycle.cycle_document import Document
from moon.errors import UsageWrong
from moon.files import atomic_writer, write_all
from moon.openclaw.locate import open_stores
from moon.openclaw.usage_rows import transcript_row, usage_document
from moon.paths import Home
from moon.report import Report
from moon.vault.catalog import open_catalog
from moon.vault.restore import find_archived, restore
from moon.vault.verify import verify

EXAMPLES = """\
  moon-archive --all                           every transcript of the store, whatever its usage
  moon-archive --session agent:main:main       one session
  moon-sample --no-exec | moon-archive | moon-index
  moon-archive --verify                        read every archive back and hold it against the ledger
  moon-archive --restore agent:main:main --to main.jsonl
"""


def main(arguments: list[str]) -> int:
    """Archive, verify or restore; returns the exit code."""
    parser = station_parser("moon-archive", "Archive sessions without loss: exact event bytes, each once.", EXAMPLES)
    parser.add_argument("--verify", action="store_true", help="read every archive back, against the ledger")
    parser.add_argument("--restore", metavar="SESSION", help="rebuild a session's JSONL from ledger and archives alone")
    parser.add_argument("--to", metavar="FILE", help="where --restore writes (- for standard output)")
    parser.add_argument("--force", action="store_true", help="let --restore write over a file that is there")
    options = parser.parse_args(arguments)
    if bool(options.restore) != bool(options.to):
        raise UsageWrong("--restore SESSION and --to FILE go together", hint="see `moon-archive --help`")
    if options.verify:
        return run_verify(options.json)
    if options.restore:
        require_target(options.to, options.force)
        return run_restore(options.restore, options.to, options.agent, options.json)
    select = select_everything if options.all else None
    return run_station("archive", work, options, select)


def select_everything(config: Config) -> Document:
    """Every transcript that any store holds, also those that no session points to any more."""
    stores = open_stores(config)
    rows = []
    seen = set()
    for _, transcript in stores.transcripts():
        if transcript not in seen:
            seen.add(transcript)
            rows.append(transcript_row(transcript, due=["archive", "index"], reason="every transcript was asked for"))
    return usage_document(format_ms(now_ms()), rows, stores.problems)


def run_verify(as_json: bool) -> int:
    """Re-read everything and report each damage."""
    home = Home.from_environment()
    configuration.load(home)
    report = Report("moon-archive")
    checked = verify(home)
    for error in checked.errors:
        report.fail(error)
    report.outcome = checked.describe()
    report.details = [{"segments": checked.segments, "events": checked.events, "bytes": checked.bytes}]
    finish(report, as_json)
    return 1 if checked.errors else 0


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


def run_restore(name: str, target: str, agent: str, as_json: bool) -> int:
    """Write every archived transcript of that key or id, one after the other."""
    home = Home.from_environment()
    configuration.load(home)
    report = Report("moon-archive", changed=True)
    with open_catalog(home) as catalog:
        found = find_archived(catalog, name, agent)
        if target == "-":
            done = [restore(catalog, each[0], each[2], sys.stdout.buffer.write) for each in found]
            sys.stdout.buffer.flush()
        else:
            with atomic_writer(Path(target)) as descriptor:
                done = [restore(catalog, each[0], each[2], lambda data: write_all(descriptor, data)) for each in found]
    report.details = [each.as_detail() for each in done]
    for error in (problem for each in done for problem in each.damaged):
        report.fail(error)
    transcripts = "one transcript" if len(done) == 1 else f"{len(done)} transcripts"
    report.outcome = f"restored {sum(each.events for each in done)} events of {transcripts} to {target}"
    finish(report, as_json and target != "-")
    return report.exit_code


def finish(report: Report, as_json: bool) -> None:
    """Print the report: one JSON document, or words on stderr."""
    if as_json:
        sys.stdout.write(report.as_json())
    print(f"{report.command}: {report.outcome}", file=sys.stderr)
    for error in report.errors:
        print(f"  {error['message']}", file=sys.stderr)
