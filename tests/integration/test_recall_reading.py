"""Reading on: the messages around an event and whole conversations, as people and programs get them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.events import conversation, header, message, tool_call, tool_result
from tests.support.moon import PATIENCE, ROOT, Moon
from tests.support.stores import JsonlStoreBuilder, SqliteStoreBuilder

from moon import schema

KEY = "agent:main:main"
CODE = "def port():\n    return 5433\n"
LONG = "".join(f"    {number}: a line of a long log that is indented\n" for number in range(200))
SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    made = Moon(tmp_path_factory.mktemp("reading"))
    store = JsonlStoreBuilder(made.state_dir)
    lines = [
        header("s1"),
        message("7f3a9c10-0001", "Which port shall it be?"),
        message("7f3a9c20-0002", CODE, "assistant"),
        tool_call("8f3a9c20-0003", "exec", {"command": "serve --port 5433"}),
        tool_result("9f3a9c20-0004", "exec", f"{LONG}token {SECRET}\n\x1b[31mred\n# end"),
        message("af3a9c20-0005", "It serves the lantern."),
        b'{"type":"model_change","id":"bf3a9c20-0006","modelId":"opus"}',
        message("cf3a9c20-0007", "Thank you."),
    ]
    store.put(KEY, "s1", lines)
    made.ok("archive", "--all")
    made.ok("index", "--all")
    return made


@pytest.fixture
def moon(indexed: Moon, tmp_path: Path) -> Moon:
    return indexed.copy(tmp_path)


def read(moon: Moon, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = moon.run("recall", *arguments)
    assert done.code == code, done.stderr
    document: dict[str, Any] = done.json()
    schema.check("conversation", document)
    return document


def ids(document: dict[str, Any]) -> list[str]:
    return [each["event_id"][:8] for each in document["messages"]]


def on_a_terminal(moon: Moon, *arguments: str) -> str:
    ours, theirs = pty.openpty()
    command = [str(ROOT / "bin" / "moon-recall"), *arguments]
    env = {**moon.env, "MOON_PAGER": "cat", "TERM": "dumb"}
    with subprocess.Popen(command, env=env, stdout=theirs, stdin=subprocess.DEVNULL, stderr=theirs) as child:
        os.close(theirs)
        pieces = []
        try:
            while piece := os.read(ours, 1 << 16):
                pieces.append(piece)
        except OSError:  # how Linux says that the other side is closed
            pass
        assert child.wait(PATIENCE) == 0
    os.close(ours)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def test_an_event_with_its_neighbours_to_be_read(moon: Moon) -> None:
    text = moon.ok("recall", "--event", "7f3a9c20", "--context", "1", "--format", "text").stdout.decode()
    assert "> 2026-11-22 06:00  assistant  7f3a9c20\n    def port():\n        return 5433\n" in text
    assert "user  7f3a9c10\n    Which port shall it be?\n" in text
    assert "toolCall exec  8f3a9c20" in text and "9f3a9c20" not in text
    assert "moon-recall --session agent:main:main" in text
    assert text == on_a_terminal(moon, "--event", "7f3a9c20", "--context", "1")


def test_neighbours_are_counted_by_event_however_long_they_are(moon: Moon) -> None:
    found = read(moon, "--event", "af3a9c20", "--context", "3", "--json")
    assert ids(found) == ["7f3a9c20", "8f3a9c20", "9f3a9c20", "af3a9c20", "cf3a9c20"]
    assert found["event_id"] == "af3a9c20-0005"
    log = found["messages"][2]["text"]
    assert log.startswith(LONG)
    assert SECRET not in log and "\x1b" not in log
    assert read(moon, "--event", "7f3a9c10", "--context", "9")["messages"][-1]["event_id"] == "cf3a9c20-0007"


def test_the_original_stays_as_it_was_stored(moon: Moon) -> None:
    done = moon.ok("recall", "--event", "9f3a9c20", "--json")
    assert SECRET in done.json()["message"]["content"][0]["text"]
    assert moon.ok("recall", "--event", "9f3a9c20", "--raw").stdout.count(b"\n") == 1


def test_a_short_id_is_only_as_short_as_it_can_be(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    lines = [message("7f3a9c10-0001", "one lantern"), message("7f3a9c10-0012", "two lanterns")]
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s1", [header("s1"), *lines])
    moon.ok("archive", "--all")
    moon.ok("index", "--all")
    text = moon.ok("recall", "lantern", "--format", "text").stdout.decode()
    assert "--event 7f3a9c10-000 --context" in text and "--event 7f3a9c10-001 --context" in text
    assert b"two lanterns" in moon.ok("recall", "--event", "7f3a9c10-001").stdout


def test_four_characters_are_enough_where_only_one_event_begins_so(moon: Moon) -> None:
    assert read(moon, "--event", "8f3a", "--context", "1")["event_id"] == "8f3a9c20-0003"
    assert moon.run("recall", "--event", "8f3").code == 1
    done = moon.run("recall", "--event", "7f3a")
    assert done.code == 1 and "7f3a9c10-0001, 7f3a9c20-0002" in done.stderr


def test_an_event_that_says_nothing_stands_alone(moon: Moon) -> None:
    found = read(moon, "--event", "bf3a9c20", "--context", "2", "--json")
    assert ids(found) == ["bf3a9c20"]
    assert "opus" in found["messages"][0]["text"]
    assert "not known" in found["degraded"][0]


def test_without_an_index_the_archives_are_read(moon: Moon) -> None:
    moon.home.text_index.unlink()
    found = read(moon, "--event", "7f3a9c20", "--context", "1", "--json")
    assert ids(found) == ["7f3a9c10", "7f3a9c20", "8f3a9c20"]
    assert found["degraded"]
    text = moon.ok("recall", "--session", "s1", "--format", "text").stdout.decode()
    assert "user  7f3a9c10-0001\n" in text


def test_without_the_archive_messages_are_shown_as_they_were_indexed(moon: Moon) -> None:
    for path in moon.home.raw.rglob("*.jsonl*"):
        path.unlink()
    found = read(moon, "--event", "7f3a9c20", "--context", "1", "--json")
    assert ids(found) == ["7f3a9c10", "7f3a9c20", "8f3a9c20"]
    assert any("as they were indexed" in each for each in found["degraded"])


def test_a_whole_conversation(moon: Moon) -> None:
    found = read(moon, "--session", KEY)
    assert ids(found) == ["7f3a9c10", "7f3a9c20", "8f3a9c20", "9f3a9c20", "af3a9c20", "cf3a9c20"]
    assert found == read(moon, "--session", "s1", "--format", "json", "--agent", "main")
    page = moon.ok("recall", "--session", KEY, "--format", "md").stdout.decode()
    assert page.startswith(f"# {KEY}\n\n*session `s1`*\n\n## user · ")
    assert "> def port():\n>     return 5433\n" in page
    assert "\n# end\n```\n" in page and SECRET not in page
    text = on_a_terminal(moon, "--session", KEY)
    assert text.index("Which port") < text.index("def port") < text.index("serve --port") < text.index("Thank you")
    assert SECRET not in text


def test_every_window_of_a_key_is_in_its_conversation(moon: Moon) -> None:
    JsonlStoreBuilder(moon.state_dir).put(KEY, "s2", [header("s2"), message("df3a9c20-0008", "A new window.")])
    moon.ok("archive", "--all")
    found = read(moon, "--session", KEY)
    assert [each["session_id"] for each in found["messages"]] == ["s1"] * 6 + ["s2"]
    assert ids(read(moon, "--session", "s2")) == ["df3a9c20"]


def test_a_conversation_with_a_damaged_archive_is_done_in_part(moon: Moon) -> None:
    store = JsonlStoreBuilder(moon.state_dir)
    store.put("agent:main:other", "s3", [header("s3"), message("ef3a9c20-0009", "Elsewhere.")])
    moon.ok("archive", "--all")
    next(path for path in moon.home.raw.rglob("*s1*.jsonl*")).unlink()
    found = read(moon, "--session", KEY, code=3)
    assert found["messages"] == []
    assert "archives: " in found["degraded"][0]
    assert read(moon, "--session", "s3")["degraded"] == []


def test_an_unknown_session_says_what_is_near(moon: Moon) -> None:
    done = moon.run("recall", "--session", "agent:main:mian", "--json")
    assert done.code == 1
    assert KEY in done.json()["errors"][0]["hint"]


def test_a_pager_that_is_left_early_is_no_error(moon: Moon) -> None:
    JsonlStoreBuilder(moon.state_dir).put(
        "agent:main:big", "s4", [header("s4"), *(message(f"big-{n:05d}", "word " * 400) for n in range(300))]
    )
    moon.ok("archive", "--all")
    ours, theirs = pty.openpty()
    command = [str(ROOT / "bin" / "moon-recall"), "--session", "s4"]
    env = {**moon.env, "MOON_PAGER": "true"}
    done = subprocess.run(command, env=env, stdout=theirs, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")


def test_json_of_a_conversation_is_written_line_by_line(moon: Moon) -> None:
    lines = moon.ok("recall", "--session", KEY).stdout.decode().splitlines()
    assert [json.loads(line.rstrip(","))["event_id"][:8] for line in lines[1:-1]][0] == "7f3a9c10"


def test_a_whole_conversation_is_a_page_that_loads_and_runs_nothing(tmp_path: Path) -> None:
    moon = Moon(tmp_path)
    hostile = "</article><script>alert(1)</script><img src=x onerror=alert(2)>"
    SqliteStoreBuilder(moon.state_dir).put(
        "agent:main:main", "s1", [*conversation("s1", 2), message("evil", hostile), tool_result("t", "exec", hostile)]
    )
    moon.ok("snapshot")
    page = moon.ok("recall", "--session", "agent:main:main", "--format", "html").stdout.decode()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("<article") == 6
    around = moon.ok("recall", "--event", "evil", "--context", "1", "--format", "html").stdout.decode()
    assert around.count("<article") == 3
    assert moon.run("recall", "lantern", "--format", "html").code == 2
