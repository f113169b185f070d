"""Keep what a tick, a cycle or a crash showed: problems begin, last, and end (`state/health.json`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moon.clock import now_ms
from moon.documents import CycleDocument
from moon.errors import LockBusy, MoonError, unexpected
from moon.health import health_file, problems
from moon.health.health_file import Health
from moon.health.problems import Subject, Trouble
from moon.paths import Home

LOOK = "sample"
# Whether a station still has to do something for a session; when not, its problem with it is over.
StillDue = Callable[[str, Subject], bool]


def note_tick(home: Home, failures: Sequence[MoonError], still_due: StillDue, heartbeat_before: int, now: int) -> None:
    """What one look showed. Where nothing was wrong and nothing is, nothing is written."""
    before = health_file.read(home)
    if not failures and not before.problems:
        return

    def is_over(trouble: Trouble, subject: Subject | None) -> bool:
        if subject is None:
            return trouble.station == LOOK
        return not still_due(trouble.station, subject)

    seen = [problems.of_error(LOOK, error.as_dict()) for error in failures]
    known = problems.after(before.problems, seen, is_over, now)
    good = dict(before.good)
    was_well = all(each.station != LOOK for each in before.problems)
    if failures and was_well and heartbeat_before:
        good[LOOK] = heartbeat_before
    elif not failures:
        good.pop(LOOK, None)
    _change(home, before, Health(good, known, before.foreign))


def note_cycle(home: Home, document: CycleDocument, more: Sequence[Trouble] = ()) -> None:
    """What the stations of a cycle did; `more` is what is wrong beside its sessions."""
    now, before = now_ms(), health_file.read(home)
    seen = [*problems.of_cycle(document), *more]
    known = problems.after(before.problems, seen, problems.over_after_cycle(document), now)
    bad = {each.station for each in seen}
    done = {record["station"] for record in document["stations"]} - bad
    _change(home, before, Health({**before.good, **dict.fromkeys(done, now)}, known, before.foreign))


def note_crash(home: Home, station: str, error: Exception, subjects: Sequence[Subject] = ()) -> None:
    """A tick or a station that ended by an error. That another process is at work is none."""
    if isinstance(error, LockBusy):
        return
    failure = error if isinstance(error, MoonError) else unexpected(error)
    before = health_file.read(home)
    seen = problems.of_error(station, failure.as_dict())._replace(subjects=tuple(subjects))
    known = problems.after(before.problems, [seen], lambda trouble, subject: False, now_ms())
    _change(home, before, Health(before.good, known, before.foreign))


def _change(home: Home, before: Health, now: Health) -> None:
    if now != before:
        health_file.write(home, now)
