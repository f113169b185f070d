"""What a check found, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`level`: ok; warn for what Moon works without; fail for what keeps it from its job."""

    check: str
    level: str
    message: str
    hint: str = ""
    path: str = ""

    def as_detail(self) -> dict[str, str]:
        """The entry of `details` in the report."""
        return asdict(self)


Findings = Iterator[Finding]
