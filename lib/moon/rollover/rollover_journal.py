"""state/rollovers/: the intent of each rollover that is under way, on the disk before anything is asked of OpenClaw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from moon import schema
from moon.clock import format_ms, now_ms, parse_ms
from moon.errors import DocumentInvalid
from moon.paths import Home
from moon.rollover.continuity_map import child_key
from moon.rollover.cut_messages import CutMessage

REQUESTED, OPENED = "requested", "opened"


@dataclass(frozen=True)
class Journal:
    """How far a rollover has come.

    `requested`: from `requested_at` (milliseconds) on a window may have been asked for, and only the store knows
    whether it was opened. `opened`: it was, and `cut` is to be answered in it.
    """

    rollover_id: str
    agent: str
    session_key: str
    from_session_id: str
    boundary_event_id: str
    mode: str
    step: str = REQUESTED
    requested_at: int = 0
    cut: tuple[CutMessage, ...] = ()

    @property
    def target_key(self) -> str:
        """The key of the session whose window opens with the map."""
        return self.session_key if self.mode == "reset" else child_key(self.agent, self.rollover_id)


def read_journal(home: Home, agent: str, session_key: str) -> Journal | None:
    """The rollover under way in this session; one that cannot be read is set aside."""
    path = home.rollover_journal(agent, session_key)
    try:
        document = schema.read("rollover", path)
    except FileNotFoundError:
        return None
    except DocumentInvalid:
        path.replace(path.with_suffix(".json.invalid"))
        return None
    if document["step"] == "prepared":
        # Written by a Moon that did not note its request: one may have been sent since.
        document.update(step=REQUESTED, requested_at=format_ms(int(path.stat().st_mtime * 1000)))
    return _from_document(document)


def _from_document(document: dict[str, Any]) -> Journal:
    fields = {name: document[name] for name in Journal.__dataclass_fields__ if name in document}
    fields["requested_at"] = parse_ms(document.get("requested_at")) or 0
    fields["cut"] = tuple(CutMessage(**each) for each in document.get("cut", []))
    return Journal(**fields)


def write_journal(home: Home, journal: Journal) -> None:
    """Note the step reached, durably."""
    path = home.rollover_journal(journal.agent, journal.session_key)
    document = {
        "schema": "moon.rollover/1",
        **asdict(journal),
        "requested_at": format_ms(journal.requested_at) if journal.requested_at else None,
        "cut": [each._asdict() for each in journal.cut],
    }
    schema.write("rollover", document, path)


def remove_journal(home: Home, journal: Journal) -> None:
    """The rollover is complete, or nothing of it was begun."""
    home.rollover_journal(journal.agent, journal.session_key).unlink(missing_ok=True)


def may_be_underway(journal: Journal, seconds: float) -> bool:
    """Was the request sent so lately that the gateway may be at it still? However the clock was set since."""
    return abs(now_ms() - journal.requested_at) < seconds * 1000
