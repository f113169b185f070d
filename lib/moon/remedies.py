"""The one table of what can be wrong: symptom → cause → command (`remedies.json`).

An error without a hint of its own takes its remedy from here, by its code; `moon-status` and `moon-verify` sort and
explain by it; `docs/troubleshooting.md` is rendered from it (`make docs`).
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

# How much a trouble hurts, worst first; `moon-status` sorts by it.
RANKS = {
    "loss": "conversations are not archived",
    "blind": "what is archived is not found",
    "full": "sessions stay full: prune and rollover wait",
    "alone": "what is new lies on this machine alone",
    "poor": "Moon works, and less well than it could",
    "note": "nothing to do",
}
NOTE = "note"
# Codes that mean the same to a person.
ALIKE = {
    "index_version": "index_unusable",
    "index_busy": "index_unusable",
    "gateway_away": "gateway_unreachable",
    "model_busy": "model_failed",
    "model_broken": "model_failed",
    "model_timeout": "model_failed",
    "model_answer_unusable": "model_failed",
}


class Remedy(NamedTuple):
    """One row. `rank`: a name in RANKS.

    `patience`: how often in a row it is seen before a person is needed; what passes by itself has more than one.
    `command` may hold `{path}`, which becomes the path that the error names.
    """

    code: str
    rank: str
    patience: int
    symptom: str
    cause: str
    command: str


@functools.cache
def table() -> dict[str, Remedy]:
    """Every row by its code, what hurts most first."""
    rows = json.loads(Path(__file__).with_suffix(".json").read_bytes())
    return {row["code"]: Remedy(**row) for row in rows}


def is_known(code: str) -> bool:
    """Has this code a row that says more than `failed` does?"""
    return code != "failed" and ALIKE.get(code, code) in table()


def remedy_of(code: str) -> Remedy:
    """The row for an error's code; `failed` for one that has none."""
    return table().get(ALIKE.get(code, code)) or table()["failed"]


def hint_for(code: str, path: str = "") -> str:
    """What to do about it, with the path in its place."""
    import shlex

    return remedy_of(code).command.replace("{path}", shlex.quote(path) if path else "MOON_HOME")


def severity(code: str) -> int:
    """How much it hurts: 0 is worst."""
    return list(RANKS).index(remedy_of(code).rank)
