"""Prune behind its promises: archived, read back, findable, nobody at work; done is what the store shows."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from tests.fakes.gateway_server import GatewayServer
from tests.support import events
from tests.support.gateway import DESTRUCTIVE, KEY, WAYS, Gateway
from tests.support.moon import archived_events
from tests.support.stores import NOW_MS

from moon.clock import format_ms
from moon.fulltext.index_seal import break_seal
from moon.prune.shrinkage import Extent, shrinkage


@pytest.fixture(params=WAYS)
def gateway(tmp_path, monkeypatch, request):
    """A session at 94 % that is archived and indexed, and a gateway that does as it is told, asked either way."""
    made = Gateway(tmp_path, monkeypatch)
    made.fill()
    made.archive_and_index()
    if request.param == "command":
        yield made
        return
    with GatewayServer() as server:
        made.listen(server.port)
        yield made


def test_a_covered_session_at_rest_is_compacted(gateway):
    before = gateway.transcript()
    assert gateway.run("prune", "--session", KEY) == 0
    entry = gateway.entry("prune")
    assert entry["outcome"] == "done" and entry["used_after"] < entry["used_before"]
    assert gateway.transcript()[:-1] == before
    assert entry["events_after"] == entry["events_before"] + 1, "the summary came, nothing went"
    (audit,) = gateway.moon.audit("prune")
    assert (audit["outcome"], audit["session_key"], audit["session_id"]) == ("done", KEY, "s1")
    assert "lighthouse" not in json.dumps(audit)


def test_off_does_nothing(gateway):
    gateway.set(MOON_PRUNE__MODE="off")
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.calls() == []


@pytest.mark.parametrize("station", ["prune", "rollover"])
def test_a_dry_run_says_what_the_real_run_would_and_changes_nothing(gateway, station, capsys):
    def rehearse():
        capsys.readouterr()
        code = gateway.run(station, "--session", KEY, "--dry-run")
        (entry,) = json.loads(capsys.readouterr().out)["stations"][0]["sessions"]
        return code, entry["outcome"], entry.get("words") or entry["reason"]

    cycles = len(gateway.moon.cycles())
    code, outcome, words = rehearse()
    assert (code, outcome) == (0, "nothing") and "would" in words
    gateway.behave(active=[KEY])
    assert rehearse() == (0, "deferred", "a run is active")
    gateway.behave(down=True)
    assert rehearse()[:2] == (0, "deferred")
    gateway.behave()
    event_is_missing(gateway)
    assert rehearse()[:2] == (1, "refused")
    assert gateway.calls(*DESTRUCTIVE) == [] and len(gateway.moon.cycles()) == cycles
    assert not gateway.moon.home.continuity.exists() and not gateway.moon.home.rollovers.exists()


# Promise 1: archive before anything destructive.


def event_is_missing(gateway):
    lines = [*events.conversation("s1", 8), events.message("new", "not archived yet")]
    gateway.store.write("s1", lines)


def bytes_changed(gateway):
    lines = events.conversation("s1", 8)
    lines[3] = lines[3].replace(b"question", b"other words")
    gateway.store.write("s1", lines)


def event_cannot_be_unpacked(gateway):
    connection = gateway.store.connect()
    with connection:
        connection.execute("UPDATE transcript_events SET event_zstd = x'0011' WHERE event_zstd IS NOT NULL")
    connection.close()


def archive_file(gateway):
    return gateway.moon.home.root / gateway.moon.ledger()[0]["archive_path"]


def archive_is_gone(gateway):
    archive_file(gateway).unlink()


def archive_is_cut(gateway):
    archive_file(gateway).write_bytes(archive_file(gateway).read_bytes()[:-20])


def one_bit_of_the_archive_flipped(gateway):
    data = bytearray(archive_file(gateway).read_bytes())
    data[len(data) // 2] ^= 1
    archive_file(gateway).write_bytes(bytes(data))


def nothing_is_archived(gateway):
    import shutil

    shutil.rmtree(gateway.moon.home.archives)
    shutil.rmtree(gateway.moon.home.index)


def index_is_gone(gateway):
    for path in gateway.moon.home.index.glob("recall.sqlite*"):
        path.unlink()


def index_is_damaged(gateway):
    for path in gateway.moon.home.index.glob("recall.sqlite-*"):
        path.unlink()
    gateway.moon.home.text_index.write_bytes(b"no database " * 1000)


def index_is_empty(gateway):
    from moon.fulltext import open_writer

    index_is_gone(gateway)
    open_writer(gateway.moon.home.text_index).close()


def index_lost_its_words(gateway):
    """Every segment is there, only no search brings its messages back."""
    from moon.fulltext import open_writer

    with open_writer(gateway.moon.home.text_index) as index:
        index.connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    break_seal(gateway.moon.home.text_index)


def index_lost_a_message(gateway):
    from moon.fulltext import open_writer

    with open_writer(gateway.moon.home.text_index) as index:
        index.connection.execute("DELETE FROM message WHERE id = (SELECT max(id) FROM message)")
    break_seal(gateway.moon.home.text_index)


UNCOVERED = [
    event_is_missing,
    bytes_changed,
    event_cannot_be_unpacked,
    archive_is_gone,
    archive_is_cut,
    one_bit_of_the_archive_flipped,
    nothing_is_archived,
    index_is_gone,
    index_is_damaged,
    index_is_empty,
    index_lost_its_words,
    index_lost_a_message,
]


@pytest.mark.parametrize("station", ["prune", "rollover"])
@pytest.mark.parametrize("spoil", UNCOVERED)
def test_refused_while_anything_is_not_archived_readable_and_findable(gateway, spoil, station):
    spoil(gateway)
    assert gateway.run(station, "--session", KEY) == 1
    entry = gateway.entry(station)
    assert entry["outcome"] == "refused" and entry["reason"] and "moon-archive" in entry["hint"]
    assert gateway.calls(*DESTRUCTIVE) == []
    assert gateway.moon.audit(station)[-1]["outcome"] == "refused"
    assert not list(gateway.moon.home.rollovers.glob("*"))


def test_a_store_of_an_unknown_schema_is_archived_and_not_pruned(gateway):
    store = gateway.store
    with closing(store.connect()) as connection, connection:
        connection.execute("UPDATE schema_meta SET schema_version = 24")
    for station in ("prune", "rollover"):
        assert gateway.run(station, "--session", KEY) == 1
        entry = gateway.entry(station)
        assert (entry["outcome"], entry["hint"].split(";")[0]) == ("refused", "update Moon")
        assert "schema version 24" in entry["reason"]
    assert gateway.calls(*DESTRUCTIVE) == []
    store.append("s1", events.message("later", "said after the update"))
    assert gateway.run("archive", "--session", KEY) == 0
    assert any(b"said after the update" in data for data in archived_events(gateway.moon.home, "s1"))


@pytest.mark.parametrize("spoil", [event_is_missing, bytes_changed, archive_is_gone, archive_is_cut, index_is_gone])
def test_after_a_refusal_archive_and_index_heal_it(gateway, spoil):
    spoil(gateway)
    assert gateway.run("prune", "--session", KEY) == 1
    gateway.run("archive", "--session", KEY)
    gateway.run("index", "--session", KEY)
    code = gateway.run("prune", "--session", KEY)
    if spoil in (archive_is_gone, archive_is_cut):
        assert code == 1, "an archive that was damaged is never taken for whole"
    else:
        assert code == 0 and gateway.entry("prune")["outcome"] == "done"


def test_events_that_arrive_between_archive_and_prune_survive(gateway):
    gateway.behave(compact="late")
    assert gateway.run("prune", "--session", KEY) == 0
    gateway.archive_and_index()
    assert any(b"slips in" in data for data in archived_events(gateway.moon.home, "s1"))


# Promise 3: nobody is interrupted.


def test_an_active_run_that_only_the_gateway_knows(gateway):
    gateway.behave(active=[KEY])
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.entry("prune")["outcome"] == "deferred"
    assert gateway.calls(*DESTRUCTIVE) == []


@pytest.mark.parametrize("station", ["prune", "rollover"])
@pytest.mark.parametrize(
    "usage", [{"status": "running"}, {"interacted_at": NOW_MS - 119_000}, {"interacted_at": NOW_MS + 60_000}]
)
def test_somebody_at_work_by_the_store(gateway, usage, station):
    gateway.fill(**usage)
    assert gateway.run(station, "--session", KEY) == 0
    assert gateway.entry(station)["outcome"] == "deferred"
    assert gateway.calls() == [], "the store alone is reason enough"


@pytest.mark.parametrize("station", ["prune", "rollover"])
@pytest.mark.parametrize("sign", ["the session changed", "the last event"])
def test_a_run_that_ended_a_moment_ago_counts_though_the_user_s_word_is_old(gateway, station, sign):
    old, now = NOW_MS - 3_600_000, NOW_MS - 5_000
    gateway.fill(interacted_at=old, updated_at=now if sign == "the session changed" else old)
    if sign == "the last event":
        answer = events.message("late", "done at last", "assistant", when=format_ms(now))
        gateway.store.write("s1", [*events.conversation("s1", 8), answer])
        gateway.archive_and_index()
    assert gateway.run(station, "--session", KEY) == 0
    assert gateway.entry(station)["reason"] == "somebody was at work 5 seconds ago"
    assert gateway.calls() == []


def test_a_run_that_began_just_now_is_said_by_compact_itself(gateway):
    gateway.behave(compact="active")
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.entry("prune")["outcome"] == "deferred"


@pytest.mark.parametrize("station", ["prune", "rollover"])
def test_a_session_that_changed_its_id_or_went_away_since_it_was_measured(gateway, station, tmp_path):
    assert gateway.run("sample", "--no-exec") == 0
    usage = {
        "schema": "moon.usage/1",
        "taken_at": events.WHEN,
        "provider": "store",
        "sessions": [
            {
                "agent": "main",
                "session_key": key,
                "session_id": session_id,
                "used_tokens": 1,
                "window_tokens": 1,
                "budget_tokens": 1,
                "ratio": 1.0,
                "fresh": True,
                "age_seconds": 1,
                "active": False,
                "state": "Normal",
                "due": [station],
            }
            for key, session_id in ((KEY, "another"), ("agent:main:gone", "s7"))
        ],
    }
    document = tmp_path / "usage.json"
    document.write_text(json.dumps(usage))
    assert gateway.run(station, "--cycle", str(document)) == 0
    record = gateway.moon.cycles()[-1]["stations"][0]
    assert [entry["outcome"] for entry in record["sessions"]] == ["deferred", "deferred"]
    assert gateway.calls(*DESTRUCTIVE) == []


# Promise 5: absent, slow, broken or lying.


def test_no_openclaw_at_all(gateway):
    (gateway.moon.state_dir / "openclaw.json").unlink(missing_ok=True)
    gateway.set(MOON_OPENCLAW__BIN="no-such-openclaw")
    assert gateway.run("prune", "--session", KEY) == 0
    entry = gateway.entry("prune")
    assert entry["outcome"] == "deferred" and entry["backoff"] is True
    assert "no-such-openclaw" in entry["reason"] and "openclaw.bin" in entry["hint"]


@pytest.mark.parametrize("plan", [{"down": True}, {"list": "garbage"}, {"list": "mute"}, {"list": "empty"}])
@pytest.mark.parametrize("station", ["prune", "rollover"])
def test_a_gateway_that_does_not_say_whether_a_run_is_active(gateway, plan, station):
    gateway.hurry()
    gateway.behave(**plan)
    assert gateway.run(station, "--session", KEY) == 0
    entry = gateway.entry(station)
    assert entry["outcome"] == "deferred" and entry["backoff"] is True
    assert gateway.calls(*DESTRUCTIVE) == []


def test_a_gateway_that_hangs(gateway):
    gateway.hurry()
    gateway.behave(list="hang")
    assert gateway.run("prune", "--session", KEY) == 0
    assert "no answer in time" in gateway.entry("prune")["reason"]


@pytest.mark.parametrize("mood", ["lie", "garbage", "error0", "no", "hang"])
def test_compaction_that_did_not_happen_is_a_failure_whatever_was_said(gateway, mood):
    gateway.hurry()
    gateway.behave(compact=mood)
    before = gateway.transcript()
    assert gateway.run("prune", "--session", KEY) == 1
    entry = gateway.entry("prune")
    assert entry["outcome"] == "failed" and "did not shrink" in entry["reason"] and entry["hint"]
    assert gateway.transcript() == before
    gateway.relax()
    assert gateway.run("prune", "--session", KEY) == 0, "the next attempt succeeds"
    assert gateway.entry("prune")["outcome"] == "done"


@pytest.mark.parametrize("mood", ["silent", "hang_after"])
def test_compaction_that_happened_is_a_success_whatever_was_said(gateway, mood):
    gateway.hurry()
    gateway.behave(compact=mood)
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.entry("prune")["outcome"] == "done"


def test_compacted_already_is_nothing_to_do(gateway):
    gateway.behave(compact="already")
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.entry("prune")["outcome"] == "nothing"


def test_twice_changes_nothing_the_second_time(gateway):
    assert gateway.run("prune", "--session", KEY) == 0
    gateway.archive_and_index()
    gateway.behave(compact="already")
    before = gateway.transcript()
    assert gateway.run("prune", "--session", KEY) == 0
    assert gateway.transcript() == before


def test_one_session_that_fails_does_not_stop_the_others(gateway):
    gateway.store.put("agent:main:second", "s2", events.conversation("s2", 4), used=45_000)
    gateway.store.put("agent:main:third", "s3", events.conversation("s3", 4), used=45_000)
    assert gateway.run("archive", "--session", "s2") == 0
    assert gateway.run("index", "--session", "s2") == 0
    assert gateway.run("prune", "--all") == 3
    record = gateway.moon.cycles()[-1]["stations"][0]
    outcomes = {entry["session_id"]: entry["outcome"] for entry in record["sessions"]}
    assert outcomes == {"s1": "done", "s2": "done", "s3": "refused"}


@pytest.mark.parametrize(
    ("before", "after", "shrank"),
    [
        (Extent(9, 900, 0), Extent(10, 899, 1), True),
        (Extent(9, 900, 0), Extent(10, 900, 1), False),
        (Extent(9, 900, 0), Extent(10, 901, 1), False),
        (Extent(9, 900, 1), Extent(10, 100, 1), False),
        (Extent(9, 900, 0), Extent(10, None, 1), True),
        (Extent(9, None, 0), Extent(10, 100, 1), False),
        (Extent(9, 900, 0), Extent(4, 100, 0), False),
    ],
)
def test_only_one_more_compaction_with_fewer_tokens_is_one(before, after, shrank):
    assert bool(shrinkage(before, after)) is shrank
