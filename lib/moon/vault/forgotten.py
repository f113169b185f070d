"""What was forgotten of a session on purpose: such events count as dealt with, and are archived no more. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from moon.openclaw.events import event_stamp
from moon.openclaw.transcript_store import StoredEvent

# Before the hash of an event that has no id.
NAMELESS = "#"


class Forgotten(NamedTuple):
    """All up to a time (milliseconds; 0 for none), and the events of these names, whatever their time."""

    until: int = 0
    names: frozenset[str] = frozenset()

    def covers(self, data: bytes) -> bool:
        """Is this event, by its bytes, one of them?"""
        name, at = name_and_time(data)
        return name in self.names or (at is not None and at <= self.until)

    def without(self, events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
        """The events that are none of them."""
        if not self.until and not self.names:
            return iter(events)
        return (event for event in events if not self.covers(event.data))


def name_and_time(data: bytes) -> tuple[str, int | None]:
    """By what an event is known here, and when it happened (milliseconds), where it says so."""
    name, at = event_stamp(data)
    return name or NAMELESS + hashlib.sha256(data).hexdigest(), at
