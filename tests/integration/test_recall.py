"""moon-recall as a user runs it: real archives, the real index, odd questions and broken files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.support.events import header, message, tool_call, tool_result
from tests.support.moon import Moon, files_below
from tests.support.old_index import as_version
from tests.support.stores import JsonlStoreBuilder

from moon import schema

KEY = "agent:main:main"
LONG = "\n".join(f"row {number}: nothing to see" for number in range(1500)) + "\nthe beacon colour is heliotrope\n"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    made = Moon(tmp_path_factory.mktemp("indexed"))
    store = JsonlStoreBuilder(made.state_dir)
    store.put(
        KEY,
        "s1",
        [
            header("s1"),
            message("e1", "Which port shall the staging database use?", when="2026-05-08T10:00:00Z"),
            message("e2", "Let us take 5433, since 5432 is taken.", "assistant", when="2026-05-08T10:00:05Z"),
            tool_call("e3", "exec", {"command": "pg_ctl -D /srv/staging/pg -o '-p 5433' start"}),
            tool_result("e4", "exec", LONG),
            message("e5", "Die Bücher stehen im Regal. 東京都の天気は晴れ。", when="2026-06-01T10:00:00Z"),
            message("e6", "ticket ABC-1234 touches src/a/b.py and 10.0.0.7:8443", when="2026-06-01T10:01:00Z"),
            tool_call("e7", "exec", {"command": "printf 'allow 8883\\nregister all\\n'"}),
        ],
    )
    store.put(
        "agent:main:other",
        "s2",
        [
            header("s2"),
            message("f1", "The garden lantern needs a new wick.", when="2026-07-01T10:00:00Z"),
            message("f2", "Bought two wicks for the lantern yesterday.", "assistant", when="2026-07-01T10:00:05Z"),
        ],
    )
    made.ok("archive", "--all")
    made.ok("index", "--all")
    return made


@pytest.fixture
def moon(indexed: Moon, tmp_path: Path) -> Moon:
    return indexed.copy(tmp_path)


def ask(moon: Moon, *arguments: str, **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = moon.ok("recall", *arguments, **options).json()
    schema.check("recall", document)
    return document


def events(document: dict[str, Any]) -> list[str]:
    return [result["event_id"] for result in document["results"]]


def test_a_question_leads_to_the_exact_original_message(moon: Moon) -> None:
    first = ask(moon, "Which port did we take for the staging database?")["results"][0]
    assert first["event_id"] in ("e1", "e2")
    assert (first["session_key"], first["session_id"], first["agent"]) == (KEY, "s1", "main")
    original = moon.ok("recall", "--event", "e2").stdout
    archived = (moon.home.root / first["archive_path"]).read_bytes().split(b"\n")
    assert original.rstrip(b"\n") in archived
    assert b"5433" in original


@pytest.mark.parametrize(
    ("question", "event"),
    [
        ("heliotrope", "e4"),
        ("what colour has the beacon?", "e4"),
        ("pg_ctl", "e3"),
        ("/srv/staging/pg", "e3"),
        ("ABC-1234", "e6"),
        ("src/a/b.py", "e6"),
        ("10.0.0.7:8443", "e6"),
        ("bucher", "e5"),
        ("BÜCHER", "e5"),
        ("東京都", "e5"),
        ("天気", "e5"),
        ("晴", "e5"),
        ("buying wicks", "f2"),
        ("lanturn", "f2"),
        ('"garden lantern"', "f1"),
        ("lantern -garden", "f2"),
        ("staging tool:exec", "e3"),
        ("staging role:assistant", "e2"),
        ("10.0.0.7:8443 -5432", "e6"),
        ("register", "e7"),
    ],
)
def test_what_is_there_is_found_first(moon: Moon, question: str, event: str) -> None:
    found = events(ask(moon, question))
    if "role:" in question:
        assert set(found) <= {"e2", "f2"}
    elif event == "f2" and question == "lanturn":
        assert set(found) == {"f1", "f2"}
    else:
        assert found[0] == event


def test_limits(moon: Moon) -> None:
    assert set(events(ask(moon, "staging lantern", "--session", "s2"))) == {"f1", "f2"}
    assert set(events(ask(moon, "staging lantern port", "--role", "assistant"))) <= {"e2", "f2"}
    assert set(events(ask(moon, "lantern wick", "--since", "2026-07-01", "--until", "2026-07-01"))) == {"f1", "f2"}
    assert events(ask(moon, "lantern wick", "--until", "30 June 2026")) == []
    assert events(ask(moon, "lantern", "--agent", "nobody")) == []
    assert len(ask(moon, "staging lantern port", "--limit", "2")["results"]) == 2


def test_neighbours(moon: Moon) -> None:
    first = ask(moon, "5432 is taken", "--context", "1")["results"][0]
    assert ([each["event_id"] for each in first["before"]], [each["event_id"] for each in first["after"]]) == (
        ["e1"],
        ["e3"],
    )


@pytest.mark.parametrize(
    "question", ["", "   ", "the of and", "NEAR(", "*", "^", '"', "zzzzqqq", "role:nobody lantern", "-", "😀"]
)
def test_odd_questions_answer_with_a_hint(moon: Moon, question: str) -> None:
    document = ask(moon, question)
    assert document["results"] or document["notes"]


def test_a_question_of_ten_kilobytes(moon: Moon) -> None:
    document = ask(moon, "lantern wick " * 900)
    assert set(events(document)[:2]) == {"f1", "f2"}
    assert document["notes"]


def test_many_questions_at_once(moon: Moon) -> None:
    done = moon.ok("recall", "--queries", "-", stdin=b"heliotrope\n\nlantern wick\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(events(answer)[:2]) for answer in answers] == [{"e4"}, set(), {"f1", "f2"}]


def test_formats(moon: Moon) -> None:
    text = moon.ok("recall", "heliotrope", "--format", "text").stdout.decode()
    assert "heliotrope" in text
    assert "moon-recall --event e4 --context 5" in text
    assert "archives/raw" not in text
    assert "\x1b" not in text
    markdown = moon.ok("recall", "heliotrope", "--format", "md").stdout.decode()
    assert markdown.startswith("# heliotrope")
    assert "**heliotrope**" in markdown


def test_pack_and_pick(moon: Moon) -> None:
    everything = ask(moon, "lantern wick staging")
    picked = ask(moon, "lantern wick staging", "--pick", "2")
    assert [result["rank"] for result in picked["results"]] == [2]
    assert picked["results"][0]["event_id"] == everything["results"][1]["event_id"]
    assert f"event {everything['results'][0]['event_id']} " not in picked["pack"]
    assert ask(moon, "lantern", "--max-tokens", "0")["pack"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["x", "--limit", "0"],
        ["x", "--since", "blue moon"],
        ["x", "--pick", "one"],
        ["--inject", "k"],
        ["x", "--event", "e1"],
        [],
        ["--json"],
        ["x", "--query", "y"],
        ["--session", "s1", "--role", "user"],
        ["--event", "e1", "--raw", "--context", "2"],
    ],
)
def test_wrong_usage(moon: Moon, arguments: list[str]) -> None:
    done = moon.run("recall", *arguments)
    assert done.code == 2
    assert "hint:" in done.stderr


def test_a_word_that_looks_like_an_option_gets_a_hint(moon: Moon) -> None:
    for arguments in (["lantern", "-garden"], ["-garden", "lantern"]):
        done = moon.run("recall", *arguments)
        assert done.code == 2
        assert '-- "lantern -garden"' in done.stderr
    assert "--query=" in moon.run("recall", "--query", "-garden").stderr
    assert events(ask(moon, "--limit", "5", "--", "lantern -garden")) == ["f2"]
    assert events(ask(moon, "--query", "lantern -garden")) == ["f2"]


def test_recall_changes_nothing(moon: Moon) -> None:
    before = {
        name: data
        for name, data in files_below(moon.home.root).items()
        if not name.startswith(("index/", "state/cache"))
    }
    ask(moon, "lantern")
    after = {
        name: data
        for name, data in files_below(moon.home.root).items()
        if not name.startswith(("index/", "state/cache"))
    }
    assert after == before


def test_words_that_are_left_out_may_be_numbers(moon: Moon) -> None:
    assert "e2" in events(ask(moon, "port taken"))
    assert "e2" not in events(ask(moon, "port taken -5433"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lantern", "--agent", "nosuch"], "no agent 'nosuch', only main"),
        (["lantern", "--role", "usr"], "no message has the role usr; there are user, assistant"),
        (["lantern", "--session", "nosuch"], "there is no session 'nosuch'; "),
        (["zzzzqqq"], "try other or fewer words"),
        (["lantern", "--pick", "99"], "there is no result 99"),
    ],
)
def test_the_hint_fits_the_case(moon: Moon, arguments: list[str], said: str) -> None:
    assert said in " ".join(ask(moon, *arguments)["notes"])


def test_the_beginning_of_an_event_id_is_enough(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    lines = [message("7f3a9c10-aa", "one"), message("7f3a9c11-bb", "two")]
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", [header("s1"), *lines])
    moon.ok("archive", "--all")
    moon.ok("index", "--all")
    assert b'"one"' in moon.ok("recall", "--event", "7f3a9c10").stdout
    done = moon.run("recall", "--event", "7f3a9c1")
    assert done.code == 1
    assert "several" in done.stderr


def test_an_unknown_event(moon: Moon) -> None:
    done = moon.run("recall", "--event", "nope")
    assert done.code == 1
    assert "nope" in done.stderr


def test_an_event_without_text_is_found_in_the_archives(moon: Moon) -> None:
    moon.home.text_index.unlink()
    assert b"5433" in moon.ok("recall", "--event", "e2").stdout


def broken_missing(path: Path) -> None:
    path.unlink()


def broken_garbage(path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)


def broken_empty(path: Path) -> None:
    path.write_bytes(b"")


def broken_version(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()


def broken_inside(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [broken_missing, broken_garbage, broken_empty, broken_version, broken_inside])
def test_without_a_sound_index_the_archives_answer(moon: Moon, damage: Any) -> None:
    for suffix in ("-wal", "-shm"):
        Path(f"{moon.home.text_index}{suffix}").unlink(missing_ok=True)
    damage(moon.home.text_index)
    document = ask(moon, "heliotrope beacon")
    assert events(document)[0] == "e4"
    assert any(each.startswith("embedded: ") for each in document["degraded"])


@pytest.mark.parametrize("version", [2, 4])
def test_an_index_of_a_version_before_answers_and_says_what_makes_it_better(moon: Moon, version: int) -> None:
    as_version(moon.home.text_index, version)
    for question, event in (("heliotrope beacon", "e4"), ("Bücher", "e5"), ("lanterns", "f1"), ('"allow 8883"', "e7")):
        document = ask(moon, question)
        assert event in events(document)
        assert [each for each in document["degraded"] if "earlier version" in each and "moon-index --rebuild" in each]
    moon.ok("index", "--rebuild")
    assert ask(moon, "heliotrope")["degraded"] == []


def test_words_lost_within_a_page_are_noticed(moon: Moon) -> None:
    """SQLite says nothing of such a hole: the page is a page, only the search finds less."""
    path = moon.home.text_index
    data = bytearray(path.read_bytes())
    at = data.rindex(b"heliotrop")
    data[at - 8 : at + 24] = bytes(32)
    path.write_bytes(data)
    document = ask(moon, "heliotrope beacon")
    assert events(document)[0] == "e4"
    assert [each for each in document["degraded"] if "damaged" in each]
    assert moon.run("verify", "--json").json()["ok"] is False


def test_a_missing_archive_is_told_only_where_it_matters(moon: Moon) -> None:
    path = ask(moon, "heliotrope")["results"][0]["archive_path"]
    (moon.home.root / path).unlink()
    assert events(ask(moon, "heliotrope"))[0] == "e4"
    done = moon.run("recall", "--event", "e4")
    assert done.code == 1
    assert path in done.stderr
    moon.home.text_index.unlink()
    document = ask(moon, "lantern wick heliotrope")
    assert set(events(document)) == {"f1", "f2"}
    assert any("archives:" in each for each in document["degraded"])


def test_no_home_at_all(tmp_path: Path) -> None:
    document = ask(Moon(tmp_path), "anything")
    assert document["results"] == []
    assert document["degraded"]
