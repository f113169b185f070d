"""Checks of the timer: by its effect first, a fresh heartbeat, then by what the service manager says."""

from __future__ import annotations

import os
from pathlib import Path

from moon import schema
from moon.clock import now_ms
from moon.config import Config
from moon.cycle import session_states as states
from moon.errors import MoonError
from moon.files import read_bounded
from moon.health.signs import heartbeat_of, timer_trouble
from moon.paths import Home
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings, of_error, trouble
from moon.verify.machine_checks import ask_version
from moon.verify.timer_environment import TimerEnvironment, read_environment

LINGER = Path("/var/lib/systemd/linger")


def environment(home: Home) -> TimerEnvironment:
    """What a tick finds in its environment."""
    return read_environment(home, Path.home())


def check_timer(home: Home, config: Config) -> Findings:
    """Does something look every so often?"""
    state = states.peek(home)
    if not state.heartbeat and home.state_file.exists():
        read_bounded(home.state_file)  # one that is closed to us says so itself
        words = "the state file cannot be read, so nobody knows when moon-sample looked last"
        yield trouble("timer", FAIL, "state_unreadable", words, str(home.state_file))
    else:
        heartbeat = heartbeat_of(state.heartbeat, config.timer.interval_seconds, now_ms())
        wrong = list(timer_trouble(heartbeat, None, str(home.root)))
        for error in wrong:
            yield of_error("timer", WARN if error.code == "never_looked" else FAIL, error)
        if not wrong:
            yield Finding("timer", OK, f"moon-sample looked {heartbeat['age_seconds']} s ago")
    yield from _check_manager(home)


def _check_manager(home: Home) -> Findings:
    path = home.state / "install.json"
    try:
        manager = schema.read("install", path)["timer"]
    except FileNotFoundError:
        yield Finding("timer", OK, "not installed by `make install`")
        return
    except MoonError as error:
        yield Finding("timer", WARN, error.message, "run `make install` again", str(path))
        return
    if manager == "systemd":
        yield from _check_systemd()
        return
    _, problem = ask_version(["launchctl", "print", f"gui/{os.getuid()}/local.moon.sample"])
    yield _asked("launchd", problem)


def _check_systemd() -> Findings:
    _, problem = ask_version(["systemctl", "--user", "is-active", "moon-sample.timer"])
    if problem:
        yield _asked("systemd", problem)
        return
    fired, _ = ask_version(["systemctl", "--user", "show", "moon-sample.timer", "-p", "LastTriggerUSec", "--value"])
    yield Finding("timer", OK, "systemd runs it" + (f", fired last {fired}" if any(map(str.isdigit, fired)) else ""))
    _, problem = ask_version(["systemctl", "--user", "is-enabled", "moon-sample.timer"])
    if problem:
        words = "the timer runs now, and is not enabled: it will not run after the next start"
        yield Finding("timer", WARN, words, "`systemctl --user enable moon-sample.timer`")
    if LINGER.is_dir() and not (LINGER / _user()).exists():
        words = "it stops when you log out: lingering is off for this user"
        yield Finding("timer", WARN, words, "`loginctl enable-linger`")


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _asked(manager: str, problem: str) -> Finding:
    if not problem:
        return Finding("timer", OK, f"{manager} runs it")
    hint = "`make install` enables it; on a host without one run `moon-watch --daemon`"
    return Finding("timer", WARN, f"installed, but {manager} does not run it: {problem}", hint)
