"""One index for many machines: what is archived gets there, redacted and once; each role sees its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.support.events import header, message
from tests.support.moon import Moon
from tests.support.postgres import Database, Server
from tests.support.stores import JsonlStoreBuilder

from moon.fulltext import Filters, MessageRow, SegmentSource
from moon.shared_index.database import (
    SharedAway,
    SharedMissing,
    SharedRefused,
    SharedVersion,
    check_version,
    connect,
    within,
)
from moon.shared_index.outbox_state import due_at, nothing_known, read_state
from moon.shared_index.shared_reader import SharedIndex
from moon.shared_index.shared_writer import SharedIndexWriter

KEY = "agent:main:main"
SECRET = "ghp_" + "Ab3dE5gH7jK9mN1pQ3rS5tU7vW9xY1zA3bC5"


def machine(folder: Path, database: Database, name: str, *texts: str) -> Moon:
    """A machine of that name with one conversation, archived, that may fill its part of the shared index."""
    url = database.let_in(f"role_{name}", name)
    made = Moon(folder / name, {"MOON_INDEX__ENGINE": "postgresql", "MOON_POSTGRESQL_URL": url})
    made.home.root.mkdir(parents=True, mode=0o700)
    known = {"schema": "moon.host/1", "id": name, "name": name, "writer": "0" * 16, "took_over": []}
    (made.home.root / "host.json").write_text(json.dumps({**known, "made_at": "2026-05-08T10:00:00.000Z"}))
    say(made, *texts)
    return made


def say(moon: Moon, *texts: str, session: str = "s1") -> None:
    """Let a conversation end with these messages, and archive it."""
    lines = [header(session), *(message(f"{moon.folder.name}{at}", text=each) for at, each in enumerate(texts))]
    JsonlStoreBuilder(moon.state_dir).put(KEY, session, lines)
    moon.ok("archive", "--all")


def sent(moon: Moon) -> dict:
    return moon.ok("index", "--send", "--json").json()


def ask(moon: Moon, question: str, *options: str) -> dict:
    return moon.ok("recall", question, "--json", *options).json()


def rows_in(database: Database) -> list[tuple]:
    """(machine, event) of every row, as the database holds it."""
    return database.run(
        "SELECT host, event FROM moon.message JOIN moon.source ON source.id = message.source ORDER BY host, event"
    )


def test_three_machines_answer_from_one_another(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall", f"the token is {SECRET}")
    two = machine(tmp_path, database, "server", "the harbour closes at nine")
    three = machine(tmp_path, database, "desk", "nothing of interest")
    database.let_in("role_desk", "*", may_write=False)
    assert [sent(each)["details"][0]["messages"] for each in (one, two, three)] == [2, 1, 1]
    assert sent(one)["changed"] is False
    answer = ask(three, "when does the harbour close?", "--host", "all")
    assert (answer["engines"], answer["degraded"]) == (["postgresql"], [])
    assert [(each["host"], each["event_id"]) for each in answer["results"]][0] == ("server", "server0")
    assert "on server" in answer["pack"]
    assert [each["host"] for each in ask(three, "lantern", "--host", "lap")["results"]] == ["laptop"]
    assert ask(three, "harbour", "--host", "own")["results"] == []
    assert [each["host"] for each in ask(one, "harbour lantern", "--host", "all")["results"]][0] == "laptop"
    assert SECRET not in str(database.run("SELECT body FROM moon.message")) and len(rows_in(database)) == 4


def test_reading_on_another_machine(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", *(f"step {at} of the voyage" for at in range(6)))
    two = machine(tmp_path, database, "server", "harbour")
    database.let_in("role_server", "*", may_write=False)
    sent(one)
    found = two.ok("recall", "--event", "laptop3", "--context", "1", "--host", "laptop", "--json").json()
    assert [each["event_id"] for each in found["messages"]] == ["laptop2", "laptop3", "laptop4"]
    assert "laptop" in found["degraded"][0]
    unknown = two.run("recall", "x", "--host", "nobody", "--json")
    assert unknown.code == 2 and "this role sees: laptop" in unknown.stderr


def test_an_archive_that_changes_is_followed(tmp_path: Path, database: Database) -> None:
    """New messages, a forgotten archive, one read anew, a lost note of what was sent: the same rows in the end."""
    one = machine(tmp_path, database, "laptop", "first words")
    sent(one)
    say(one, "first words", "second words")
    assert sent(one)["details"][0]["messages"] == 1
    expected = rows_in(database)
    assert [event for _, event in expected] == ["laptop0", "laptop1"]
    one.home.outbox.unlink()
    assert sent(one)["changed"] is False
    one.ok("index", "--rebuild")
    assert sent(one)["details"][0]["messages"] == 2
    assert rows_in(database) == expected
    ledger = one.home.ledger.read_bytes()
    one.home.ledger.write_bytes(ledger[: ledger.index(b"\n") + 1])
    assert sent(one)["details"][0]["removed"] == 1
    assert [event for _, event in rows_in(database)] == ["laptop0"]


def test_a_database_that_is_away_costs_only_lateness(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall")
    here = one.extra["MOON_POSTGRESQL_URL"]
    one.extra["MOON_POSTGRESQL_URL"] = here.replace(str(database.server.port), "1")
    failed = one.run("index", "--send", "--json")
    assert failed.code == 1 and failed.json()["errors"][0]["code"] == "shared_away"
    one.ok("index", "--all")
    answer = ask(one, "lantern", "--host", "all")
    assert [each["event_id"] for each in answer["results"]] == ["laptop0"]
    assert answer["degraded"][0].startswith("machines: the database is away")
    state = read_state(one.home)
    assert state["waiting"] == 1 and state["failure"] and state["failure"]["times"] == 1
    status = one.run("status", "--json").json()
    assert status["shared_index"]["waiting"] == 1
    assert [each["code"] for each in status["problems"]].count("shared_away") == 1
    one.extra["MOON_POSTGRESQL_URL"] = here
    assert sent(one)["details"][0]["messages"] == 1
    assert one.run("status", "--json").json()["shared_index"]["failure"] is None


def test_a_role_that_is_shut_out_is_told_so(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall")
    database.run("ALTER ROLE role_laptop PASSWORD 'another'")
    failed = one.run("index", "--send", "--json").json()
    assert failed["errors"][0]["code"] == "shared_refused"
    assert "of-the-tests" not in str(failed)
    database.run("ALTER ROLE role_laptop PASSWORD 'of-the-tests'")
    database.run("DELETE FROM moon.access WHERE role = 'role_laptop'")
    assert one.run("index", "--send", "--json").json()["errors"][0]["code"] == "shared_refused"
    assert rows_in(database) == []


def test_of_two_machines_with_the_same_agents_each_sees_and_changes_its_own(database: Database) -> None:
    segment = SegmentSource("a" * 64, "main", KEY, "s1", "p")
    hands = {
        name: SharedIndexWriter(connect(database.let_in(f"role_{name}", name), 30), name) for name in ("one", "two")
    }
    for name, index in hands.items():
        index.add_segments([(segment, [MessageRow(f"{name}1", 2, "user", "the lantern")])])
    database.let_in("role_agent", "one", "other", may_write=True)
    for name, index in hands.items():
        (number,) = index.matches('"lantern"', Filters(), 10)
        assert index.rows([number])[0].event_id == f"{name}1"
        assert (index.agents(), index.hosts(), index.counts()["messages"]) == ({"main": 1}, [name], 1)
        assert index.frequencies(["lantern"]) == {} and index.has_segment("a" * 64)
    other = hands["two"].matches('"lantern"', Filters(), 10)
    assert hands["one"].rows(other) == []
    outsider = SharedIndexWriter(connect(database.url("role_agent"), 30), "one")
    assert (outsider.matches('"lantern"', Filters(), 10), outsider.sources) == ([], [])
    with pytest.raises(SharedRefused):
        outsider.add_segments([(segment, [MessageRow("x", 2, "user", "planted")])])
    with pytest.raises(SharedRefused):
        SharedIndexWriter(connect(database.url("role_one"), 30), "two").add_segments([(segment, [])])
    assert [row[0] for row in database.run("SELECT event FROM moon.message ORDER BY event")] == ["one1", "two1"]


TABLES = ("message", "posting", "word", "session", "segment", "span", "episode", "spoken", "source", "machine")


def test_no_table_and_no_function_shows_a_stranger_anything(database: Database) -> None:
    index = SharedIndexWriter(connect(database.let_in("role_one", "one"), 30), "one")
    index.add_segments([(SegmentSource("a" * 64, "main", KEY, "s1", "p"), [MessageRow("e", 2, "user", "lantern")])])
    index.note_sent(0)
    database.let_in("stranger", "elsewhere")
    with connect(database.url("stranger"), 30) as stranger:
        assert [stranger.execute(f"SELECT count(*) FROM moon.{each}").fetchone() for each in TABLES] == [(0,)] * 10
        for asked in ("moon.find(NULL, '''lantern'''::tsquery, '{}', 10)", "moon.like_word('lantern', 1, 10)"):
            assert stranger.execute(f"SELECT count(*) FROM {asked}").fetchone() == (0,)
        for sql in ("SELECT * FROM moon.message_0", "SELECT * FROM moon.access", "SELECT moon.allow('stranger', '*')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                stranger.execute(sql)
        assert stranger.execute("DELETE FROM moon.message").rowcount == 0
    with connect(database.url("nobody_known"), 30) as unknown, pytest.raises(psycopg.errors.InsufficientPrivilege):
        unknown.execute("SELECT count(*) FROM moon.message")
    with connect(database.let_in("reader", "one", may_write=False), 30) as reader:
        assert reader.execute("SELECT count(*) FROM moon.message").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM moon.message")


def test_versions_and_empty_databases_are_told(tmp_path: Path, postgres: Server) -> None:
    empty = postgres.database(is_empty=True)
    with connect(empty.url("newcomer"), 30) as connection, pytest.raises(SharedMissing):
        check_version(connection)
    moon = Moon(tmp_path, {"MOON_INDEX__ENGINE": "postgresql"})
    moon.extra["MOON_POSTGRESQL_URL"] = f"host={postgres.folder} port={postgres.port} user=postgres dbname={empty.name}"
    assert moon.ok("index", "--init-database", "--partitions", "2", "--json").json()["changed"] is True
    assert moon.ok("index", "--init-database", "--json").json()["changed"] is False
    assert b"CREATE TABLE moon.message" in moon.ok("index", "--init-database", "--print").stdout
    for version, words in ((0, "--init-database"), (99, "update Moon")):
        empty.run("UPDATE moon.meta SET version = %s", version)
        with connect(empty.let_in("newcomer", "h"), 30) as connection, pytest.raises(SharedVersion) as told:
            check_version(connection)
        assert words in told.value.hint
    assert moon.run("index", "--init-database", "--json").json()["errors"][0]["code"] == "shared_version"
    empty.drop()


def test_without_extensions_it_works_and_says_so(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall")
    database.run("DROP EXTENSION pg_trgm CASCADE")
    sent(one)
    database.let_in("role_laptop", "*", may_write=False)
    answer = ask(one, "lantern", "--host", "all")
    assert [each["event_id"] for each in answer["results"]] == ["laptop0"]
    assert any("pg_trgm" in each for each in answer["degraded"])
    assert ask(one, "lnatern", "--host", "all")["results"] == []
    own = f"host={database.server.folder} port={database.server.port} user=postgres dbname={database.name}"
    one.ok("index", "--init-database", env={"MOON_POSTGRESQL_URL": own})
    assert [each["event_id"] for each in ask(one, "lnatern", "--host", "all")["results"]] == ["laptop0"]


def test_an_answer_that_does_not_come_is_not_waited_for(database: Database) -> None:
    with connect(database.let_in("role_one", "one"), 30) as connection:
        with pytest.raises(psycopg.OperationalError), within(connection, 0.3):
            connection.execute("SELECT pg_sleep(20)")
        assert connection.broken
    index = SharedIndex(connect(database.url("role_one"), 0.3), 20)
    with pytest.raises(SharedAway):
        index._rows("SELECT pg_sleep(20)")


def test_when_it_is_tried_again() -> None:
    state, now = nothing_known(), 1_778_234_400_000
    assert (due_at(state, [], now), due_at(state, [5, 7], now)) == (None, now)
    failure = {"code": "shared_away", "message": "", "hint": "", "since": "2026-05-08T10:00:00.000Z", "times": 3}
    tried: Any = {**state, "tried_at": "2026-05-08T10:00:00.000Z", "failure": failure, "ledger": [5, 7]}
    for later, expected in ((1, 240), (239, 240), (240, 240), (9999, 9999), (-5, -5)):
        assert due_at(tried, [5, 7], now + 1000 * later) == now + 1000 * expected
    tried["failure"] = {**failure, "times": 99}
    assert due_at(tried, [5, 7], now) == now + 900_000


def test_what_is_forgotten_here_is_forgotten_there(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall", "the harbour is closed")
    one.ok("index", "--all")
    sent(one)
    here = one.extra["MOON_POSTGRESQL_URL"]
    one.extra["MOON_POSTGRESQL_URL"] = here.replace(str(database.server.port), "1")
    away = one.run("forget", "--match", "harbour", "--yes", "--json")
    assert away.code == 3 and "the shared index still holds it" in away.stderr
    assert [event for _, event in rows_in(database)] == ["laptop0", "laptop1"]
    one.extra["MOON_POSTGRESQL_URL"] = here
    sent(one)
    assert [event for _, event in rows_in(database)] == ["laptop0"]
    assert one.run("forget", KEY, "--yes").code in (0, 3)
    assert rows_in(database) == []
    assert database.run("SELECT count(*) FROM moon.word")[0][0] == 0


def test_a_damaged_archive_stops_no_other(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall")
    say(one, "the harbour is closed", session="s2")
    (one.home.root / one.ledger()[0]["archive_path"]).unlink()
    report = sent(one)
    assert (report["details"][0]["archives"], report["details"][0]["skipped"]) == (1, 1)
    assert len(rows_in(database)) == 1
    assert sent(one)["details"][0] == {"archives": 0, "messages": 0, "removed": 0, "waiting": 0, "skipped": 1}


def test_a_server_that_is_killed_while_it_writes_holds_all_or_nothing(database: Database) -> None:
    index = SharedIndexWriter(connect(database.let_in("role_one", "one"), 30), "one")
    texts = [MessageRow(f"e{at}", at + 2, "user", f"lantern {at}") for at in range(300)]

    def rows() -> Iterator[MessageRow]:
        yield from texts[:200]
        index.connection.execute("SELECT 1")
        database.server.kill()
        yield from texts[200:]

    with pytest.raises(SharedAway):
        index.add_segments([(SegmentSource("a" * 64, "main", KEY, "s1", "p"), rows())])
    database.server.start()
    assert rows_in(database) == []
    with SharedIndexWriter(connect(database.url("role_one"), 30), "one") as again:
        again.add_segments([(SegmentSource("a" * 64, "main", KEY, "s1", "p"), texts)])
        again.add_segments([(SegmentSource("a" * 64, "main", KEY, "s1", "p"), texts)])
        assert again.findable("a" * 64)
    assert len(rows_in(database)) == 300


def test_the_timer_sends_after_a_cycle_and_a_tick_without_the_lock(tmp_path: Path, database: Database) -> None:
    one = machine(tmp_path, database, "laptop", "the lantern stands in the hall")
    assert one.run("sample").code == 0
    assert [event for _, event in rows_in(database)] == ["laptop0"]
    assert read_state(one.home)["waiting"] == 0
    assert one.run("sample").code == 0
    checks = one.run("verify", "--json").json()["details"]
    assert [each["level"] for each in checks if each["check"] == "shared index"] == ["ok"]
