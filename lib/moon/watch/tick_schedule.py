"""When the next tick is due. Pure: times are seconds of a monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from moon.errors import DONE, LOCKED, PARTIAL

LONGEST_PAUSE = 900.0


def is_failure(code: int) -> bool:
    """Did a tick fail? One that found the lock held did not, nor one that did a part of its work."""
    return code not in (DONE, PARTIAL, LOCKED)


@dataclass(frozen=True)
class Pace:
    """How often to look, and how many ticks in a row have failed."""

    interval: float
    failures: int = 0

    def after(self, code: int) -> Pace:
        """The pace after a tick that ended with this exit code."""
        return replace(self, failures=self.failures + 1 if is_failure(code) else 0)

    def next_start(self, began: float, now: float) -> float:
        """The start of the next tick, on the grid that began with the first.

        Ticks that a long one ran over are left out, not made up for. Each further failure doubles the pause.
        """
        pause = min(self.interval * 2 ** min(self.failures, 20), max(self.interval, LONGEST_PAUSE))
        earliest = now + (pause - self.interval if self.failures else 0.0)
        slots = math.floor((earliest - began) / self.interval) + 1
        return began + slots * self.interval
