"""The CommandReport: what an executable that prints no other document says with `--json`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moon import schema
from moon.clock import now_text
from moon.errors import DONE, FAILED, PARTIAL, MoonError

if TYPE_CHECKING:
    from moon.documents import Problem


@dataclass
class Report:
    """Collects what a command did; `exit_code` follows from it unless an error says otherwise."""

    command: str
    outcome: str = "nothing to do"
    changed: bool = False
    details: list[Any] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    started_at: str = field(default_factory=now_text)
    started: float = field(default_factory=time.monotonic)

    def fail(self, error: MoonError) -> None:
        """Remember an error and go on."""
        self.errors.append(error.as_dict())

    @property
    def exit_code(self) -> int:
        """0 without errors; 3 when something was done all the same; else 1."""
        if not self.errors:
            return DONE
        return PARTIAL if self.changed or self.details else FAILED

    def as_document(self) -> dict[str, Any]:
        """The `moon.report/1` document."""
        return {
            "schema": "moon.report/1",
            "command": self.command,
            "ok": not self.errors,
            "outcome": self.outcome,
            "changed": self.changed,
            "details": self.details,
            "errors": self.errors,
            "started_at": self.started_at,
            "duration_ms": int((time.monotonic() - self.started) * 1000),
        }

    def as_json(self) -> str:
        """The document, checked, as JSON text."""
        return schema.dump("report", self.as_document())
