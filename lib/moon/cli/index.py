"""moon-index: make archives findable, by the embedded index, by QMD, and for people as Markdown."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from moon import config as configuration
from moon import output
from moon.cli.station_command import run_station, station_parser
from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.cycle.station_runner import Context, Select, take_lock
from moon.errors import MoonError, UsageWrong
from moon.fulltext import open_reader
from moon.index.index_station import work
from moon.index.qmd_collection import update_collection
from moon.index.rebuild import rebuild
from moon.index.vector_making import update_vectors
from moon.install import skills
from moon.openclaw.transcript_store import Transcript
from moon.openclaw.usage_rows import transcript_row, usage_document
from moon.paths import Home
from moon.report import Report
from moon.shared_index.outbox_state import rounds_begun
from moon.vault.archive_names import select_segments
from moon.vault.catalog import Segment, open_catalog

if TYPE_CHECKING:
    from moon.documents import Entry, Row, UsageDocument

EXAMPLES = """\
  moon-sample --no-exec | moon-archive | moon-index
  moon-index --all                             every archive that is not indexed yet
  moon-index --session agent:main:main         the archives of one session
  moon-index --archive 4f1a9c                  one archive, by the beginning of its SHA-256
  moon-index --rebuild                         index and Markdown anew from the archives
  moon-index --send                            what the shared index lacks, now instead of at the next tick
  moon-index --init-database --print | less    what makes a shared index in PostgreSQL; without --print it is made
"""


def main(arguments: list[str]) -> int:
    """Index what is asked for; returns the exit code."""
    parser = station_parser("moon-index", "Make archived sessions findable: full text, Markdown, QMD.", EXAMPLES)
    parser.add_argument("--archive", metavar="SHA256", action="append", default=[], help="one archive; repeatable")
    parser.add_argument("--rebuild", action="store_true", help="make the index and every page anew from the archives")
    parser.add_argument("--send", action="store_true", help="send to the shared index what it lacks (docs/fleet.md)")
    parser.add_argument(
        "--init-database", action="store_true", help="make the shared index in PostgreSQL, or bring it up to date"
    )
    parser.add_argument("--print", action="store_true", help="with --init-database: print the SQL and run nothing")
    parser.add_argument(
        "--partitions",
        type=int,
        default=8,
        metavar="N",
        help="with --init-database: tables in so many parts (default 8)",
    )
    options = parser.parse_args(arguments)
    if options.init_database or options.send:
        return _shared(options)
    if options.print:
        raise UsageWrong("--print goes with --init-database", hint="see `moon-index --help`")
    named = bool(options.archive or options.session or options.agent or options.all)
    if options.rebuild:
        if named or options.cycle or options.dry_run:
            raise UsageWrong("--rebuild is about everything and takes no sessions", hint="see `moon-index --help`")
        return run_rebuild(options.wait, options.json)
    return run_station("index", work_and_skills, options, select_archives(options) if named else None)


def _shared(options: argparse.Namespace) -> int:
    """What concerns the index that several machines share."""
    others = (options.archive, options.session, options.agent, options.all, options.cycle, options.rebuild)
    if any(others) or options.dry_run or (options.send and options.init_database):
        raise UsageWrong("--send and --init-database stand alone", hint="see `moon-index --help`")
    if not 1 <= options.partitions <= 1024:
        raise UsageWrong("--partitions lies between 1 and 1024", hint="8 are enough for a hundred million messages")
    from moon.cli import index_shared

    if options.send:
        return index_shared.send_now(options.json)
    return index_shared.init_database(options.partitions, print_only=options.print, as_json=options.json)


@contextlib.contextmanager
def work_and_skills(context: Context) -> Iterator[Callable[[Row], Entry]]:
    """The station's work; then an agent that came after the installation, and has an archive now, is told of it."""
    with work(context) as handle:
        yield handle
    if context.dry_run:
        return
    try:
        made = skills.spread(context.home, context.config)
    except (MoonError, OSError) as error:
        output.say(f"moon-index: the skill did not reach every workspace: {error}", "hint: `moon-install` tries again")
    else:
        output.say(*[f"moon-index: new agent, new skill: {path}" for path in made])


def select_archives(options: argparse.Namespace) -> Select:
    """The archives that the options name; they need no OpenClaw, only the ledger."""

    def select(config: Config) -> UsageDocument:
        with open_catalog(Home.from_environment()) as catalog:
            found = select_segments(catalog, archives=options.archive, sessions=options.session, agent=options.agent)
        return usage_document(format_ms(now_ms()), _rows(found, only=bool(options.archive)), [])

    return select


def _rows(found: list[Segment], only: bool) -> list[Row]:
    """A row for each session; with `only`, it names the archives it is about."""
    grouped: dict[Transcript, list[str]] = {}
    for each in found:
        grouped.setdefault(Transcript(each.agent, each.session_key, each.session_id), []).append(each.sha256)
    rows = []
    for session, shas in grouped.items():
        row = transcript_row([session], due=["index"], reason="asked for by name")
        rows.append({**row, "archives": shas} if only else row)
    return rows


def run_rebuild(wait_seconds: float, as_json: bool) -> int:
    """Make everything anew under the lock and report."""
    home = Home.from_environment()
    report = rebuild_all(home, configuration.load(home), wait_seconds)
    if as_json:
        output.put(report.as_json())
    output.say(f"moon-index: {report.outcome}; qmd: {report.details[0]['qmd']['outcome']}")
    return report.exit_code


def rebuild_all(home: Home, config: Config, wait_seconds: float) -> Report:
    """Index and pages anew from the archives, under the lock. Raises `LockBusy`."""
    report = Report("moon-index", changed=True)
    lock = take_lock(home, wait_seconds)
    try:
        with open_catalog(home) as catalog:
            made = rebuild(home, config, catalog)
        with open_reader(home.text_index) as index:
            vectors = update_vectors(home, config, index)
        qmd = update_collection(home, config)
    finally:
        lock.release()
    if config.index.engine == "postgresql":
        rounds_begun(home)
    for problem in made.problems:
        report.fail(MoonError(problem, hint="see `moon-archive --verify`"))
    report.outcome = made.describe()
    report.details = [
        {"archives": len(made.archives), "messages": made.messages, "pages": made.pages, "qmd": qmd, "vectors": vectors}
    ]
    return report
