"""Make an installation, and take it back.

Promise: nothing that Moon did not make is ever replaced or removed, and what it made is in the manifest before it is
made. A second run changes nothing. Archives are never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from moon.errors import MoonError
from moon.files import make_private, unusable, write_atomic
from moon.install import install_manifest as manifests
from moon.install import service_manager
from moon.install.install_manifest import Manifest
from moon.install.install_plan import Facts, Link, Plan, Text
from moon.paths import Home


class PlaceTaken(MoonError):
    """Something that is not Moon's stands where Moon would put a link or a file."""

    code = "place_taken"


@dataclass
class Outcome:
    """What was done, a line each for people, and the timer after an installation."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    timer: service_manager.Timer | None = None

    @property
    def changed(self) -> bool:
        """Is anything different now?"""
        return bool(self.made or self.removed)


def install(home: Home, facts: Facts, plan: Plan) -> Outcome:
    """Bring about what the plan says. Raises `PlaceTaken` before anything is changed."""
    manifest = manifests.load(home) or Manifest(str(facts.checkout), plan.timer)
    manifest.checkout, manifest.timer = str(facts.checkout), plan.timer
    outcome = Outcome()
    wanted = _wanted(plan, manifest, outcome)
    for folder in _missing_folders([*(each.path for each in wanted), manifests.manifest_path(home)]):
        manifest.note_folder(folder)
    for each in wanted:
        manifest.note(each)
    make_private(home.root)
    manifests.save(home, manifest)
    for each in wanted:
        if not _is_there(each):
            _make(each, home)
            outcome.made.append(str(each.path))
    units = {str(each.path) for each in plan.texts if each.path.parent == facts.units}
    outcome.timer = service_manager.enable(plan, facts, changed=bool(units.intersection(outcome.made)))
    return outcome


def _wanted(plan: Plan, manifest: Manifest, outcome: Outcome) -> list[Link | Text]:
    """The links and files to be made or renewed. Raises `PlaceTaken`."""
    wanted: list[Link | Text] = []
    taken = []
    for each in plan.things:
        if not os.path.lexists(each.path) or _is_there(each) or manifest.is_untouched(each.path):
            if not (isinstance(each, Text) and each.only_if_missing and os.path.lexists(each.path)):
                wanted.append(each)
        elif isinstance(each, Text) and each.only_if_missing:
            outcome.kept.append(f"{each.path}: was there already")
        elif str(each.path) in manifest.made:
            outcome.kept.append(f"{each.path}: changed since it was installed; remove it to get Moon's own again")
        elif isinstance(each, Text) and each.path.is_file():
            # An edited file that an earlier uninstall left, or one from elsewhere: somebody wanted it as it is.
            outcome.kept.append(f"{each.path}: not as Moon would write it; remove it to get Moon's own")
        else:
            taken.append(str(each.path))
    if taken:
        raise PlaceTaken(
            f"not made by Moon and in the way: {', '.join(taken)}",
            path=taken[0],
            hint="move it away, or install elsewhere with `make install PREFIX=…`; nothing was changed",
        )
    return wanted


def _is_there(thing: Link | Text) -> bool:
    if isinstance(thing, Link):
        return thing.path.is_symlink() and thing.path.readlink() == thing.target
    path = thing.path
    return path.is_file() and not path.is_symlink() and manifests.digest_file(path) == manifests.digest(thing.content)


def _missing_folders(paths: list[Path]) -> list[Path]:
    """Each folder above these paths that has to be made, outermost first."""
    missing: dict[Path, None] = {}
    for path in paths:
        chain = []
        folder = path.parent
        while not folder.exists():
            chain.append(folder)
            folder = folder.parent
        missing.update(dict.fromkeys(reversed(chain)))
    return list(missing)


def _make(thing: Link | Text, home: Home) -> None:
    folder = thing.path.parent
    try:
        if home.root in thing.path.parents:
            make_private(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        if isinstance(thing, Text):
            write_atomic(thing.path, thing.content)
        else:
            _relink(thing)
    except OSError as error:
        raise unusable(thing.path, error) from error


def _relink(link: Link) -> None:
    """Put a link in place in one step, also over an older one."""
    temporary = link.path.with_name(f".{link.path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(link.target)
    temporary.replace(link.path)


def removable(home: Home) -> list[str]:
    """What `uninstall` would take away."""
    manifest = manifests.load(home)
    if manifest is None:
        return []
    return [name for name in manifest.made if manifest.is_untouched(Path(name))]


def uninstall(home: Home) -> Outcome:
    """Take back what the manifest lists; what was changed since stays and is named."""
    outcome = Outcome()
    manifest = manifests.load(home)
    if manifest is None:
        return outcome
    service_manager.disable(manifest.timer)
    folders = []
    for name, entry in manifest.made.items():
        path = Path(name)
        if entry["kind"] == "folder":
            folders.append(path)
        elif manifest.is_untouched(path):
            path.unlink()
            outcome.removed.append(name)
        elif os.path.lexists(path):
            outcome.kept.append(f"{name}: changed since it was installed")
    service_manager.forget(manifest.timer)
    shutil.rmtree(home.cache, ignore_errors=True)
    manifests.manifest_path(home).unlink()
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        # One that others use by now is not empty, and stays.
        with contextlib.suppress(OSError):
            folder.rmdir()
            outcome.removed.append(str(folder))
    return outcome
