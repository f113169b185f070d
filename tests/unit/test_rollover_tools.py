"""How a rollover looks into the store."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.support import events
from tests.support.settings import settings
from tests.support.stores import SqliteStoreBuilder

from moon.errors import MoonError
from moon.rollover.rollover_journal import Journal
from moon.rollover.rollover_tools import find, look

KEY = "agent:main:main"


@pytest.fixture
def tools(tmp_path):
    config = settings(openclaw={"state_dir": str(tmp_path)})
    SqliteStoreBuilder(tmp_path).put(KEY, "s1", events.conversation("s1", 1))
    return SimpleNamespace(context=SimpleNamespace(config=config))


def test_a_session_is_found_under_its_agent_and_key(tools):
    store, entry = find(tools, "main", KEY)
    assert (store.generation, entry.session_id) == ("sqlite", "s1")
    assert find(tools, "main", "agent:main:other") is None and find(tools, "ops", KEY) is None


def test_nothing_follows_from_the_absence_of_a_session_while_a_store_cannot_be_read(tools, tmp_path):
    """It may be the one whose window was opened; a rollover that took it for gone would begin anew."""
    broken = SqliteStoreBuilder(tmp_path, "ops").main_file
    broken.write_bytes(b"no database" * 500)
    for path in broken.parent.glob("*.sqlite-*"):
        path.unlink()
    with pytest.raises(MoonError):
        find(tools, "ops", "agent:ops:main")
    assert find(tools, "main", KEY) is not None, "what is there is there"


def test_a_look_at_a_session_that_is_not_there_shows_nothing(tools):
    """In mode `create` the child is not there until it was made."""
    journal = Journal("r1", "main", KEY, "s1", "s1-a0", "reset")
    window = look(tools, journal)
    assert window is not None and not window.is_new
    assert look(tools, replace(journal, mode="create")) is None
