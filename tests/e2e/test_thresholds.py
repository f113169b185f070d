"""Each threshold in turn, with the real programs: what happens at it, and that nothing happens before it."""

from __future__ import annotations

from tests.e2e.moon_home import Moon, qmd_search
from tests.e2e.talk import Talk

FACT = "The spare key of hut 7 hangs behind the blue water barrel."


def test_a_filling_session_is_archived_then_pruned_then_rolled_over(talk: Talk, moon: Moon) -> None:
    talk.say(FACT)
    talk.fill_to(0.5)
    before = talk.lines()
    assert moon.tick().code == 0
    assert moon.actions(talk.key) == []
    assert talk.lines() == before

    talk.fill_to(0.81)
    before = talk.lines()
    assert moon.tick().code == 0
    assert moon.actions(talk.key) == ["archive", "index"]
    assert set(before) <= moon.archived()
    assert talk.lines() == before, "80 % must change nothing in the store"
    assert qmd_search(moon, "blue water barrel")

    talk.fill_to(0.86)
    assert moon.tick().code == 0
    assert moon.actions(talk.key)[2:] == ["archive", "index", "prune"]
    assert talk.types()[-1] == "compaction"
    assert talk.ratio < 0.8
    assert moon.usage(talk.key)["state"] != "DistillTriggered"

    talk.fill_to(0.91)
    asked = len(talk.model.requests())
    done = moon.tick()
    assert done.code == 0, done.stderr
    assert moon.actions(talk.key)[5:] == ["archive", "index", "distill", "rollover"]
    assert talk.types().count("reset") == 1
    assert talk.seen <= set(talk.lines()) | moon.archived()

    [link] = moon.ledger("link")
    talk.say("What now?")
    first, second = talk.requests_since(asked)
    assert link["rollover_id"] in str(first["messages"])
    assert link["rollover_id"] in str(second["messages"])
    assert "Note 3" not in str(first["messages"]), "the new window is fresh"


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
