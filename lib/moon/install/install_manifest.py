"""The manifest: exactly what an installation made, kept so that it can be taken back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moon import schema
from moon.files import read_bounded, write_atomic
from moon.install.install_plan import Link, Text
from moon.paths import Home


@dataclass
class Manifest:
    """What was made, by path."""

    checkout: str
    timer: str
    made: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, thing: Link | Text) -> None:
        """Remember a link or a file as ours, in the form it is about to get."""
        if isinstance(thing, Link):
            self.made[str(thing.path)] = {"kind": "link", "path": str(thing.path), "target": str(thing.target)}
        else:
            self.made[str(thing.path)] = {"kind": "file", "path": str(thing.path), "sha256": digest(thing.content)}

    def note_folder(self, path: Path) -> None:
        """Remember a folder that was missing."""
        self.made.setdefault(str(path), {"kind": "folder", "path": str(path)})

    def is_untouched(self, path: Path) -> bool:
        """Is this ours, and still as we left it?"""
        entry = self.made.get(str(path))
        if entry is None:
            return False
        if entry["kind"] == "link":
            return path.is_symlink() and str(path.readlink()) == entry["target"]
        return path.is_file() and not path.is_symlink() and digest_file(path) == entry["sha256"]

    def as_document(self) -> dict[str, Any]:
        """The `moon.install/1` document."""
        made = [self.made[path] for path in sorted(self.made)]
        return {"schema": "moon.install/1", "checkout": self.checkout, "timer": self.timer, "made": made}


def manifest_path(home: Home) -> Path:
    """Where the manifest lies."""
    return home.state / "install.json"


def load(home: Home) -> Manifest | None:
    """The manifest of this home, if anything was installed. Raises `DocumentInvalid`.

    One that stands as it was written is not checked again: taking Moon off must need no package.
    """
    path = manifest_path(home)
    try:
        content = read_bounded(path)
    except FileNotFoundError:
        return None
    known = schema.is_remembered(home.cache, "install", content)
    document = json.loads(content) if known else schema.parse("install", content, path=str(path))
    return Manifest(document["checkout"], document["timer"], {each["path"]: each for each in document["made"]})


def save(home: Home, manifest: Manifest) -> None:
    """Write it, if it says anything new."""
    path, content = manifest_path(home), schema.dump("install", manifest.as_document()).encode("utf-8", "surrogatepass")
    if not (path.is_file() and path.read_bytes() == content):
        write_atomic(path, content)
    schema.remember(home.cache, "install", content)


def digest(content: str) -> str:
    """The hash by which a file is known as unchanged."""
    return hashlib.sha256(content.encode()).hexdigest()


def digest_file(path: Path) -> str:
    """The same of a file on the disk."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
