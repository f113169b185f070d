"""Take continuity maps of forgotten conversations away, or single lines out of maps that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, cast

from moon import schema
from moon.documents import ContinuityMap
from moon.errors import MoonError
from moon.files import sync_folder, unusable, write_atomic
from moon.paths import Home
from moon.rollover.continuity_map import render

# The lists of a map that hold what was said.
SAID = (
    *("now", "waiting", "summary", "decisions", "rules", "milestones", "open_tasks"),
    *("identifiers", "commands", "recall_hints", "cut_messages"),
)
IsIn = Callable[[str], bool]


class FoundMap(NamedTuple):
    """A map, and what becomes of it: None where it goes as a whole."""

    path: Path
    left: ContinuityMap | None

    @property
    def files(self) -> tuple[Path, Path]:
        """The document and what the model got."""
        return self.path, self.path.with_suffix(".md")

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(each.stat().st_size for each in self.files if each.exists())


def find_maps(home: Home, is_gone: Callable[[ContinuityMap], bool], is_in: IsIn | None) -> list[FoundMap]:
    """The maps that go, and with `is_in` those in which single lines do. Only reads."""
    found = []
    for path in sorted(home.continuity.glob("*.json")):
        try:
            document = cast(ContinuityMap, schema.read("continuity", path))
        except (MoonError, FileNotFoundError):
            continue
        if is_gone(document):
            found.append(FoundMap(path, None))
        elif is_in is not None and (left := without_lines(document, is_in)) != document:
            found.append(FoundMap(path, left))
    return found


def without_lines(document: ContinuityMap, is_in: IsIn) -> ContinuityMap:
    """The map without each line in which that stands. Pure."""
    left = dict(document)
    origins = dict(document.get("origins", {}))
    for name in SAID:
        texts = cast("list[str]", document.get(name, []))
        keeps = [not is_in(text) for text in texts]
        if all(keeps):
            continue
        left[name] = [text for text, keep in zip(texts, keeps, strict=True) if keep]
        if name in origins:
            origins[name] = [each for each, keep in zip(origins[name], keeps, strict=False) if keep]
    if "origins" in document:
        left["origins"] = origins
    return cast(ContinuityMap, left)


def forget_maps(found: Iterable[FoundMap]) -> None:
    """Do what was found. Raises `HomeUnusable`."""
    for each in found:
        document, text = each.files
        if each.left is None:
            _remove(text, document)
        else:
            write_atomic(text, render(each.left))
            schema.write("continuity", each.left, document)


def _remove(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unusable(path, error) from error
        sync_folder(path.parent)


def under_way(home: Home) -> list[tuple[str, str]]:
    """(agent, session key) of the rollovers that are under way."""
    found = []
    for path in home.rollovers.glob("*.json"):
        try:
            document = schema.read("rollover", path)
        except (MoonError, FileNotFoundError):
            continue
        found.append((str(document["agent"]), str(document["session_key"])))
    return found
