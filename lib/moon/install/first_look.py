"""What a person wants to know right after an installation: does it run, what did it find, what comes next."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from moon.config import Config
from moon.errors import MoonError
from moon.install import skills
from moon.install.install_plan import Facts
from moon.install.machine_facts import on_path
from moon.install.service_manager import Timer
from moon.openclaw.locate import open_stores
from moon.text import counted


def lines(facts: Facts, config: Config, timer: Timer, workspaces: list[Path]) -> list[str]:
    """Five lines, and one more where the timer has something to add. `workspaces`: of all agents, there or not."""
    more = [f"           {timer.more}"] if timer.more else []
    return [
        f"timer:     {timer.words}",
        *more,
        f"OpenClaw:  {_found(config)}",
        f"skill:     {_skill(workspaces)}",
        f"PATH:      {_path(facts)}",
        "next:      moon-verify",
    ]


def _found(config: Config) -> str:
    try:
        stores = open_stores(config)
        agents = [entry.agent for _, entry in stores.sessions()]
    except MoonError as error:
        return f"not found: {error.message}; {error.hint}"
    problems = "".join(f"; {each.message}" for each in stores.problems[:1])
    return (
        f"found in {stores.folder}: {counted(len(set(agents)), 'agent')}, {counted(len(agents), 'session')}{problems}"
    )


def _skill(workspaces: list[Path]) -> str:
    have = sum(skills.skill_path(each).is_file() for each in workspaces)
    words = f"moon-recall in {have} of {counted(len(workspaces), 'workspace')}"
    return words if have == len(workspaces) else f"{words}; the others get it when they are there and have an archive"


def _path(facts: Facts) -> str:
    folder = facts.prefix / "bin" if facts.tools else facts.programs
    if str(folder) in os.environ.get("PATH", "").split(os.pathsep) or on_path(facts.programs):
        return f"{folder} is on it"
    # For a path with odd characters: what stands there is copied into a shell.
    return f"put this into your shell's profile:  export PATH={shlex.quote(str(folder))}:$PATH"
