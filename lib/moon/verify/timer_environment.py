"""The environment that a tick gets from the service manager, which is not that of the shell that asks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from moon.paths import Home

UNIT = "moon-sample.service"
PLIST = "local.moon.sample.plist"
# `Environment="NAME=value"` as unit_files writes it, and without quotes as people do.
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class TimerEnvironment(NamedTuple):
    """Variables by name, and the file that says so; empty where no timer is installed and this shell has to do."""

    variables: dict[str, str]
    source: str = ""

    def value(self, name: str) -> str:
        """The variable as a tick sees it."""
        return (self.variables if self.source else os.environ).get(name, "").strip()


def read_environment(home: Home, user_home: Path) -> TimerEnvironment:
    """From the installed units, with their drop-ins and the file `environment`; nothing is run for it."""
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or user_home / ".config")
    unit = config_home / "systemd" / "user" / UNIT
    if unit.is_file():
        return TimerEnvironment(_of_systemd(unit, home), str(unit))
    plist = user_home / "Library" / "LaunchAgents" / PLIST
    if plist.is_file():
        return TimerEnvironment(_of_launchd(plist), str(plist))
    return TimerEnvironment({})


def _of_systemd(unit: Path, home: Home) -> dict[str, str]:
    variables: dict[str, str] = {}
    for path in (unit, *sorted(unit.with_name(f"{unit.name}.d").glob("*.conf"))):
        for line in _lines(path):
            name, _, value = line.partition("=")
            if name.strip() == "Environment":
                variables.update(_assignments(value))
            elif name.strip() == "EnvironmentFile":
                named = Path(value.strip().removeprefix("-").replace("%%", "%").replace("%h", str(Path.home())))
                variables.update(_of_file(named))
    return variables


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for quoted, plain in QUOTED.findall(text):
        name, equals, value = (quoted or plain).replace("%%", "%").partition("=")
        if equals:
            yield name, re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    """`NAME=value` a line, as systemd reads it: comments with # or ;, quotes around a value."""
    for line in _lines(path):
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")):
            yield name.strip(), value.strip().strip("\"'")


def _of_launchd(path: Path) -> dict[str, str]:
    import plistlib

    try:
        found = plistlib.loads(path.read_bytes()).get("EnvironmentVariables", {})
    except (OSError, ValueError, plistlib.InvalidFileException, AttributeError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
