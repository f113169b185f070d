"""What happens in the middle: messages that arrive, runs that are active, a power cut."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.loopback_model import Answer
from tests.e2e.moon_home import Moon
from tests.e2e.talk import Talk

BUDGET_USED = 41_500  # 86 % of the prompt budget


def test_a_message_between_archive_and_prune_survives(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.86)
    usage = moon.run("moon-sample", "--no-exec", "--json").stdout
    archived = moon.run("moon-archive", "--json", stdin=usage)
    indexed = moon.run("moon-index", "--json", stdin=archived.stdout)
    assert indexed.code == 0, indexed.stderr
    talk.say("Wait: the anchor bolt of mast 4 is loose.", Answer(text="Noted.", prompt_tokens=BUDGET_USED))
    before = talk.lines()
    moon.run("moon-prune", "--json", stdin=indexed.stdout)
    assert talk.lines() == before, "an event that is not archived forbids pruning"
    assert "prune" in moon.actions(talk.key, "refused")

    assert moon.tick().code == 0
    assert "prune" in moon.actions(talk.key)
    talk.lines()
    assert talk.seen - set(talk.lines()[-1:]) <= moon.archived()


def test_talking_all_through_a_cycle_loses_nothing(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.86)
    words = [f"While you work, note bolt {number} of mast 9." for number in range(3)]
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(lambda: [talk.say(each) for each in words])
        while not said.done():
            moon.tick()
        said.result()
    moon.tick()
    assert all(any(each.encode() in line for line in talk.lines()) for each in words)
    assert moon.run("moon-archive", "--session", talk.key).code == 0
    assert talk.seen <= moon.archived()
    assert moon.run("moon-archive", "--verify").code == 0


def test_an_active_run_is_never_interrupted(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.86)
    gate = threading.Event()
    talk.model.script(Answer(text="Done at last.", gate=gate, prompt_tokens=BUDGET_USED))
    running = talk.openclaw.start_turn("Take your time.", talk.key)
    try:
        wait_until_running(talk)
        before = talk.lines()
        for station in ("moon-archive", "moon-index", "moon-prune", "moon-rollover"):
            moon.run(station, "--session", talk.key)
        moon.tick()
        assert talk.lines() == before
        assert {"prune", "rollover"} <= set(moon.actions(talk.key, "deferred"))
    finally:
        gate.set()
    assert running.wait(timeout=60) == 0, "the run must end as if nobody had asked for anything"
    assert "Done at last." in str(talk.lines()[-1])

    assert moon.tick().code == 0
    assert moon.actions(talk.key)[-1] == "prune"


def wait_until_running(talk: Talk) -> None:
    """Wait until the store shows the run."""
    for _ in range(240):
        if talk.openclaw.entry(talk.key).get("status") == "running" and b"Take your time." in talk.lines()[-1]:
            return
        time.sleep(0.25)
    raise AssertionError("the run did not start")


def test_a_rollover_cut_short_finishes_once(talk: Talk, moon: Moon, tmp_path: Path) -> None:
    talk.fill_to(0.92)
    asked = len(talk.model.requests())
    cut = moon.stopped_before(tmp_path, "gateway call agent")
    assert moon.tick(MOON_OPENCLAW__BIN=str(cut), **moon.through_the_command()).code != 0
    assert talk.types().count("reset") == 1
    assert moon.ledger("link") == []
    assert talk.requests_since(asked) == []

    done = moon.tick()
    assert done.code == 0, done.stderr
    [link] = moon.ledger("link")
    assert talk.types().count("reset") == 1
    maps = [line for line in talk.lines() if link["rollover_id"].encode() in line and b'"role":"user"' in line]
    assert len(maps) == 1
    assert len(talk.requests_since(asked)) == 1

    lines = talk.lines()
    assert moon.tick().code == 0
    assert talk.lines() == lines
    assert talk.seen <= set(lines) | moon.archived()
    assert len(moon.ledger("link")) == 1


def test_a_dead_gateway_costs_only_what_needs_it(talk: Talk, moon: Moon) -> None:
    talk.fill_to(0.92)
    talk.openclaw.stop_gateway()
    try:
        moon.tick()
        assert moon.actions(talk.key) == ["archive", "index", "distill"]
        assert moon.actions(talk.key, "deferred") == ["rollover"]
        assert set(talk.lines()) <= moon.archived()
    finally:
        talk.openclaw.start_gateway()
