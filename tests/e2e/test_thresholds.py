"""Thresholds with the real programs: all of them passed at once, and what a user deletes after the first."""

from __future__ import annotations

from tests.e2e.moon_home import Moon
from tests.e2e.talk import Talk

FACT = "The spare key of hut 7 hangs behind the blue water barrel."


def test_a_jump_over_all_thresholds_keeps_the_order(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.93)
    everything = set(talk.lines())
    assert moon.tick().code == 0
    assert moon.actions(talk.key) == ["archive", "index", "distill", "rollover"]
    assert everything <= moon.archived()

    # The map has arrived; what the model says to it may still be on its way.
    talk.rest()
    picture, lines = moon.picture(), talk.lines()
    assert moon.tick().code == 0
    assert moon.picture() == picture
    assert talk.lines() == lines


def test_recall_finds_what_was_deleted_by_hand(talk: Talk, moon: Moon) -> None:
    talk.say(FACT)
    talk.fill_to(0.81)
    assert moon.tick().code == 0
    by_hand = ("sessions", "compact", talk.key, "--agent", talk.agent, "--max-lines", "4", "--json")
    assert talk.openclaw.run(*by_hand).code == 0
    assert FACT not in str(talk.lines())
    answer = moon.run("moon-recall", "Where is the spare key of hut 7?").json()
    assert FACT in answer["results"][0]["snippet"].replace("**", "")

    # The events that truncation rewrote are kept as revisions, beside what they were before.
    assert moon.run("moon-archive", "--session", talk.key).code == 0
    talk.lines()
    assert talk.seen <= moon.archived()
    assert moon.run("moon-archive", "--verify").code == 0
