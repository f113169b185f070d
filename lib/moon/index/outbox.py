"""Sending what the archive holds to the shared index, redacted; and taking out of it what the archive holds no more.

Nothing waits for this: it runs after a cycle, without the cycle lock, for a bounded time. What the database has and
what the archive has is compared each time something is new, so an interrupted run, a lost answer, a database that was
set back and a rebuilt home all end in the same state.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from moon import audit
from moon.clock import now_text
from moon.config import Config
from moon.errors import ArchiveDamaged, LockBusy, MoonError
from moon.files import Lock
from moon.fulltext import IndexWriter, Moved
from moon.host_id import own_host
from moon.index.archive_entry import BYTES_AT_ONCE, index_source, read_messages, rows_of, source_of
from moon.paths import Home
from moon.redact import Redactor
from moon.shared_index.database import SharedRefused
from moon.shared_index.outbox_state import OutboxState, is_send_due, ledger_mark, read_state, write_state
from moon.shared_index.shared_writer import SharedIndexWriter, open_shared_writer
from moon.text import counted
from moon.vault.catalog import Catalog, Segment, open_catalog

# What is left of a run's time bounds each of its transactions, but for this much.
LEAST_SECONDS = 15.0


@dataclass
class Sent:
    """What one run came to. `waiting`: what is left; `error`: why it ended early."""

    archives: list[str] = field(default_factory=list)
    messages: int = 0
    removed: int = 0
    waiting: int = 0
    skipped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    error: MoonError | None = None

    def describe(self) -> str:
        """One line in words."""
        words = f"{counted(len(self.archives), 'archive')} with {counted(self.messages, 'message')} sent"
        words += f", {counted(self.removed, 'archive')} taken out" if self.removed else ""
        words += f", {counted(self.waiting, 'archive')} left" if self.waiting else ""
        return words + "".join(f"; {problem}" for problem in self.problems)


class Work(NamedTuple):
    """What the shared index lacks, and what it should not have any more."""

    missing: list[Segment]
    gone: set[str]


def work_of(segments: Iterable[Segment], sent: dict[str, bool], skipped: Collection[str]) -> Work:
    """Compare the archive with what was sent (SHA-256 → whether by the rules of now). Pure."""
    wanted = {each.sha256: each for each in segments}
    missing = [each for sha, each in wanted.items() if not sent.get(sha) and sha not in skipped]
    return Work(missing, sent.keys() - wanted.keys())


def send_if_due(home: Home, config: Config) -> Sent | None:
    """Send where something is new and it is time to; None otherwise, at the cost of a small file."""
    if not is_send_due(home, config):
        return None
    try:
        return send(home, config)
    except LockBusy:
        return None  # somebody else is at it


def send(home: Home, config: Config) -> Sent:
    """Send for `budget_seconds`; what went wrong is in the answer and in `state/outbox.json`. Raises `LockBusy`."""
    lock = Lock.take(home.outbox_lock)
    try:
        state, mark, done = read_state(home), ledger_mark(home), Sent()
        try:
            _send(home, config, state, mark, done)
        except SharedRefused as error:
            name = own_host(home).id
            hint = f"this machine is called {name}: `SELECT moon.allow('ROLE', '{name}', '*', true)` lets it in"
            done.error = SharedRefused(error.message, hint=hint)
        except MoonError as error:
            done.error = error
        _remember(home, state, mark, done)
        return done
    finally:
        lock.release()


def _send(home: Home, config: Config, state: OutboxState, mark: list[int], done: Sent) -> None:
    deadline = time.monotonic() + config.index.postgresql.budget_seconds
    known_bad = state["skipped"] if state["ledger"] == mark else []
    with open_catalog(home) as catalog:
        segments = list(catalog.segments())
        done.waiting = len(segments)  # until more is known
        with open_shared_writer(config.index.postgresql, own_host(home).id, state["rounds"]) as index:
            sending = _Sending(home, index, Redactor.from_config(config.redact), done, deadline)
            sending.take_over_packs(catalog, segments)
            work = work_of(segments, index.sent(), known_bad)
            done.skipped = [each.sha256 for each in segments if each.sha256 in known_bad]
            done.waiting = len(work.missing) + len(work.gone)
            sending.take_out(work.gone)
            sending.enter(work.missing)
            index.note_sent(done.waiting)


class _Sending:
    """One run, as far as its time goes."""

    def __init__(self, home: Home, index: SharedIndexWriter, redactor: Redactor, done: Sent, deadline: float) -> None:
        self.home = home
        self.index = index
        self.redactor = redactor
        self.done = done
        self.deadline = deadline

    def _has_time(self) -> bool:
        left = self.deadline - time.monotonic()
        self.index.seconds = max(LEAST_SECONDS, left)
        return left > 0

    def take_over_packs(self, catalog: Catalog, segments: Iterable[Segment]) -> None:
        """Let packs stand for the archives in them, where those were sent."""
        sent = self.index.segment_shas()
        for pack in segments:
            if pack.parts and pack.sha256 not in sent and sent & set(pack.parts) and self._has_time():
                moved = [Moved(part.sha256, part.first_line) for part in catalog.parts(pack.path)]
                self.index.take_over(index_source(source_of(self.home, pack)), moved)

    def take_out(self, gone: Iterable[str]) -> None:
        """Take out what the archive holds no more."""
        for sha256 in gone:
            if self._has_time():
                self.index.forget_segment(sha256)
                self.done.removed += 1
                self.done.waiting -= 1

    def enter(self, missing: Iterable[Segment]) -> None:
        """Enter what is missing, some megabytes at once."""
        for portion in _portions(missing):
            if not self._has_time():
                return
            try:
                self._enter(portion)
            except ArchiveDamaged:
                for each in portion:
                    self._enter_alone(each)

    def _enter(self, portion: list[Segment]) -> None:
        added = _enter(self.home, self.index, self.redactor, portion)
        self.done.messages += sum(added)
        self.done.archives += [each.sha256 for each in portion]
        self.done.waiting -= len(portion)

    def _enter_alone(self, segment: Segment) -> None:
        try:
            self._enter([segment])
        except ArchiveDamaged as error:
            self.done.problems.append(error.message)
            self.done.skipped.append(segment.sha256)
            self.done.waiting -= 1


def _enter(home: Home, index: IndexWriter, redactor: Redactor, portion: list[Segment]) -> list[int]:
    return index.add_segments(
        (index_source(source_of(home, each)), rows_of(read_messages(each, redactor))) for each in portion
    )


def _portions(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    portion: list[Segment] = []
    size = 0
    for each in segments:
        if portion and size + each.bytes > BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
        portion.append(each)
        size += each.bytes
    if portion:
        yield portion


def _remember(home: Home, before: OutboxState, mark: list[int], done: Sent) -> None:
    """Keep how it went; the first failure, and what was done, leave a line in the audit log."""
    now, error, failed = now_text(), done.error, before["failure"]
    state: OutboxState = {**before, "waiting": done.waiting, "tried_at": now, "ledger": mark, "skipped": done.skipped}
    state["failure"] = None
    if error is not None:
        goes_on = failed is not None and failed["code"] == error.code
        since = failed["since"] if failed else now
        times = failed["times"] + 1 if failed else 1
        shown = {"code": error.code, "message": error.message, "hint": error.hint}
        state["failure"] = {**shown, "since": since, "times": times}  # type: ignore[typeddict-item]
        if not goes_on:
            audit.record(home, "send", "failed", ids=done.archives, reason=error.message)
    elif not done.waiting:
        state["sent_at"] = now
    if error is None and (done.archives or done.removed or done.problems):
        audit.record(home, "send", "done", ids=done.archives, reason="; ".join(done.problems))
    write_state(home, state)


def forget_now(home: Home, config: Config, shas: Collection[str]) -> MoonError | None:
    """Take these archives out of the shared index at once, with all else that the archive holds no more; None when they
    are gone, else why not yet: the next run tries again.
    """
    try:
        lock = Lock.take(home.outbox_lock)
    except LockBusy as error:
        return error
    try:
        with open_catalog(home) as catalog:
            segments = list(catalog.segments())
        with open_shared_writer(config.index.postgresql, own_host(home).id) as index:
            index.seconds = LEAST_SECONDS
            sent = index.sent()
            for sha256 in work_of(segments, sent, ()).gone | (sent.keys() & {*shas}):
                index.forget_segment(sha256)
    except MoonError as error:
        state = read_state(home)
        write_state(home, {**state, "waiting": max(1, state["waiting"])})
        return error
    finally:
        lock.release()
    return None
