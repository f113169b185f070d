"""`moon-archive --repair`: the sources that there are, one run of the repair, and a report."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from moon import audit
from moon import config as configuration
from moon.archive.transcript_archiver import archive_transcript
from moon.cli.archive_care import finish
from moon.config import Config
from moon.cycle.station_runner import take_lock
from moon.errors import MoonError, UsageWrong
from moon.openclaw.locate import open_stores
from moon.openclaw.transcript_store import Transcript, TranscriptStore
from moon.paths import Home
from moon.report import Report
from moon.text import counted
from moon.vault.catalog import Catalog, open_catalog
from moon.vault.lost_links import lost_links
from moon.vault.recovery import Copies, Recovery
from moon.vault.repair import Repair, Repaired, enter_line
from moon.vault.strays import take_in_strays
from moon.vault.verify import Verified, verify
from moon.verify.soundness import keep_all

Session = tuple[str, str, str]


def run_repair(options: argparse.Namespace) -> int:
    """Mend what can be mended and say what is lost; the exit code is that of a `--verify` afterwards."""
    home = Home.from_environment()
    config = configuration.load(home)
    folder = Path(options.copies).expanduser() if options.copies else None
    if folder is not None and not folder.is_dir():
        raise UsageWrong(f"--from {options.copies}: there is no such folder", hint="name the folder of a copy")
    report = Report("moon-archive")
    lock = take_lock(home, options.wait)
    try:
        with open_catalog(home) as catalog:
            done = repair(catalog, config, Copies(folder), dry_run=options.dry_run, force=options.force)
    finally:
        lock.release()
    checked = verify(home)
    keep_all(home, config, checked)
    _report(report, done, checked, dry_run=options.dry_run)
    if done.changed() and not options.dry_run:
        ids = [*done.remade, *done.retired]
        audit.record(home, "repair", "failed" if checked.errors else "done", ids=ids, lost=done.lost)
    finish(report, options.json, done.words)
    return report.exit_code


def repair(catalog: Catalog, config: Config, copies: Copies, *, dry_run: bool, force: bool = False) -> Repaired:
    """Everything that one run does, in the order in which it does not get worse. Raises `HomeUnusable`."""
    stored = Stored(config)
    recovery = Recovery(catalog, stored.lines, copies)
    work = Repair(catalog, recovery, dry_run=dry_run, unread=stored.unread, force=force)
    if not dry_run:
        catalog.ledger.mend()
    take_in_strays(catalog, stored.sessions(), work.done, dry_run=dry_run)
    work.mend_files()
    work.mend_asides()
    for record in lost_links(catalog, stored.lines_of_agent):
        work.done.linked.append(record["rollover_id"])
        work.done.words.append(f"rollover {record['rollover_id']} of {record['session_key']}: linked again")
        if not dry_run:
            enter_line(catalog, record)
    if not dry_run:
        for owner in dict.fromkeys(work.done.sessions):
            stored.archive(catalog, owner, config.archive.compress_from_bytes)
    work.account()
    return work.done


class Stored:
    """What the stores hold, by session. `unread`: why not all of them could be looked into, empty if they could."""

    def __init__(self, config: Config) -> None:
        self._found: dict[tuple[str, str], list[tuple[TranscriptStore, Transcript]]] = {}
        self.unread = ""
        try:
            stores = open_stores(config)
            holdings = list(stores.holdings())
            self.unread = "; ".join(problem.message for problem in stores.problems)
        except MoonError as error:
            holdings, self.unread = [], error.message
        for store, holding in holdings:
            own = holding.transcript
            self._found.setdefault((own.agent, own.session_id), []).append((store, own))

    def sessions(self) -> list[Session]:
        """(agent, session key, session id) of every session of which a store holds something."""
        return [
            (agent, next((each.key for _, each in found if each.key), ""), session_id)
            for (agent, session_id), found in self._found.items()
        ]

    def lines(self, agent: str, session_key: str, session_id: str) -> Iterator[bytes]:
        """The events of a session, from every place where a store has some."""
        for store, transcript in self._found.get((agent, session_id), ()):
            yield from (event.data for event in store.events(transcript))

    def lines_of_agent(self, agent: str) -> Iterator[tuple[Session, Iterable[bytes]]]:
        """The same for each session of an agent."""
        return ((owner, self.lines(*owner)) for owner in self.sessions() if owner[0] == agent)

    def archive(self, catalog: Catalog, owner: Session, compress_from: int) -> None:
        """Archive what is held of a session that has lost something, comparing every event."""
        for store, transcript in self._found.get((owner[0], owner[2]), ()):
            archive_transcript(catalog.home, catalog, store, transcript, compress_from, whole=True)


def _report(report: Report, done: Repaired, checked: Verified, *, dry_run: bool) -> None:
    report.changed = done.changed() and not dry_run
    words = [
        f"{counted(len(done.remade), 'archive')} made anew",
        f"{counted(len(done.retired), 'archive')} retired with {counted(done.lost, 'event')} lost",
        f"{len(done.adopted)} taken in",
        f"{len(done.aside)} put aside",
        f"{counted(len(done.linked), 'rollover')} linked again",
    ]
    told = [each for each in words if not each.startswith("0 ")]
    head = ("would be: " if dry_run else "") + (", ".join(told) or "nothing to mend")
    report.outcome = f"{head}; {checked.describe()}"
    names = ("remade", "retired", "lost", "adopted", "aside", "linked", "accounted")
    report.details = [{name: getattr(done, name) for name in names}]
    for error in [*done.problems, *(checked.errors if not dry_run else ())]:
        report.fail(error)
