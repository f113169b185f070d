"""The facts that an installation depends on, read from this machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from moon import config as configuration
from moon import resources, schema
from moon.config import Config
from moon.install import install_plan
from moon.install.config_pages import render_example
from moon.openclaw.locate import state_dir
from moon.openclaw.openclaw_command import OpenClaw
from moon.paths import Home

SKILL = resources.PACKAGE / "skill" / "SKILL.md"


def gather(home: Home, prefix: Path, tools: tuple[str, ...]) -> install_plan.Facts:
    """Everything that the plan needs; `tools` are the names of all commands. Raises `ConfigInvalid`."""
    config = read_config(home)
    user_home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or user_home / ".config")
    units = user_home / "Library" / "LaunchAgents" if sys.platform == "darwin" else config_home / "systemd" / "user"
    folders = (resources.folder("systemd"), resources.folder("launchd"))
    programs = resources.program("sample").parent
    return install_plan.Facts(
        checkout=resources.PACKAGE if resources.is_packaged() else resources.CHECKOUT,
        programs=programs,
        tools=() if resources.is_packaged() and on_path(programs) else tools,
        prefix=prefix.expanduser().absolute(),
        units=units,
        user_home=user_home,
        moon_home=home.root.absolute(),
        config_file=home.config_file.absolute(),
        platform=sys.platform,
        interval=config.timer.interval_seconds,
        environment=dict(os.environ),
        templates={path.name: path.read_text("utf-8") for folder in folders for path in folder.glob("*.*")},
        example=render_example(schema.load_schema("config")),
        skill=SKILL.read_text("utf-8") if SKILL.is_file() else "",
        workspaces=tuple(each for each in workspaces(config) if each.is_dir()),
    )


def on_path(folder: Path) -> bool:
    """Does a shell that has this environment find the commands of that folder by their names?"""
    found = shutil.which("moon-recall")
    return found is not None and Path(found).exists() and Path(found).samefile(folder / "moon-recall")


def read_config(home: Home) -> Config:
    """The configuration, or its defaults where MOON_CONFIG names a file that is yet to be made."""
    if home.config_file.exists() or "MOON_CONFIG" not in os.environ:
        return configuration.load(home)
    return configuration.defaults()


def openclaw_config(config: Config) -> Path:
    """OpenClaw's own configuration."""
    return Path(os.environ.get("OPENCLAW_CONFIG_PATH") or state_dir(config) / "openclaw.json")


def workspaces(config: Config) -> list[Path]:
    """The workspaces of all agents of this OpenClaw, whether they exist or not."""
    folder, path = state_dir(config), openclaw_config(config)
    if not path.is_file():
        return install_plan.workspaces({}, folder)
    try:
        document: Any = json.loads(path.read_bytes())
    except ValueError:
        # OpenClaw also reads JSON with comments; it knows best what such a file means.
        document = {"agents": OpenClaw(config).ask(["config", "get", "agents", "--json"])}
    return install_plan.workspaces(document, folder)
