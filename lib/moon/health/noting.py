"""Keep what a tick, a cycle or a crash showed: problems begin, last, and end (`state/health.json`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING

from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.errors import LockBusy, MoonError, unexpected
from moon.health import health_file, problems, telling
from moon.health.health_file import Health
from moon.health.problems import Subject, Trouble
from moon.health.telling import Event
from moon.paths import Home

if TYPE_CHECKING:
    from moon.documents import CycleDocument

LOOK = "sample"
# Whether a station still has to do something for a session; when not, its problem with it is over.
StillDue = Callable[[str, Subject], bool]


def note_tick(
    home: Home, config: Config, failures: Sequence[MoonError], still_due: StillDue, heartbeat_before: int, now: int
) -> Health:
    """What one look showed; gives what is known now. Where nothing was wrong and nothing is, nothing is written."""
    before = health_file.read(home)
    if not failures and not before.problems:
        return before

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
    return _change(home, config, before, before._replace(good=good, problems=known))


def note_cycle(home: Home, config: Config, document: CycleDocument, more: Sequence[Trouble] = ()) -> None:
    """What the stations of a cycle did; `more` is what is wrong beside its sessions."""
    now, before = now_ms(), health_file.read(home)
    seen = [*problems.of_cycle(document), *more]
    known = problems.after(before.problems, seen, problems.over_after_cycle(document), now)
    bad = {each.station for each in seen}
    done = {record["station"] for record in document["stations"]} - bad
    checked = before.checked or {"at": format_ms(now)}
    good = {**before.good, **dict.fromkeys(done, now)}
    after = before._replace(good=good, problems=known, checked=checked)
    _change(home, config, before, after, telling.of_cycle(document, now) if config.notify.command else ())


def note_crash(home: Home, config: Config, station: str, error: Exception, subjects: Sequence[Subject] = ()) -> None:
    """A tick or a station that ended by an error. That another process is at work is none."""
    if isinstance(error, LockBusy):
        return
    failure = error if isinstance(error, MoonError) else unexpected(error)
    before = health_file.read(home)
    seen = problems.of_error(station, failure.as_dict())._replace(subjects=tuple(subjects))
    known = problems.after(before.problems, [seen], lambda trouble, subject: False, now_ms())
    _change(home, config, before, before._replace(problems=known))


def note_check(
    home: Home,
    config: Config,
    station: str,
    errors: Sequence[MoonError],
    looked_at: Container[str],
    checked: dict[str, str],
) -> None:
    """What a look at archives showed: of the paths that were looked at, those without an error are well."""
    before = health_file.read(home)
    seen = [problems.of_error(station, error.as_dict()) for error in errors]

    def is_over(trouble: Trouble, subject: Subject | None) -> bool:
        return subject is None and trouble.station == station and trouble.path in looked_at

    known = problems.after(before.problems, seen, is_over, now_ms())
    _change(home, config, before, before._replace(problems=known, checked=checked))


def _change(home: Home, config: Config, before: Health, after: Health, good_news: Iterable[Event] = ()) -> Health:
    """Keep what is known now, and tell what is to be told of it; what was told is kept before it is told."""
    events: list[Event] = [*good_news]
    pause = config.notify.after_ticks * config.timer.interval_seconds * 1000
    if config.notify.command:
        problems, bad_news = telling.plan(before.problems, after.problems, pause, now_ms())
        after, events = after._replace(problems=problems), [*bad_news, *events]
    kept = after == before or health_file.write(home, after)
    if events and (kept or _is_time_again(home, pause)):
        from moon.health.notifier import notify

        notify(home, config.notify, events)
    return after


def _is_time_again(home: Home, pause: int) -> bool:
    """Where nothing can be kept, as on a full disk, the time of a file can: was it not touched for a while?"""
    path = home.health_file if home.health_file.exists() else home.state
    try:
        if time.time() - path.stat().st_mtime < pause / 1000:
            return False
        os.utime(path)
    except OSError:
        return False
    return True
