"""The pages as a QMD collection: brought up to date when a page is new, and no failure of it touches anything else.

`qmd update` reads every page; it has no narrower form. So it is asked only when a page came or went since it last was
told: `index/qmd.told` says which collection knows of all pages, and goes before a page does. QMD keeps the text of
pages that are gone until it is asked to clean up; `index/qmd.cleanup` says that it is to be asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moon import audit
from moon.config import Config
from moon.errors import MoonError
from moon.files import write_atomic
from moon.output import say
from moon.paths import Home
from moon.qmd import Qmd, index_files

if TYPE_CHECKING:
    from moon.documents import QmdOutcome


def makes_pages(config: Config) -> bool:
    """Is a Markdown page of each archive wanted? By itself only where QMD reads it; those that are there stay."""
    if config.index.markdown is not None:
        return config.index.markdown
    if config.index.projection != "auto":
        return config.index.projection == "always"
    return config.qmd.enabled is not False and bool(Qmd(config.qmd).program)


def pages_change(home: Home) -> None:
    """Say that a page is about to come or go."""
    _told(home).unlink(missing_ok=True)


def pages_go(home: Home) -> None:
    """Say that pages go whose text must be nowhere any more."""
    write_atomic(_to_clean(home), b"")
    pages_change(home)


def _to_clean(home: Home) -> Path:
    return home.index / "qmd.cleanup"


def _told(home: Home) -> Path:
    return home.index / "qmd.told"


def _collection(home: Home, config: Config) -> str:
    """What was told to whom; an index that is gone meanwhile knows nothing any more."""
    state = "there" if index_files(config.qmd) else "elsewhere"
    return f"{config.qmd.index} {config.qmd.collection} {home.markdown} {state}\n"


def _knows_all(home: Home, config: Config) -> bool:
    try:
        return _told(home).read_text("utf-8") == _collection(home, config)
    except (OSError, ValueError):
        return False


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
    if _knows_all(home, config):
        return {"outcome": "nothing", "reason": "no page is new"}
    try:
        updated = qmd.update(home.markdown)
        if _to_clean(home).exists():
            qmd.clean_up()
            _to_clean(home).unlink(missing_ok=True)
    except MoonError as error:
        return {"outcome": "failed", "reason": error.message, "hint": error.hint}
    write_atomic(_told(home), _collection(home, config))
    changed = updated.new + updated.updated + updated.removed
    return {"outcome": "done" if changed else "nothing", "files": updated.files, "changed": changed}
