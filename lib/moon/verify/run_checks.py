"""Run every check. A check that itself fails is a finding, and the others go on."""

from __future__ import annotations

from collections.abc import Callable

from moon import config as configuration
from moon.config import Config
from moon.errors import ConfigInvalid, MoonError
from moon.paths import Home
from moon.verify import data_checks, machine_checks
from moon.verify.finding import FAIL, OK, Finding, Findings


def run_checks(home: Home, *, deep: bool, fix: bool) -> list[Finding]:
    """Every finding, in the order of the checks; only `fix` changes anything, and only permissions."""
    found: list[Finding] = []
    config = _load(home, found)
    checks: dict[str, Callable[[], Findings]] = {
        "home": lambda: data_checks.check_home(home),
        "permissions": lambda: data_checks.check_permissions(home, config, fix),
        "python": machine_checks.check_python,
        "openclaw": lambda: machine_checks.check_openclaw(home, config),
        "qmd": lambda: machine_checks.check_qmd(home, config),
        "keys": lambda: machine_checks.check_keys(config),
        "timer": lambda: machine_checks.check_timer(home, config),
        "archives": lambda: data_checks.check_archives(home, deep),
        "index": lambda: data_checks.check_index(home, deep),
        "effects": lambda: data_checks.check_effects(home),
    }
    for name, check in checks.items():
        try:
            found.extend(check())
        except MoonError as error:
            found.append(Finding(name, FAIL, error.message, error.hint, error.path))
    return found


def _load(home: Home, found: list[Finding]) -> Config:
    """The configuration; the defaults where it cannot be understood, so that the other checks can run."""
    try:
        config = configuration.load(home)
        where = str(home.config_file) if home.config_file.exists() else "defaults, there is no moon.yaml"
        found.append(Finding("config", OK, where))
        return config
    except ConfigInvalid as error:
        found.append(Finding("config", FAIL, error.message, error.hint, error.path))
        return configuration.defaults()
