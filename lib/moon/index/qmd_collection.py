"""The pages as a QMD collection: brought up to date once a run, and no failure of it touches anything else."""

from __future__ import annotations

from moon import audit
from moon.config import Config
from moon.documents import QmdOutcome
from moon.errors import MoonError
from moon.output import say
from moon.paths import Home
from moon.qmd import Qmd


def update_collection(home: Home, config: Config, cycle_id: str = "") -> QmdOutcome:
    """Tell QMD about new pages; the `qmd` field of the station's record. A change and a failure are audited."""
    result = _update(home, config)
    if result["outcome"] in ("done", "failed"):
        audit.record(home, "qmd", result["outcome"], cycle_id=cycle_id, reason=result.get("reason", ""))
    if result["outcome"] == "failed":
        say(f"moon-index: {result['reason']}; the embedded index answers alone", f"hint: {result['hint']}")
    return result


def _update(home: Home, config: Config) -> QmdOutcome:
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
