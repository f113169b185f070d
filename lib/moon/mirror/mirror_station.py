"""Copy to every configured place, one after the other, and keep what came of it. Never under the cycle's lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from moon import audit
from moon.clock import format_ms, now_ms, now_text
from moon.config import Config
from moon.copies.copy_record import CopyRecord, read_record, write_record
from moon.copies.copy_settings import CopySettings, copies_of
from moon.copies.place import open_place
from moon.errors import MoonError, unexpected
from moon.files import exclusively
from moon.health import health_file, noting
from moon.health.behind import last_look
from moon.host_id import own_host
from moon.mirror.copy_run import CopyRun, Done
from moon.paths import Home
from moon.text import counted, readable_size

STATION = "mirror"
# One operation, with its retries; a place that answers slower is tried again later.
OPERATION_SECONDS = 30.0
# After a failure: a minute, then twice as long each time, up to an hour.
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 60_000, 3_600_000


@dataclass
class Outcome:
    """What came of one copy. `error`: why it was given up."""

    url: str
    done: Done = field(default_factory=Done)
    error: MoonError | None = None

    def problems(self) -> list[MoonError]:
        """All that was wrong."""
        return [*self.done.problems, *([self.error] if self.error else [])]

    def words(self) -> str:
        """One line for people."""
        if self.error is not None:
            return f"{self.url}: {self.error.message}"
        size = readable_size(self.done.bytes)
        parts = [f"{counted(self.done.objects, 'object')} of {size} put" if self.done.objects else "nothing new"]
        parts += [f"{counted(self.done.removed, 'object')} removed"] if self.done.removed else []
        parts += [f"{counted(self.done.left, 'ledger line')} left for the next run"] if self.done.left else []
        return f"{self.url}: " + ", ".join(parts)


def lock_file(home: Home) -> Path:
    """Held by whoever copies; nobody else waits for it."""
    return home.state / "mirror.lock"


def copy_all(
    home: Home, config: Config, seconds: float, *, urls: Sequence[str] = (), anew: bool = False
) -> list[Outcome]:
    """Copy to every place, or to the named ones, within about so many seconds. Raises `LockBusy`."""
    deadline = time.monotonic() + seconds
    with exclusively(lock_file(home)):
        outcomes = [
            _copy_to(each, home, config, deadline, anew=anew)
            for each in copies_of(config)
            if not urls or each.url in urls
        ]
        for each in outcomes:
            if each.error is not None or each.done.changed():
                _audit(home, each)
        keep_problems(home, config, [problem for each in outcomes for problem in each.problems()])
    return outcomes


def keep_problems(home: Home, config: Config, problems: Sequence[MoonError]) -> None:
    """Keep what is wrong with the copies now; what was wrong before and is not among it is over."""
    known = health_file.read(home)
    looked_at = {problem.path for problem in known.problems if problem.station == STATION}
    if problems or looked_at:
        noting.note_check(home, config, STATION, problems, looked_at, dict(known.checked))


def note_given_up(home: Home, config: Config, error: MoonError) -> None:
    """A run was ended because it hung, nobody knows at which place."""
    for settings in copies_of(config):
        _note_failure(home, settings.url, error)
    keep_problems(home, config, [error])


def _copy_to(settings: CopySettings, home: Home, config: Config, deadline: float, *, anew: bool) -> Outcome:
    """One copy, whatever happens to it; what came of it is kept in its record."""
    outcome = Outcome(settings.url)
    try:
        left = max(5.0, deadline - time.monotonic())
        place = open_place(settings.url, seconds=min(OPERATION_SECONDS, left))
        run = CopyRun(home, config, own_host(home), place, settings.seal(), deadline)
        outcome.done = run.done
        if anew:
            run.begin_anew()
        else:
            run.meet(read_record(home, settings.url))
        try:
            run.copy()
        finally:
            write_record(home, run.record)
        run.put_head(_heartbeat(home), _codes(home))
        run.remove_gone()
        _note_well(home, run.record)
    except MoonError as error:
        outcome.error = error
    except Exception as error:  # another copy may still work
        outcome.error = unexpected(error)
    if outcome.error is not None:
        _note_failure(home, settings.url, outcome.error)
    return outcome


def _heartbeat(home: Home) -> str | None:
    looked = last_look(home)
    return format_ms(looked) if looked else None


def _codes(home: Home) -> list[str]:
    """What is wrong on this host, but for its copies, which their readers see for themselves."""
    return [each.code for each in health_file.read(home).problems if each.station != STATION]


def _note_well(home: Home, record: CopyRecord) -> None:
    record.done_at = now_text()
    record.failing_since = record.retry_at = record.code = record.message = ""
    record.failures = 0
    write_record(home, record)


def _note_failure(home: Home, url: str, error: MoonError) -> None:
    record = read_record(home, url) or CopyRecord(url, "")
    record.failures += 1
    record.failing_since = record.failing_since or now_text()
    pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(record.failures - 1, 10))
    record.retry_at = format_ms(now_ms() + pause)
    record.code, record.message = error.code, error.message
    try:
        write_record(home, record)
    except MoonError:
        return


def _audit(home: Home, outcome: Outcome) -> None:
    result = "failed" if outcome.error else "done"
    reason = outcome.error.message if outcome.error else ""
    done = outcome.done
    copied = {"objects": done.objects, "bytes": done.bytes, "removed": done.removed, "left": done.left}
    audit.record(home, STATION, result, reason=reason, url=outcome.url, copied=copied)
