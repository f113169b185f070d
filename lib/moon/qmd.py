"""The `qmd` command: Moon's pages as a collection in a named index of its own.

QMD reports success on standard output in words; only a line that counts the collection's files as expected is believed
(docs/openclaw.md). Nothing that depends on a model is ever called here.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from moon.config import Qmd as Settings
from moon.errors import MoonError, ProgramAbsent
from moon.programs import Completed, run

OUTPUT_LIMIT = 8 << 20
COUNTS = re.compile(r"^Indexed: (\d+) new, (\d+) updated, (\d+) unchanged, (\d+) removed", re.MULTILINE)


class QmdFailed(MoonError):
    """QMD is absent, failed, hung, or did not do what it was asked for."""

    code = "qmd_failed"


@dataclass(frozen=True)
class Updated:
    """What QMD says about the files of the collection."""

    new: int
    updated: int
    unchanged: int
    removed: int

    @property
    def files(self) -> int:
        """How many files the collection has now."""
        return self.new + self.updated + self.unchanged


def index_files(settings: Settings) -> list[Path]:
    """The files in which QMD keeps text from the archives."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qmd"
    return sorted(cache.glob(f"{settings.index}.sqlite*"))


class Qmd:
    """One installed QMD, by its command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.program = shutil.which(str(Path(settings.bin).expanduser())) or ""

    def run(self, arguments: list[str], *, timeout: float) -> Completed:
        """Run `qmd --index NAME …`. Raises `QmdFailed` when it is not there or does not end in time."""
        if not self.program:
            raise QmdFailed(
                f"no command {self.settings.bin!r}",
                hint="install QMD (`npm install -g @tobilu/qmd`), set qmd.bin, or set qmd.enabled to false",
            )
        environment = {**os.environ, "NO_COLOR": "1"}
        environment.pop("MOON_LOCK_FD", None)
        # Its index holds text from the archives, and QMD would make it readable for everybody.
        mask = os.umask(0o077)
        try:
            done = run(
                [self.program, "--index", self.settings.index, *arguments],
                timeout=timeout,
                max_output=OUTPUT_LIMIT,
                env=environment,
            )
        except ProgramAbsent as error:
            raise QmdFailed(error.message, path=self.program, hint="set qmd.bin to a command that runs") from error
        finally:
            os.umask(mask)
        if done.code is None:
            raise QmdFailed(f"qmd {arguments[0]} {done.describe()}", hint="see whether `qmd status` answers")
        return done

    def update(self, folder: Path) -> Updated:
        """Bring the collection up to date with the pages in `folder`; register it when it is not there.

        Raises `QmdFailed`, also when QMD counts other files than there are.
        """
        place = Path(os.path.realpath(folder))
        done = self.run(["update"], timeout=self.settings.timeout_seconds)
        registered = _registered(done, self.settings.collection)
        if done.code == 0 and registered is None:
            done = self._add(place)
        elif registered is not None and registered != place:
            done = self._move(registered, place)
        return self._counted(done, place)

    def clean_up(self) -> None:
        """Let it forget the text of pages that are gone. Raises `QmdFailed`."""
        done = self.run(["cleanup"], timeout=self.settings.timeout_seconds)
        if done.code != 0:
            raise QmdFailed(
                f"qmd cleanup {complaint(done)}", hint=f"try `qmd --index {self.settings.index} cleanup` by hand"
            )

    def _add(self, place: Path) -> Completed:
        arguments = ["collection", "add", str(place), "--name", self.settings.collection]
        return self.run(arguments, timeout=self.settings.timeout_seconds)

    def _move(self, registered: Path, place: Path) -> Completed:
        """Let the collection follow a MOON_HOME that was moved; never take it from one that is still there."""
        if registered.is_dir():
            raise QmdFailed(
                f"collection {self.settings.collection} of QMD index {self.settings.index} belongs to {registered}",
                path=str(registered),
                hint="set qmd.index to another name for this MOON_HOME",
            )
        self.run(["collection", "remove", self.settings.collection], timeout=self.settings.timeout_seconds)
        return self._add(place)

    def _counted(self, done: Completed, place: Path) -> Updated:
        counts = COUNTS.search(_section(done, self.settings.collection))
        if done.code != 0 or counts is None:
            raise QmdFailed(f"qmd {complaint(done)}", hint="try `qmd --index " + self.settings.index + " update`")
        updated = Updated(*map(int, counts.groups()))
        pages = sum(1 for _ in place.rglob("*.md"))
        if updated.files != pages:
            raise QmdFailed(
                f"qmd indexed {updated.files} files of {pages}", path=str(place), hint="the next run tries again"
            )
        return updated


def _section(done: Completed, collection: str) -> str:
    """The part of an `update`'s output that is about one collection; all of it for other commands."""
    text = done.stdout.decode("utf-8", "replace")
    parts = re.split(r"^\[\d+/\d+\] (\S+) .*$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(collection, "" if parts[1:] else text)


def _registered(done: Completed, collection: str) -> Path | None:
    """The folder that `update` names for the collection; None when the index has no such collection."""
    text = done.stdout.decode("utf-8", "replace")
    if f"] {collection} (" not in text:
        return None
    found = re.search(r"^Collection: (.*) \([^)]*\)$", _section(done, collection), re.MULTILINE)
    return Path(found[1]) if found else None


def complaint(done: Completed) -> str:
    """What went wrong, from whichever stream says it."""
    if done.code != 0:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if "rror" in line]
        return f"ended with exit code {done.code}: {lines[0].strip()[:200]}" if lines else done.describe()
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return f"answered {lines[-1][:200]!r}" if lines else "answered nothing"
