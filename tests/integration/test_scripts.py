"""Every script is archived, indexed, findable and found by its own words; some go all the way to a rollover."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.attack.scripts import come_through
from tests.support.events import header, message
from tests.support.moon import Moon
from tests.support.script_texts import texts
from tests.support.stores import JsonlStoreBuilder

from moon.fulltext import MessageRow, SegmentSource, open_writer
from moon.fulltext.words import words

TEXTS = texts()


def test_an_archive_in_any_script_is_findable_and_can_be_forgotten(tmp_path: Path) -> None:
    assert len(TEXTS) > 100
    with open_writer(tmp_path / "recall.sqlite") as index:
        for name, text in TEXTS.items():
            index.add_segment(SegmentSource(name, "main", name, name, "a"), [MessageRow("e", 1, "user", text)])
        assert [name for name in TEXTS if not index.findable(name)] == []
        for name in TEXTS:
            index.forget_segment(name)
        assert index.connection.execute("SELECT count(*) FROM vocabulary").fetchone() == (0,)


def test_a_message_in_any_script_is_found_by_its_own_words(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    lines = [message(f"e{at}", text) for at, text in enumerate(TEXTS.values())]
    JsonlStoreBuilder(moon.state_dir).put("agent:main:main", "s1", [header("s1"), *lines])
    record = moon.ok("index", stdin=moon.ok("archive", "--all").stdout).json()["stations"][-1]
    assert [entry["outcome"] for entry in record["sessions"]] == ["done"]
    asked = [text for name, text in TEXTS.items() if name != "Emoji alone"]
    said = {f"e{at}": words(text) for at, text in enumerate(TEXTS.values())}
    given = "".join(f"{text}\n" for text in asked).encode()
    answers = [json.loads(line) for line in moon.ok("recall", "--queries", "-", stdin=given).stdout.splitlines()]
    first = [said[answer["results"][0]["event_id"]] for answer in answers]
    assert first == [words(text) for text in asked], "capitals and decomposed letters are the same words"
    assert all("**" in answer["results"][0]["snippet"] for answer in answers)


@pytest.mark.parametrize("name", ["Devanagari", "Arabic pointed", "Emoji alone"])
def test_a_conversation_goes_all_the_way(name: str, tmp_path: Path) -> None:
    assert set(come_through(tmp_path, TEXTS[name]).values()) == {True}
