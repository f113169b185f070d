"""What changes in a home and belongs to its past: daily memory, distillations, continuity maps, the configuration.

Index, catalog and pages are derived, and states, locks and logs belong to one machine: they are not copied, and neither
is the file `environment`, which holds keys. A moon.yaml in which something looks like a secret is left out, and named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moon.config import Config
from moon.copies.copy_record import Note
from moon.copies.layout import Item
from moon.errors import MoonError
from moon.files import read_bounded
from moon.paths import Home

MEMORY = re.compile(r"(?:\d{4}-\d\d-\d\d|standing)\.md")
LARGEST = 16 << 20
CONFIG = "moon.yaml"


@dataclass
class Changed:
    """`fresh`: (item, bytes, time of change) of each file that is new or changed; `gone`: paths that went."""

    fresh: list[tuple[Item, bytes, int]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    problems: list[MoonError] = field(default_factory=list)


def note_files(home: Home, config: Config) -> Iterator[tuple[str, Path]]:
    """(path in the copy, file) of each; a memory that lies elsewhere is `memory/` in the copy."""
    memory = Path(config.paths.memory).expanduser() if config.paths.memory else home.memory
    for name, folder, fits in (
        ("memory", memory, MEMORY.fullmatch),
        ("distillations", home.distillations, _is_record),
        ("continuity", home.continuity, _is_record),
    ):
        try:
            found = sorted(folder.iterdir())
        except OSError:
            continue
        yield from ((f"{name}/{path.name}", path) for path in found if fits(path.name) and path.is_file())
    if home.config_file.is_file():
        yield CONFIG, home.config_file


def _is_record(name: str) -> bool:
    return name.endswith((".json", ".md")) and not name.startswith(".")


def changed_notes(home: Home, config: Config, known: dict[str, Note], name_of: Callable[[Item], str]) -> Changed:
    """What has to be copied. A file with the size and time that it had is not read, one with its bytes not copied."""
    found = Changed()
    seen = set()
    for name, path in note_files(home, config):
        try:
            stat, note = path.stat(), known.get(name)
            seen.add(name)
            if note is not None and (note.bytes, note.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                continue
            data = read_bounded(path, LARGEST)
        except FileNotFoundError:
            seen.discard(name)
            continue
        except (OSError, MoonError) as error:
            found.problems.append(_unread(name, path, error))
            continue
        item = Item(name, hashlib.sha256(data).hexdigest())
        if note is not None and note.sha256 == item.sha256:
            note.mtime_ns = stat.st_mtime_ns
        elif name == CONFIG and _holds_a_secret(data):
            seen.discard(name)
        else:
            found.fresh.append((item, data, stat.st_mtime_ns))
    found.gone = sorted(set(known) - seen)
    return found


def _unread(name: str, path: Path, error: Exception) -> MoonError:
    words = error.message if isinstance(error, MoonError) else str(error)
    return MoonError(f"{name} cannot be copied: {words}", path=str(path), code="copy_source")


def _holds_a_secret(data: bytes) -> bool:
    from moon.linear_regex import EngineMissing
    from moon.redact import redact

    try:
        return redact(data.decode("utf-8", "replace")).total > 0
    except EngineMissing:
        return True
