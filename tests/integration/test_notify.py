"""notify.command: told with the event as JSON, in bounded time, and whatever it does no tick fails of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support import events
from tests.support.moon import Moon
from tests.support.programs import write_python_program
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon import schema
from moon.clock import format_ms

KEEP = """\
import json, os, sys
with open(os.path.join(os.path.dirname(__file__), "told"), "a") as stream:
    stream.write(json.dumps([sys.argv[1:], json.load(sys.stdin), "MOON_LOCK_FD" in os.environ]) + "\\n")
"""


class Notified(Moon):
    """A Moon that tells a program of a test."""

    def command(self, source: str, *arguments: str) -> None:
        program = write_python_program(self.folder / "tell", source)
        self.extra["MOON_NOTIFY__COMMAND"] = json.dumps([str(program), *arguments])

    @property
    def told(self) -> list[dict]:
        """The events, each as the schema has it."""
        return [event for _, event, _ in self.calls]

    @property
    def calls(self) -> list:
        path = self.folder / "told"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        for _, event, has_lock in found:
            schema.check("event", event)
            assert not has_lock
        return found

    def tick(self, seconds: int, **env: str) -> int:
        return self.run("sample", env={"MOON_NOW": format_ms(NOW_MS + seconds * 1000), **env}).code

    @property
    def store(self) -> Path:
        return self.state_dir / "agents" / "main" / "agent" / "openclaw-agent.sqlite"


@pytest.fixture
def moon(tmp_path: Path) -> Notified:
    made = Notified(tmp_path, {"MOON_DISTILL__PROVIDERS": "local", "MOON_NOTIFY__AFTER_TICKS": "4"})
    SqliteStoreBuilder(made.state_dir).put("agent:main:main", "s1", events.conversation("s1", 3), used=39_000)
    made.command(KEEP, "--say", "{text}")
    assert made.tick(0) == 0
    return made


def test_begins_lasts_ends(moon: Notified) -> None:
    sound = moon.store.read_bytes()
    moon.store.write_bytes(b"no database " * 100)
    for seconds in (30, 60, 90, 120, 150, 180, 210):
        moon.tick(seconds)
    moon.store.write_bytes(sound)
    moon.tick(240)
    moon.tick(270)
    assert [(each["event"], each["problem"]["code"]) for each in moon.told] == [
        ("began", "store_foreign"),
        ("lasts", "store_foreign"),
        ("ended", "store_foreign"),
    ]
    assert moon.told[1]["at"] == format_ms(NOW_MS + 150_000)
    assert [call[0] for call in moon.calls] == [["--say", event["text"]] for event in moon.told]
    assert [line["outcome"] for line in moon.audit("notify")] == ["done"] * 3


def test_nothing_is_told_when_all_is_well(moon: Notified) -> None:
    moon.tick(30)
    assert moon.told == []


def test_good_events_where_they_are_wanted(moon: Notified) -> None:
    SqliteStoreBuilder(moon.state_dir).put("agent:main:b", "s2", events.conversation("s2", 3), used=39_000)
    moon.tick(30, MOON_NOTIFY__EVENTS="archived")
    assert [(each["event"], each["some"]) for each in moon.told] == [("archived", ["agent:main:b"])]


def test_a_typing_error_in_moon_yaml_is_told_by_the_configuration_before_it(moon: Notified) -> None:
    values = {"notify": {"command": json.loads(moon.extra.pop("MOON_NOTIFY__COMMAND"))}}
    moon.home.config_file.write_text(json.dumps(values))
    moon.home.config_file.chmod(0o600)
    assert moon.tick(30) == 0
    moon.home.config_file.write_text(json.dumps({**values, "treshold": 1}))
    assert moon.tick(60) == 78 and moon.tick(90) == 78
    assert [(each["event"], each["problem"]["code"]) for each in moon.told] == [("began", "config_invalid")]
    moon.home.config_file.write_text(json.dumps(values))
    moon.tick(120)
    assert [each["event"] for each in moon.told] == ["began", "ended"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import sys; sys.exit('no network')", "no network"),
        ("import time; time.sleep(600)", "no answer in time"),
        ("while True: print('x' * 100000)", "more than Moon reads"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "exit code -9"),
    ],
)
def test_whatever_the_command_does_the_tick_goes_on(moon: Notified, source: str, says: str) -> None:
    moon.command(source)
    shutil.rmtree(moon.state_dir)
    assert moon.tick(30, MOON_NOTIFY__TIMEOUT_SECONDS="1.5") == 1
    (line,) = moon.audit("notify")
    assert line["outcome"] == "failed" and says in line["reason"]
    assert moon.tick(60, MOON_NOTIFY__TIMEOUT_SECONDS="1.5") == 1
    assert len(moon.audit("notify")) == 1


def test_a_command_that_is_not_there(moon: Notified) -> None:
    moon.extra["MOON_NOTIFY__COMMAND"] = json.dumps([str(moon.folder / "gone")])
    shutil.rmtree(moon.state_dir)
    assert moon.tick(30) == 1
    assert "cannot start" in moon.audit("notify")[0]["reason"]


def test_a_moment_with_many_problems_is_told_in_part(moon: Notified) -> None:
    for number in range(9):
        path = moon.state_dir / "agents" / f"x{number}" / "agent" / "openclaw-agent.sqlite"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no database " * 100)
    moon.tick(30)
    assert len(moon.told) == 5
    assert moon.audit("notify")[-1]["reason"] == "4 events more were not told"
