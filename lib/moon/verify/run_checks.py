"""Run every check, one after the other. Whatever a check meets is a finding, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from moon import config as configuration
from moon.config import Config
from moon.errors import MoonError, unexpected
from moon.files import unusable
from moon.paths import Home
from moon.trust import NotTrusted
from moon.verify import (
    data_checks,
    gateway_checks,
    home_checks,
    keeping_checks,
    key_checks,
    machine_checks,
    mending,
    shared_checks,
    store_checks,
    timer_checks,
)
from moon.verify.finding import FAIL, OK, Finding, Findings, of_error

# One cause of many troubles: the check that looks for it names it, and what follows from it is left out.
ONCE = frozenset({"no_permission", "foreign_owner", "disk_full", "read_only", "index_corrupt"})
Check = Callable[[], Findings]


def run_checks(
    home: Home, *, deep: bool, fix: bool, progress: Callable[[str], None] = lambda name: None
) -> Iterator[Finding]:
    """Each finding as it is made; `progress` hears the name of each check before it begins.

    Only `fix` changes anything, and only what is safe to change (`mending`).
    """
    config, about = load(home)
    yield about
    checks: dict[str, Check] = {
        "home": lambda: home_checks.check_home(home),
        "owner": lambda: home_checks.check_owner(home),
        "permissions": lambda: home_checks.check_permissions(home, config, fix),
        "disk": lambda: home_checks.check_disk(home, config),
        "clock": lambda: home_checks.check_clock(home),
        "python": machine_checks.check_python,
        "openclaw": lambda: gateway_checks.check_command(config, timer_checks.environment(home)),
        "gateway": lambda: gateway_checks.check_gateway(home, config),
        "stores": lambda: store_checks.check_stores(config),
        "qmd": lambda: machine_checks.check_qmd(home, config),
        "skill": lambda: gateway_checks.check_skill(home, config),
        "keys": lambda: key_checks.check_keys(home, config, timer_checks.environment(home)),
        "memory": lambda: home_checks.check_memory(home, config, fix),
        "timer": lambda: timer_checks.check_timer(home, config),
        "archives": lambda: data_checks.check_archives(home, config, deep),
        "keeping": lambda: keeping_checks.check_keeping(home, config),
        "index": lambda: data_checks.check_index(home, deep),
        "shared index": lambda: shared_checks.check_shared(home, config),
        "search": lambda: data_checks.check_search(home),
        "meaning": lambda: data_checks.check_meaning(home, config),
        "sound": lambda: data_checks.check_rounds(home),
        "effects": lambda: data_checks.check_effects(home),
    }
    if fix:
        yield from _guarded("mended", lambda: mending.mend(home))
    said = {about.code} & ONCE
    for name, check in checks.items():
        progress(name)
        for finding in _guarded(name, check):
            if finding.code not in said:
                yield finding
            said |= {finding.code} & ONCE


def _guarded(name: str, check: Check) -> Findings:
    """The findings of a check; an error of whatever kind is the last of them."""
    try:
        yield from check()
    except MoonError as error:
        yield of_error(name, FAIL, error)
    except OSError as error:
        failure = unusable(error.filename, error) if error.filename else unexpected(error)
        yield of_error(name, FAIL, failure)
    except Exception as error:  # the next check may still work
        yield of_error(name, FAIL, unexpected(error))


def load(home: Home) -> tuple[Config, Finding]:
    """A configuration in any case, so that the other checks can run, and what is to be said about the one there is."""
    try:
        config, error = configuration.load_to_read(home)
    except NotTrusted as refused:
        return configuration.defaults(), of_error("config", FAIL, refused)
    except MoonError as unreadable:
        return configuration.defaults(), of_error("config", FAIL, unreadable)
    if error is not None:
        return config, of_error("config", FAIL, error)
    where = str(home.config_file) if home.config_file.exists() else "defaults, there is no moon.yaml"
    return config, Finding("config", OK, where)
