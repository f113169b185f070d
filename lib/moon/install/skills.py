"""The skill that tells an agent of its archive: into the workspace of each agent, also of those that come later."""

from __future__ import annotations

import json
import os
from pathlib import Path

from moon.config import Config
from moon.errors import MoonError
from moon.files import read_bounded, write_atomic
from moon.install import install_manifest as manifests
from moon.install import machine_facts
from moon.install.install_plan import SKILL_NAME, Text
from moon.paths import Home


def skill_path(workspace: Path) -> Path:
    """Where OpenClaw looks for it."""
    return workspace / "skills" / SKILL_NAME / "SKILL.md"


def _workspaces(home: Home, config: Config) -> list[Path]:
    """The workspaces of all agents, found out anew only when OpenClaw's configuration has changed.

    One with comments is read by OpenClaw's own command, which takes seconds, and this is asked in every cycle.
    """
    path, cache = machine_facts.openclaw_config(config), home.cache / "workspaces.json"
    if not path.is_file():
        return machine_facts.workspaces(config)
    stat = path.stat()
    mark = [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    try:
        kept = json.loads(read_bounded(cache))
        if kept["of"] == mark:
            return [Path(each) for each in kept["workspaces"]]
    except (OSError, MoonError, ValueError, LookupError, TypeError):
        pass  # whatever stands there, or does not, is only a saving of time
    folders = machine_facts.workspaces(config)
    write_atomic(cache, json.dumps({"of": mark, "workspaces": [str(each) for each in folders]}))
    return folders


def spread(home: Home, config: Config) -> list[Path]:
    """Give the skill to workspaces that came after the installation; returns the files made.

    One that was there and is gone was taken away by somebody and stays away. Nothing happens where Moon was never
    installed, or was taken off again. Raises `OSError`, `MoonError`.
    """
    manifest = manifests.load(home)
    if manifest is None or not machine_facts.SKILL.is_file():
        return []
    content = machine_facts.SKILL.read_text("utf-8")
    missing = [
        Text(skill_path(each), content)
        for each in _workspaces(home, config)
        if each.is_dir() and str(skill_path(each)) not in manifest.made and not os.path.lexists(skill_path(each))
    ]
    if not missing:
        return []
    for each in missing:
        for folder in (each.path.parents[1], each.path.parent):
            if not folder.exists():
                manifest.note_folder(folder)
        manifest.note(each)
    # First the promise to take it back, then the thing itself.
    manifests.save(home, manifest)
    for each in missing:
        each.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(each.path, each.content)
    return [each.path for each in missing]
