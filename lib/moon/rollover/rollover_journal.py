"""state/rollovers/: one small document for each rollover that is under way, so that a crash loses none."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from moon import schema
from moon.errors import DocumentInvalid
from moon.paths import Home
from moon.rollover.continuity_map import child_key


@dataclass(frozen=True)
class Journal:
    """How far a rollover has come. `step`: `prepared` before the new window is there, `opened` after."""

    rollover_id: str
    agent: str
    session_key: str
    from_session_id: str
    boundary_event_id: str
    mode: str
    step: str = "prepared"

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
    return Journal(**{name: document[name] for name in Journal.__dataclass_fields__})


def write_journal(home: Home, journal: Journal) -> None:
    """Note the step reached, durably."""
    path = home.rollover_journal(journal.agent, journal.session_key)
    schema.write("rollover", {"schema": "moon.rollover/1", **asdict(journal)}, path)


def remove_journal(home: Home, journal: Journal) -> None:
    """The rollover is complete, or was never begun."""
    home.rollover_journal(journal.agent, journal.session_key).unlink(missing_ok=True)
