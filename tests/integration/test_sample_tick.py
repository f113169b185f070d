"""The tick: measure, decide, start; take up what was cut short; and settle what a cycle did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from tests.support import events
from tests.support.moon import ROOT, Moon, archived_events, files_below
from tests.support.stores import BUILDERS, NOW_MS, JsonlStoreBuilder, SqliteStoreBuilder, usage_entry

from moon.clock import format_ms
from moon.cycle import session_states as states
from moon.files import Lock
from moon.health import health_file

KEY = "agent:main:main"


@pytest.fixture(params=list(BUILDERS))
def generation(request):
    return request.param


@pytest.fixture
def moon(tmp_path):
    return Moon(tmp_path)


def at(seconds: int, **more: str) -> dict[str, str]:
    """Environment for a tick so many seconds after the usual now."""
    return {"MOON_NOW": format_ms(NOW_MS + seconds * 1000), "MOON_DISTILL__PROVIDERS": "local", **more}


def sessions(moon: Moon, *arguments: str, **environment: str) -> list[dict[str, object]]:
    """The rows of a usage document."""
    done = moon.run("sample", "--no-exec", *arguments, env=environment)
    found: list[dict[str, object]] = done.json()["sessions"]
    return found


# Measuring.


def test_the_usage_document_of_either_store(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 2), used=43_200)
    store.put("agent:main:second", "s2", events.conversation("s2", 2), used=12_000, budget=None)
    first, second = sorted(sessions(moon), key=lambda each: str(each["session_id"]))
    assert (first["used_tokens"], first["budget_tokens"], first["ratio"]) == (43_200, 48_000, 0.9)
    assert first["due"] == ["archive", "index", "distill", "rollover"] and first["state"] == "DistillTriggered"
    assert (second["budget_tokens"], second["ratio"], second["due"]) == (48_000, 0.25, [])
    assert {each["provider"] for each in (first, second)} == {"store"}


def test_without_exec_nothing_is_changed(moon, generation):
    BUILDERS[generation](moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=47_000)
    sessions(moon)
    assert not moon.home.root.exists(), "not even MOON_HOME is made"
    moon.home.root.mkdir()
    sessions(moon)
    left = set(files_below(moon.home.root)) - {"state/cache/config.json"}
    assert left == set()


@pytest.mark.parametrize(
    "usage",
    [
        {"used": 611_200},
        {"used": 0, "fresh": False},
        {"used": None},
        {"used": 47_000, "fresh": False},
        {"used": 47_000, "updated_at": NOW_MS - 21_601_000},
        {"used": 47_000, "updated_at": None, "interacted_at": NOW_MS - 600_000},
    ],
)
def test_numbers_in_doubt_start_nothing_destructive(moon, generation, usage):
    BUILDERS[generation](moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), **usage)
    (row,) = sessions(moon)
    executed = set(row["due"]) - set(row["deferred"])
    assert not executed & {"prune", "rollover"}


def test_a_tick_with_nothing_to_do(moon, generation):
    BUILDERS[generation](moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=1_000)
    moon.ok("sample")
    assert moon.cycles() == [] and moon.audit() == []
    assert states.peek(moon.home).heartbeat == NOW_MS


# The whole chain.


def test_a_tick_at_82_percent_archives_and_indexes(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    lines = events.conversation("s1", 3)
    store.put(KEY, "s1", lines, used=39_400)
    moon.ok("sample")
    (document,) = moon.cycles()
    assert [each["station"] for each in document["stations"]] == ["archive", "index"] and document["finished_at"]
    assert list(archived_events(moon.home)) == lines
    assert [(each["action"], each["outcome"]) for each in moon.audit()] == [("archive", "done"), ("index", "done")]
    for tick in (30, 60, 90):
        moon.ok("sample", env=at(tick))
    assert len(moon.cycles()) == 1, "usage that stays where it is triggers once"


def test_the_first_tick_archives_every_idle_session(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    for number in range(3):
        store.put(f"agent:main:k{number}", f"s{number}", events.conversation(f"s{number}", 1), at=NOW_MS - 901_000)
    moon.ok("sample")
    assert len(list(archived_events(moon.home))) == 9
    moon.ok("sample", env=at(30))
    moon.ok("sample", env=at(60))
    assert len(moon.cycles()) == 1


def test_a_replaced_session_id_is_archived_once(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 2), used=1_000)
    moon.ok("sample")
    store.put(KEY, "s2", [events.header("s2")], used=10)
    moon.ok("sample", env=at(30))
    assert list(archived_events(moon.home, "s1")) == events.conversation("s1", 2)
    for tick in (60, 90):
        moon.ok("sample", env=at(tick))
    assert len(moon.cycles()) == 1


def test_a_session_reset_by_hand_that_renames_its_transcript_is_archived(moon):
    store = JsonlStoreBuilder(moon.state_dir)
    store.put(KEY, "s1", events.conversation("s1", 2), used=1_000)
    moon.ok("sample")
    (store.folder / "s1.jsonl").rename(store.folder / "s1.jsonl.reset.2026-11-22T06-40-00.000Z")
    store.put(KEY, "s2", [events.header("s2")], used=10)
    moon.ok("sample", env=at(30))
    assert list(archived_events(moon.home, "s1")) == events.conversation("s1", 2)
    assert {line["session_key"] for line in moon.ledger()} == {KEY}


# Cut short.


def kill_at(moon: Moon, station: str, moment: str, **environment: str) -> None:
    """A tick whose station dies, as by kill -9, before its work, behind it, or behind the writing of its document."""
    program = (
        "import os, sys\n"
        f"sys.path[:0] = [{str(ROOT / 'lib')!r}]\n"
        "from moon.cycle import cycle_document, station_runner as runner\n"
        "def dies(function, before):\n"
        "    def dying(*arguments, **options):\n"
        "        if before: os._exit(9)\n"
        "        function(*arguments, **options)\n"
        "        os._exit(9)\n"
        "    return dying\n"
        f"moment = {moment!r}\n"
        "if moment != 'behind the document': runner.do_work = dies(runner.do_work, moment == 'before')\n"
        "else: cycle_document.write = dies(cycle_document.write, False)\n"
        "from moon.cli.launch import main\n"
        "sys.exit(main())\n"
    )
    folder = moon.folder / "dying-bin"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(ROOT / "bin", folder, symlinks=True)
    (moon.folder / "dying.py").write_text(program)
    (folder / f"moon-{station}").unlink()
    (folder / f"moon-{station}").write_text(f'#!/bin/sh\nexec "$MOON_PYTHON" "{moon.folder}/dying.py" {station} "$@"\n')
    (folder / f"moon-{station}").chmod(0o700)
    start = (
        "import sys\n"
        f"sys.path[:0] = [{str(ROOT / 'lib')!r}]\n"
        "from pathlib import Path\n"
        "from moon import resources\n"
        f"resources.program = lambda tool: Path({str(folder)!r}, 'moon-' + tool)\n"
        "from moon.cli.launch import main\n"
        "sys.exit(main())\n"
    )
    (moon.folder / "starting.py").write_text(start)
    for name in ("archive", "index", "prune", "distill", "rollover"):
        if name != station:
            (folder / f"moon-{name}").unlink()
            (folder / f"moon-{name}").write_text(
                f'#!/bin/sh\nexec "$MOON_PYTHON" "{moon.folder}/starting.py" {name} "$@"\n'
            )
            (folder / f"moon-{name}").chmod(0o700)
    env = {**moon.env, **environment}
    done = subprocess.run(
        [env["MOON_PYTHON"], str(moon.folder / "starting.py"), "sample"], env=env, capture_output=True, check=False
    )
    assert done.returncode == 9, done.stderr.decode()


def essence(moon: Moon) -> dict[str, object]:
    """What a cycle left behind, without names and times."""
    memory = {path.name: path.read_text() for path in moon.home.memory.glob("*.md")}
    document = moon.cycles()[0]
    return {
        "events": list(archived_events(moon.home)),
        "ledger": [(line["kind"], line.get("events"), line.get("sha256")) for line in moon.ledger()],
        "memory": memory,
        "outcomes": [
            (record["station"], [entry["outcome"] for entry in record["sessions"]]) for record in document["stations"]
        ],
        "finished": bool(document["finished_at"]),
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """What the same cycle leaves when nothing interrupts it."""
    moon = filled(Moon(tmp_path_factory.mktemp("uninterrupted")))
    moon.run("sample", env=at(0))
    return essence(moon)


def filled(moon: Moon) -> Moon:
    """A session at 94 %, and a gateway that is down, so that the rollover is deferred."""
    store = SqliteStoreBuilder(moon.state_dir)
    decided = events.message(
        "d", "We decided to keep the lighthouse register in /srv/lighthouse/register.csv from now on."
    )
    store.put(KEY, "s1", [*events.conversation("s1", 3), decided], used=45_000)
    (moon.folder / "fake.json").write_text(json.dumps({"down": True}))
    moon.extra["FAKE_OPENCLAW"] = str(moon.folder / "fake.json")
    return moon


@pytest.mark.parametrize(
    ("station", "moment"),
    [
        *((station, "before") for station in ("archive", "index", "distill", "rollover")),
        *((station, "behind the work") for station in ("archive", "index", "distill", "rollover")),
        ("index", "behind the document"),
        ("rollover", "behind the document"),
    ],
)
def test_a_cycle_killed_at_any_station_is_taken_up_and_ends_the_same(moon, uninterrupted, station, moment):
    filled(moon)
    kill_at(moon, station, moment, **at(0))
    with_document_written = moment == "behind the document"
    (document,) = moon.cycles()
    done = [record["station"] for record in document["stations"] if record["finished_at"]]
    assert (station in done) == with_document_written
    moon.run("sample", env=at(30))
    ended, expected = essence(moon), dict(uninterrupted)
    if moment != "before" or with_document_written:
        # The work was done before the kill, so doing it again finds nothing left to do.
        ended_outcomes, expected_outcomes = dict(ended.pop("outcomes")), dict(expected.pop("outcomes"))
        assert list(ended_outcomes) == list(expected_outcomes)
        for name, outcomes in expected_outcomes.items():
            assert ended_outcomes[name] in (outcomes, ["nothing"]), name
    assert ended == expected
    if not (station == "rollover" and with_document_written):
        assert any(entry["outcome"] == "resumed" for entry in moon.audit("sample"))


def test_a_cycle_that_dies_every_time_is_given_up_and_counts_as_failed(moon):
    filled(moon)
    kill_at(moon, "archive", "before", **at(0))
    for tick in (30, 60, 90):
        kill_at(moon, "archive", "before", **at(tick))
    assert len(moon.cycles()) == 1
    kill_at(moon, "archive", "before", **at(120))
    assert len(moon.cycles()) == 2, "a new cycle, with what was left undone due again"
    assert states.peek(moon.home).counters["archive_failed"] == 1
    (problem,) = health_file.read(moon.home).problems
    assert (problem.station, problem.code) == ("archive", "cycle_given_up")
    assert [each.session_key for each in problem.subjects] == [KEY] and "journalctl" in problem.hint
    moon.run("sample", env=at(150))
    assert not any(each.code == "cycle_given_up" for each in health_file.read(moon.home).problems), (
        "over once it is done"
    )


def test_each_station_run_twice_on_the_same_document_changes_nothing(moon):
    filled(moon)
    moon.run("sample", env=at(0))
    (document,) = moon.cycles()
    path = moon.home.cycles / f"{document['cycle_id']}.json"
    before = {
        name: data for name, data in files_below(moon.home.root).items() if name.startswith(("archives", "memory"))
    }
    for station in ("archive", "index", "distill", "rollover"):
        moon.run(station, "--cycle", str(path), env=at(0))
        now = {
            name: data for name, data in files_below(moon.home.root).items() if name.startswith(("archives", "memory"))
        }
        assert now == before, station


def test_an_open_cycle_document_that_is_invalid_is_set_aside(moon):
    filled(moon)
    kill_at(moon, "index", "before", **at(0))
    (path,) = moon.home.cycles.glob("*.json")
    path.write_text("{}")
    done = moon.run("sample", env=at(30))
    assert done.code in (0, 3)
    assert path.with_suffix(".json.invalid").exists()
    assert any(entry["outcome"] == "failed" for entry in moon.audit("sample"))


def test_an_open_cycle_document_that_is_gone_is_forgotten(moon):
    filled(moon)
    kill_at(moon, "archive", "before", **at(0))
    for path in moon.home.cycles.glob("*.json"):
        path.unlink()
    assert moon.run("sample", env=at(30)).code == 0
    assert list(archived_events(moon.home))


# The lock.


@pytest.mark.parametrize("tool", ["sample", "archive", "index", "prune", "distill", "rollover"])
def test_a_second_one_leaves_at_once_with_75_and_says_so(moon, tool):
    BUILDERS["jsonl"](moon.state_dir).put(KEY, "s1", events.conversation("s1", 1), used=47_000)
    arguments = [] if tool == "sample" else ["--all"]
    lock = Lock.take(moon.home.lock_file)
    done = moon.run(tool, *arguments)
    assert done.code == 75
    assert "at work" in done.stderr and "hint:" in done.stderr
    assert not moon.home.state_file.exists() and not moon.home.ledger.exists()
    lock.release()
    if tool == "sample":
        assert moon.run(tool).code == 0


def test_a_held_lock_as_json(moon):
    lock = Lock.take(moon.home.lock_file)
    done = moon.run("archive", "--all", "--json")
    assert done.code == 75 and done.json()["errors"][0]["code"] == "locked"
    lock.release()


def test_no_exec_needs_no_lock(moon):
    BUILDERS["jsonl"](moon.state_dir).put(KEY, "s1", events.conversation("s1", 1))
    lock = Lock.take(moon.home.lock_file)
    assert moon.run("sample", "--no-exec").code == 0
    lock.release()


def test_a_station_can_be_told_to_wait_for_the_lock(moon):
    BUILDERS["jsonl"](moon.state_dir).put(KEY, "s1", events.conversation("s1", 1))
    lock = Lock.take(moon.home.lock_file)
    waiting = subprocess.Popen(
        [str(ROOT / "bin/moon-archive"), "--all", "--wait", "60"],
        env=moon.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock.release()
    assert waiting.wait() == 0
    assert list(archived_events(moon.home))


# As a filter for people.


def test_the_pipe_of_filters_on_a_store_never_seen(moon, generation):
    BUILDERS[generation](moon.state_dir).put(KEY, "s1", events.conversation("s1", 2), used=47_000)
    usage = moon.ok("sample", "--json", "--no-exec").stdout
    archived = moon.ok("archive", stdin=usage).stdout
    indexed = moon.ok("index", stdin=archived).json()
    assert [each["station"] for each in indexed["stations"]] == ["archive", "index"]
    assert indexed["stations"][1]["sessions"][0]["outcome"] == "done"
    assert indexed["origin"] == "manual"


@pytest.mark.parametrize("stdin", [b"", b"  \n", b"hello", b"{}", b"[]", b'{"schema":"moon.usage/9"}', b"\x00\xff"])
@pytest.mark.parametrize("tool", ["archive", "prune"])
def test_a_document_that_is_none_is_refused_and_nothing_is_changed(moon, tool, stdin):
    done = moon.run(tool, "--json", stdin=stdin)
    assert done.code == 78
    assert done.json()["ok"] is False and done.json()["errors"][0]["hint"]
    left = set(files_below(moon.home.root)) if moon.home.root.exists() else set()
    assert left <= {"format.json", "state/cycle.lock", "state/cache/config.json"}


def test_a_missing_document_and_contradicting_options(moon):
    assert moon.run("archive", "--cycle", "/no/such/document.json").code == 2
    assert moon.run("archive", "--cycle", "x.json", "--all").code == 2
    assert moon.run("archive", "--nonsense").code == 2
    assert moon.run("archive", "--restore", "s1").code == 2


def test_an_unknown_session_is_told_the_nearest(moon):
    BUILDERS["jsonl"](moon.state_dir).put(KEY, "s1", events.conversation("s1", 1))
    done = moon.run("archive", "--session", "agent:main:mian")
    assert done.code == 1 and f"did you mean {KEY}" in done.stderr


def test_any_session_key_and_agent_name_through_all_stations(moon, generation):
    odd = "agent:ä b/..:line\nbreak 🌒 '\"$(touch pwned)`;\\"
    BUILDERS[generation](moon.state_dir, "ä b.c\n🌒").put(
        odd, "id with / and \n" if generation == "sqlite" else "id . x", events.conversation("s", 2), used=41_000
    )
    environment = at(0, MOON_OPENCLAW__BIN="no-such-openclaw")
    done = moon.run("sample", env=environment)
    assert "Traceback" not in done.stderr and "unexpected" not in done.stderr
    (document,) = moon.cycles()
    outcomes = {record["station"]: record["sessions"][0]["outcome"] for record in document["stations"]}
    assert outcomes == {"archive": "done", "index": "done", "prune": "deferred"}
    assert list(archived_events(moon.home)) == events.conversation("s", 2)
    inside = os.path.realpath(moon.home.root)
    assert all(os.path.realpath(path).startswith(inside) for path in moon.home.root.rglob("*"))
    target = moon.folder / "restored"
    moon.ok("archive", "--restore", odd, "--to", str(target))
    assert target.read_bytes() == b"".join(each + b"\n" for each in events.conversation("s", 2))


def test_usage_without_numbers_is_estimated(moon, generation):
    store = BUILDERS[generation](moon.state_dir)
    store.put_entry(KEY, usage_entry("s1", used=None))
    store.write("s1", [events.header("s1"), *(events.message(f"e{each}", "long " * 800) for each in range(60))])
    (row,) = sessions(moon)
    assert row["provider"] == "estimate" and row["due"] == ["archive", "index"]


def test_policy_gives_a_group_chat_other_thresholds_and_a_guard_of_its_own(moon, generation) -> None:
    store = BUILDERS[generation](moon.state_dir)
    policies = [
        {
            "match": {"session": "agent:*:group:*"},
            "thresholds": {"archive": 0.3, "prune": 0.4, "distill": 0.5},
            "guard": {"idle_seconds": 3600},
        }
    ]
    moon.home.root.mkdir(parents=True, exist_ok=True)
    moon.home.config_file.write_text(json.dumps({"policies": policies, "qmd": {"enabled": False}}))
    store.put("agent:main:telegram:group:1", "g", events.conversation("g", 3), used=17_000, budget=48_000)
    store.put("agent:main:main", "m", events.conversation("m", 3), used=17_000, budget=48_000)
    rows = {row["session_key"]: row for row in moon.ok("sample", "--no-exec", "--json").json()["sessions"]}
    assert rows["agent:main:telegram:group:1"]["due"] == ["archive", "index"]
    assert rows["agent:main:main"]["due"] == []
    assert rows["agent:main:telegram:group:1"]["active"], "ten minutes at rest are not an hour"
    assert not rows["agent:main:main"]["active"]
