"""OpenClaw moves from JSONL files into SQLite (`openclaw doctor --fix`) under an archive that was begun before."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.e2e.harness import OpenClaw
from tests.e2e.install import NEWEST, install
from tests.e2e.loopback_model import Answer, LoopbackModel
from tests.e2e.moon_home import Moon
from tests.e2e.talk import BUDGET, EARLIER_BUDGET, Talk

OLD = "2026.6.9"
FACT = "The spare key of hut 7 hangs behind the blue water barrel."
LATER = "The ferry to the north pier leaves at 06:40."
BEFORE_THE_RESET = "The winter tyres of the service van are 205/65 R16."


def kept(moon: Moon) -> Counter[tuple[str, bytes]]:
    """How often each event of each session stands in the archives."""
    found: Counter[tuple[str, bytes]] = Counter()
    for line in moon.ledger("archive"):
        data = (moon.home / line["archive_path"]).read_bytes()
        found.update((line["session_id"], event) for event in data.splitlines())
    return found


def test_a_session_archived_before_the_move_into_sqlite_is_continued_after_it(
    model: LoopbackModel, tmp_path: Path
) -> None:
    home = tmp_path / "openclaw"
    home.mkdir()
    openclaw = OpenClaw(home, install(OLD), model.url)
    moon = Moon(tmp_path / "moon", openclaw, {"MOON_QMD__ENABLED": "false"})
    main = Talk(openclaw, model, "agent:main:main", EARLIER_BUDGET, natural=0.3)
    reset = Talk(openclaw, model, "agent:main:reset", EARLIER_BUDGET)
    with openclaw:
        main.say(FACT)
        main.fill_to(0.81)
        reset.say(BEFORE_THE_RESET)
        assert moon.tick().code == 0
        assert moon.actions(main.key) == ["archive", "index"]
        # What comes between the last tick and the upgrade: more of both, and a reset that leaves a file aside.
        main.say(LATER)
        openclaw.call("sessions.reset", {"key": reset.key, "reason": "new"})
        reset.say("What was before that?")
        first_id = main.session_id
    before = {main.key: main.lines(), reset.key: reset.lines()}
    ledger = (moon.home / "archives" / "ledger.jsonl").read_bytes()

    openclaw.bin_dir = install(NEWEST)
    done = openclaw.run("doctor", "--fix", "--non-interactive", "--yes")
    assert done.code == 0, done.stdout[-2000:]
    assert openclaw.database().exists()
    main.budget = BUDGET
    assert main.session_id == first_id
    assert (main.lines(), reset.lines()) == (before[main.key], before[reset.key]), "the same bytes, in another place"

    with openclaw:
        # All that is new is archived; what was archived before is not archived again.
        assert moon.run("moon-archive", "--all").code == 0
        assert moon.run("moon-index", "--all").code == 0
        assert (moon.home / "archives" / "ledger.jsonl").read_bytes().startswith(ledger)
        held = kept(moon)
        twice = [event for event, count in held.items() if count > 1]
        assert not twice, twice
        missing = (main.seen | reset.seen) - {event for _, event in held}
        assert not missing, missing
        restored = moon.run("moon-archive", "--restore", main.key, "--to", str(tmp_path / "restored.jsonl"))
        assert restored.code == 0, restored.stderr
        assert (tmp_path / "restored.jsonl").read_bytes().splitlines() == main.lines()
        ledger = (moon.home / "archives" / "ledger.jsonl").read_bytes()
        assert moon.run("moon-archive", "--all").code == 0
        assert (moon.home / "archives" / "ledger.jsonl").read_bytes() == ledger, "a second look adds nothing"

        # The session goes on, is rolled over, and all of it is found.
        main.say("That was all.", Answer(text="Thank you.", prompt_tokens=round(0.92 * BUDGET)))
        main.rest()
        done = moon.tick()
        assert done.code == 0, done.stderr
        assert moon.actions(main.key)[-4:] == ["archive", "index", "distill", "rollover"]
        [link] = moon.ledger("link")
        asked = len(model.requests())
        main.say("What now?")
        assert link["rollover_id"] in str(main.requests_since(asked)[0]["messages"])
        for question, answer in (
            ("Where is the spare key of hut 7?", FACT),
            ("When does the ferry to the north pier leave?", LATER),
            ("Which winter tyres has the service van?", BEFORE_THE_RESET),
        ):
            found = moon.run("moon-recall", question).json()["results"]
            assert answer in found[0]["snippet"].replace("**", ""), question
    assert moon.run("moon-archive", "--verify").code == 0
