"""The service manager of the user: systemd or launchd, when there is one that answers."""

from __future__ import annotations

import os
from typing import NamedTuple

from moon.errors import ProgramAbsent
from moon.install.install_plan import LAUNCHD_LABEL, Facts, Plan
from moon.programs import run

TIMER = "moon-sample.timer"
LIMIT = 30.0
INSTEAD = "`moon-watch --daemon` does the same job"


class Timer(NamedTuple):
    """Does it run, and what a person should know about it: a line, and perhaps one more."""

    runs: bool
    words: str
    more: str = ""


class _Answer(NamedTuple):
    done: bool
    reason: str


def enable(plan: Plan, facts: Facts, changed: bool) -> Timer:
    """Start the timer. `changed`: its files are new."""
    if plan.timer == "launchd":
        return _enable_launchd(facts, changed)
    asked = _call(["systemctl", "--user", "daemon-reload"])
    if not asked.done:
        return Timer(False, f"not running: no systemd of this user answers ({asked.reason}); {INSTEAD}")
    started = _call(["systemctl", "--user", "enable", "--now", TIMER])
    if changed and started.done:
        # A timer that runs already keeps its old interval otherwise.
        started = _call(["systemctl", "--user", "restart", TIMER])
    if not started.done:
        return Timer(False, f"not running: {started.reason}; see `systemctl --user status {TIMER}`")
    words = f"running: {TIMER} looks every {facts.interval} s (`systemctl --user list-timers`)"
    return Timer(True, words, "it runs while you are logged in; `loginctl enable-linger` lets it run always")


def _enable_launchd(facts: Facts, changed: bool) -> Timer:
    target = f"{_domain()}/{LAUNCHD_LABEL}"
    if changed:
        _call(["launchctl", "bootout", target])
    if not _call(["launchctl", "print", target]).done:
        started = _call(["launchctl", "bootstrap", _domain(), str(facts.units / f"{LAUNCHD_LABEL}.plist")])
        if not started.done:
            return Timer(False, f"not running: launchd did not take {LAUNCHD_LABEL} ({started.reason}); {INSTEAD}")
    return Timer(True, f"running: launchd starts {LAUNCHD_LABEL} every {facts.interval} s (`launchctl print {target}`)")


def disable(kind: str) -> None:
    """Stop the timer before its files go; a manager that is not there has nothing to stop."""
    if kind == "launchd":
        _call(["launchctl", "bootout", f"{_domain()}/{LAUNCHD_LABEL}"])
    else:
        _call(["systemctl", "--user", "disable", "--now", TIMER])


def forget(kind: str) -> None:
    """Let the manager notice that the files are gone."""
    if kind == "systemd":
        _call(["systemctl", "--user", "daemon-reload"])


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _call(argv: list[str]) -> _Answer:
    """Did the manager do it, and if not, why."""
    try:
        done = run(argv, timeout=LIMIT)
    except ProgramAbsent:
        return _Answer(False, f"there is no {argv[0]}")
    return _Answer(done.code == 0, f"{' '.join(argv[:3])} {done.describe()}")
