"""The service manager of the user: systemd or launchd, when there is one that answers."""

from __future__ import annotations

import os
from pathlib import Path

from moon.errors import ProgramAbsent
from moon.install.install_plan import LAUNCHD_LABEL, Facts, Plan
from moon.output import say
from moon.programs import run

TIMER = "moon-sample.timer"
LIMIT = 30.0
WITHOUT = "no service manager of the user answers, so no timer was started; `moon-watch --daemon` does the same job"


def enable(plan: Plan, facts: Facts, changed: bool) -> list[str]:
    """Start the timer, and say what is worth knowing about it. `changed`: its files are new."""
    if plan.timer == "launchd":
        return _enable_launchd(facts.units / f"{LAUNCHD_LABEL}.plist", changed)
    if not _call(["systemctl", "--user", "daemon-reload"]):
        return [WITHOUT]
    started = _call(["systemctl", "--user", "enable", "--now", TIMER])
    if changed:
        # A timer that runs already keeps its old interval otherwise.
        started = _call(["systemctl", "--user", "restart", TIMER]) and started
    if not started:
        return [f"systemd did not start {TIMER}; see `systemctl --user status {TIMER}`"]
    return [
        f"{TIMER} looks every {facts.interval} s; see `systemctl --user list-timers` and `moon-status`",
        "it runs while you are logged in; `loginctl enable-linger` lets it run always",
    ]


def _enable_launchd(plist: Path, changed: bool) -> list[str]:
    target = f"{_domain()}/{LAUNCHD_LABEL}"
    if changed:
        _call(["launchctl", "bootout", target], quiet=True)
    if _call(["launchctl", "print", target], quiet=True) or _call(["launchctl", "bootstrap", _domain(), str(plist)]):
        return [f"launchd runs {LAUNCHD_LABEL}; see `launchctl print {target}` and `moon-status`"]
    return [WITHOUT]


def disable(kind: str) -> None:
    """Stop the timer before its files go; a manager that is not there has nothing to stop."""
    if kind == "launchd":
        _call(["launchctl", "bootout", f"{_domain()}/{LAUNCHD_LABEL}"], quiet=True)
    else:
        _call(["systemctl", "--user", "disable", "--now", TIMER], quiet=True)


def forget(kind: str) -> None:
    """Let the manager notice that the files are gone."""
    if kind == "systemd":
        _call(["systemctl", "--user", "daemon-reload"], quiet=True)


def _domain() -> str:
    return f"gui/{os.getuid()}"


def _call(argv: list[str], quiet: bool = False) -> bool:
    """Did the manager do it? Why not is said, unless it does not matter."""
    try:
        done = run(argv, timeout=LIMIT)
    except ProgramAbsent:
        return False
    if done.code != 0 and not quiet:
        say(f"moon-install: {' '.join(argv)} {done.describe()}")
    return done.code == 0
