"""The pages as a QMD collection: brought up to date once a run, and no failure of it touches anything else."""

from __future__ import annotations

from typing import Any

from moon.config import Config
from moon.errors import MoonError
from moon.paths import Home
from moon.qmd import Qmd


def update_collection(home: Home, config: Config) -> dict[str, Any]:
    """Tell QMD about new pages; the `qmd` field of the station's record."""
    if config.qmd.enabled is False:
        return {"outcome": "off", "reason": "qmd.enabled is false"}
    if not home.markdown.is_dir():
        return {"outcome": "nothing", "reason": "there are no pages yet"}
    qmd = Qmd(config.qmd)
    if not qmd.program and config.qmd.enabled == "auto":
        return {"outcome": "absent", "reason": f"no command {config.qmd.bin!r}"}
    try:
        updated = qmd.update(home.markdown)
    except MoonError as error:
        return {"outcome": "failed", "reason": error.message, "hint": error.hint}
    changed = updated.new + updated.updated + updated.removed
    return {"outcome": "done" if changed else "nothing", "files": updated.files, "changed": changed}
