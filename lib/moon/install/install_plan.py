"""What an installation consists of, from facts alone: links, files, and the timer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moon.install.unit_files import render_launchd, render_systemd
from moon.paths import launchd_log

SYSTEMD_UNITS = ("moon-sample.service", "moon-sample.timer")
LAUNCHD_LABEL = "local.moon.sample"
SKILL_NAME = "moon-recall"
# Of the environment that installs, what a tick needs to find the same things; keys for models are not among it.
HANDED_ON = ("PATH", "MOON_CONFIG", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Facts:
    """Everything that a plan depends on. `tools` are those that get a link, `programs` the folder they are in."""

    checkout: Path
    programs: Path
    tools: tuple[str, ...]
    prefix: Path
    user_home: Path
    units: Path
    moon_home: Path
    config_file: Path
    platform: str
    interval: int
    environment: Mapping[str, str]
    templates: Mapping[str, str]
    example: str
    skill: str
    workspaces: tuple[Path, ...] = ()
    # Completions and manual pages: (path below the prefix, content).
    shell_help: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Link:
    """A symbolic link to be."""

    path: Path
    target: Path


@dataclass(frozen=True)
class Text:
    """A file to be. With `only_if_missing` one that is there already is left alone, whatever it says."""

    path: Path
    content: str
    only_if_missing: bool = False


@dataclass(frozen=True)
class Plan:
    """All that should be there after an installation. `timer` is `systemd` or `launchd`."""

    links: tuple[Link, ...]
    texts: tuple[Text, ...]
    timer: str

    @property
    def things(self) -> tuple[Link | Text, ...]:
        """All links and files, in the order in which they are made."""
        return (*self.links, *self.texts)


def plan(facts: Facts) -> Plan:
    """The whole installation."""
    links = tuple(Link(facts.prefix / "bin" / tool, facts.programs / tool) for tool in facts.tools)
    texts = [*_units(facts), Text(facts.config_file, facts.example, only_if_missing=True)]
    if facts.skill:
        texts += [Text(each / "skills" / SKILL_NAME / "SKILL.md", facts.skill) for each in facts.workspaces]
    texts += [Text(facts.prefix / place, content) for place, content in facts.shell_help]
    return Plan(links, tuple(texts), "launchd" if facts.platform == "darwin" else "systemd")


def _units(facts: Facts) -> list[Text]:
    program = facts.programs / "moon-sample"
    environment = {name: facts.environment[name] for name in HANDED_ON if facts.environment.get(name)}
    environment["MOON_HOME"] = str(facts.moon_home)
    if facts.platform == "darwin":
        name = f"{LAUNCHD_LABEL}.plist"
        log = launchd_log(facts.user_home)
        content = render_launchd(facts.templates[name], program, log, facts.interval, environment)
        return [Text(facts.units / name, content)]
    return [
        Text(
            facts.units / name,
            render_systemd(facts.templates[name], program, facts.moon_home, facts.interval, environment),
        )
        for name in SYSTEMD_UNITS
    ]


def workspaces(config: Any, state_dir: Path) -> list[Path]:
    """The workspaces of all agents that an `openclaw.json` names; OpenClaw's own default where it names none."""
    agents = _mapping(_mapping(config).get("agents"))
    listed = agents.get("list")
    entries = [_mapping(each) for each in listed] if isinstance(listed, list) else []
    entries += [{"id": name, **_mapping(entry)} for name, entry in _mapping(agents.get("entries")).items()]
    default = _mapping(agents.get("defaults")).get("workspace") or str(state_dir / "workspace")
    found = [default]
    for entry in entries:
        found.append(entry.get("workspace") or str(state_dir / f"workspace-{entry.get('id')}"))
    return list(dict.fromkeys(Path(each).expanduser() for each in found if isinstance(each, str)))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
