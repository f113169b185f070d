"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from moon.errors import MoonError
from moon.remedies import hint_for

OK = "ok"
WARN = "warn"
FAIL = "fail"
SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """`level`: ok; warn for what Moon works without; fail for what keeps it from its job.

    `code` names the cause in the table of remedies.
    """

    check: str
    level: str
    message: str
    hint: str = ""
    path: str = ""
    code: str = ""

    def as_detail(self) -> dict[str, str]:
        """The entry of `details` in the report."""
        return asdict(self)


Findings = Iterator[Finding]


def names_of(paths: Iterable[Path]) -> str:
    """The first few paths, and how many more there are."""
    names = [str(path) for path in paths]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def trouble(check: str, level: str, code: str, message: str, path: str = "") -> Finding:
    """A finding whose remedy is the one of the table."""
    return Finding(check, level, message, hint_for(code, path), path, code)


def of_error(check: str, level: str, error: MoonError, before: str = "") -> Finding:
    """A finding that an error tells, with its own hint or the one of the table."""
    hint = error.hint or hint_for(error.code, error.path)
    return Finding(check, level, before + error.message, hint, error.path, error.code)
