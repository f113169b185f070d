"""state/health.json: which problems there are, since when, and when each station last did well.

Read at every tick, so it is read by hand and forgivingly: it is never needed for anything, and a damaged one is begun
anew. Written only when something changed: a tick that finds all well writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from moon.clock import format_ms, parse_ms
from moon.errors import MoonError
from moon.files import read_bounded, replace_quickly
from moon.paths import Home
from moon.text import dump_json

if TYPE_CHECKING:
    from moon.health.problems import Trouble

SCHEMA = "moon.health/1"


class Health(NamedTuple):
    """`good`: by station, when it last did all its work well. `foreign`: a newer Moon's file, which is left alone.

    `checked`: how far the daily look at the archives has come (`moon.verify.soundness`).
    """

    good: Mapping[str, int] = MappingProxyType({})
    problems: Sequence[Trouble] = ()
    foreign: bool = False
    checked: Mapping[str, str] = MappingProxyType({})


def read(home: Home) -> Health:
    """What is kept; nothing where the file is missing or cannot be read."""
    try:
        document = json.loads(read_bounded(home.health_file))
        if document["schema"] != SCHEMA:
            return Health(foreign=True)
        good = {str(name): _ms(when) for name, when in document["good"].items()}
        checked = {str(name): str(value) for name, value in document.get("checked", {}).items()}
        return Health(good, [_trouble(each) for each in document["problems"]], checked=checked)
    except (OSError, MoonError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Health()


def _trouble(entry: dict[str, Any]) -> Trouble:
    from moon.health.problems import Subject, Trouble

    subjects = tuple(Subject(*map(str, each)) for each in entry["subjects"])
    texts = {name: str(entry[name]) for name in ("station", "code", "message", "hint", "path", "told")}
    since, last = _ms(entry["since"]), _ms(entry["last"])
    return Trouble(**texts, subjects=subjects, since=since, last=last, times=int(entry["times"]))


def _ms(value: object) -> int:
    return parse_ms(value) or 0


def write(home: Home, health: Health) -> bool:
    """Write it, without waiting for the disk. What cannot be written down is no reason to stop; was it?"""
    if health.foreign:
        return True
    try:
        replace_quickly(home.health_file, dump_json(as_document(health), indent=1).encode() + b"\n")
    except (MoonError, OSError):
        return False
    return True


def as_document(health: Health) -> dict[str, Any]:
    """The `moon.health/1` document."""
    return {
        "schema": SCHEMA,
        "good": {name: format_ms(when) for name, when in sorted(health.good.items())},
        "checked": dict(health.checked),
        "problems": [
            {
                **each._asdict(),
                "subjects": [list(subject) for subject in each.subjects],
                "since": format_ms(each.since),
                "last": format_ms(each.last),
            }
            for each in health.problems
        ],
    }
