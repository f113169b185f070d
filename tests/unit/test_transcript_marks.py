"""What the idle tick knows of each transcript: cheap to read, and gone when the archive is another than it tells of."""

from __future__ import annotations

import pytest
from tests.support import events
from tests.support.archiving import Archiver
from tests.support.moon import files_below
from tests.support.stores import BUILDERS

from moon.openclaw.transcript_store import Transcript
from moon.vault.catalog import discard, open_catalog
from moon.vault.transcript_marks import identity, known, known_marks


@pytest.fixture(params=list(BUILDERS))
def archiver(request, tmp_path):
    """Two archived transcripts."""
    made = Archiver(tmp_path)
    store = BUILDERS[request.param](made.state_dir)
    for session_id in ("s1", "s2"):
        store.put(f"agent:main:{session_id}", session_id, events.conversation(session_id, 2))
        made.archive(session_id, f"agent:main:{session_id}")
    return made


def held(archiver: Archiver) -> dict[tuple[str, str, str], str]:
    return {identity(each.transcript): each.mark for _, each in archiver.stores().holdings()}


def test_the_marks_are_those_that_the_store_gives(archiver):
    assert known_marks(archiver.home) == held(archiver) and len(held(archiver)) == 2


def test_reading_them_leaves_nothing_behind(archiver):
    before = files_below(archiver.home.root)
    known_marks(archiver.home)
    assert files_below(archiver.home.root) == before


def test_an_older_ledger_is_told_by_no_mark(archiver):
    """Archives that were brought back from a backup, beside an index that was not."""
    first, _, _ = archiver.home.ledger.read_bytes().partition(b"\n")
    archiver.home.ledger.write_bytes(first + b"\n")
    assert known_marks(archiver.home) == {}
    with open_catalog(archiver.home) as catalog:
        assert not any(known(catalog, Transcript("main", "", session_id)).mark for session_id in ("s1", "s2"))
    assert archiver.archive("s2").archives, "and so it is compared, and archived anew"


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 999])
def test_without_a_sound_catalog_nothing_is_known(archiver, content):
    discard(archiver.home)
    if content is not None:
        archiver.home.catalog.write_bytes(content)
    assert known_marks(archiver.home) == {}
    assert archiver.archive("s1").archives == []
    assert identity(Transcript("main", "", "s1")) in known_marks(archiver.home)


def test_a_transcript_is_marked_only_when_it_is_archived_to_its_end(archiver, monkeypatch):
    store = archiver.stores().stores[0]
    lines = [*events.conversation("s1", 3), events.message("new", "more")]
    BUILDERS[store.generation](archiver.state_dir).write("s1", lines)
    monkeypatch.setattr("moon.archive.transcript_archiver.enter_segment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        archiver.archive("s1")
    monkeypatch.undo()
    assert known_marks(archiver.home) != held(archiver)
    archiver.archive("s1")
    assert known_marks(archiver.home) == held(archiver)
