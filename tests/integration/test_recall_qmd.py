"""QMD beside the embedded engine: it can add, and whatever it does it cannot spoil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.events import header, message
from tests.support.moon import Moon
from tests.support.programs import write_python_program
from tests.support.stores import JsonlStoreBuilder

# Answers a query with what `answer` holds, in the mood that `mood` names.
FAKE = """\
import json, pathlib, sys, time
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as stream:
    stream.write(json.dumps(sys.argv[1:]) + "\\n")
mood = (here / "mood").read_text()
if mood == "hang":
    time.sleep(600)
if mood == "flood":
    while True:
        print("x" * 100000)
print((here / "answer").read_text())
sys.exit(3 if mood == "fail" else 0)
"""


class Fake:
    """A `qmd` command that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.program = write_python_program(folder / "qmd", FAKE)
        self.say("[]")

    def say(self, answer: str, mood: str = "") -> None:
        (self.folder / "answer").write_text(answer)
        (self.folder / "mood").write_text(mood)

    def calls(self) -> str:
        path = self.folder / "calls"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path / "qmd")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    made = Moon(tmp_path_factory.mktemp("indexed"))
    store = JsonlStoreBuilder(made.state_dir)
    store.put(
        "agent:main:a", "s1", [header("s1"), message("e1", "The ferry leaves at 7."), message("e2", "Fine weather.")]
    )
    store.put(
        "agent:main:b", "s2", [header("s2"), message("f1", "A boat goes to the island."), message("f2", "Bring bread.")]
    )
    made.ok("archive", "--all")
    made.ok("index", "--all")
    return made


@pytest.fixture
def moon(indexed: Moon, tmp_path: Path, fake: Fake) -> Moon:
    made = indexed.copy(tmp_path)
    made.extra.update(
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        MOON_QMD__ENABLED="true",
        MOON_QMD__BIN=str(fake.program),
        MOON_QMD__TIMEOUT_SECONDS="60",
    )
    return made


def page_of(moon: Moon, text: str) -> tuple[str, int]:
    """(QMD's name of the page that holds a text, the line it stands in)."""
    for path in moon.home.markdown.rglob("*.md"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if text in line:
                return f"qmd://history/{path.relative_to(moon.home.markdown).as_posix()}?index=moon", number
    raise AssertionError(text)


def ask(moon: Moon, *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = moon.ok("recall", *arguments).json()
    return document


def found(document: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(each["event_id"], each["engines"]) for each in document["results"]]


def test_what_only_qmd_finds_comes_behind(moon: Moon, fake: Fake) -> None:
    file, line = page_of(moon, "A boat goes")
    fake.say(f'Searching…\n[{{"file": "{file}", "line": {line}, "score": 0.9}}]')
    document = ask(moon, "ferry")
    assert document["engines"] == ["embedded", "qmd"]
    assert found(document) == [("e1", ["embedded"]), ("f1", ["qmd"])]
    assert "lex: ferry" in fake.calls()
    assert "--no-rerank" in fake.calls()
    assert "vec:" not in fake.calls()


def test_both_engines_are_named(moon: Moon, fake: Fake) -> None:
    file, line = page_of(moon, "The ferry leaves")
    fake.say(f'[{{"file": "{file}", "line": {line}}}]')
    assert found(ask(moon, "ferry")) == [("e1", ["embedded", "qmd"])]


def test_limits_hold_for_qmd_too(moon: Moon, fake: Fake) -> None:
    file, line = page_of(moon, "A boat goes")
    fake.say(f'[{{"file": "{file}", "line": {line}}}]')
    for limits in (
        ["--session", "s1"],
        ["--role", "assistant"],
        ["--agent", "ops"],
        ["--until", "2020-01-01"],
        ["-zebra"],
    ):
        words = ["ferry -zebra"] if limits == ["-zebra"] else ["ferry", *limits]
        assert "f1" not in [event for event, _ in found(ask(moon, *words))]


def test_a_model_that_is_there_is_used(moon: Moon, fake: Fake, tmp_path: Path) -> None:
    models = tmp_path / "cache" / "qmd" / "models"
    models.mkdir(parents=True)
    (models / "some-embedding-model.gguf").write_bytes(b"")
    ask(moon, "when does the ferry leave?")
    assert "vec: when does the ferry leave?" in fake.calls()


@pytest.mark.parametrize(
    ("answer", "mood"),
    [
        ("not json at all", ""),
        ("{}", ""),
        ("[1, 2", ""),
        ("[]", "fail"),
        ("[]", "hang"),
        ("[]", "flood"),
    ],
)
def test_a_broken_qmd_only_marks_the_answer(moon: Moon, fake: Fake, answer: str, mood: str) -> None:
    fake.say(answer, mood)
    if mood == "hang":
        moon.extra["MOON_QMD__TIMEOUT_SECONDS"] = "1"
    document = ask(moon, "ferry")
    assert found(document) == [("e1", ["embedded"])]
    assert document["engines"] == ["embedded"]
    assert document["degraded"][0].startswith("qmd: ")


@pytest.mark.parametrize(
    "answer",
    [
        "No results found.",
        "[]",
        "[null, 1, {}]",
        '[{"file": 7, "line": "x"}]',
        '[{"file": "qmd://history/../../../../etc/passwd", "line": 1}]',
        '[{"file": "qmd://history/gone.md", "line": 1}]',
        '[{"file": "/etc/passwd", "line": 1}]',
    ],
)
def test_odd_answers_add_nothing(moon: Moon, fake: Fake, answer: str) -> None:
    fake.say(answer)
    document = ask(moon, "ferry")
    assert found(document) == [("e1", ["embedded"])]
    assert document["degraded"] == []


def test_an_absent_qmd_is_told_when_it_is_wanted(moon: Moon) -> None:
    moon.extra["MOON_QMD__BIN"] = "no-such-qmd"
    assert ask(moon, "ferry")["degraded"][0].startswith("qmd: ")
    moon.extra["MOON_QMD__ENABLED"] = "auto"
    assert ask(moon, "ferry")["degraded"] == []


def test_switched_off_it_is_not_asked(moon: Moon, fake: Fake) -> None:
    moon.extra["MOON_QMD__ENABLED"] = "false"
    ask(moon, "ferry")
    assert fake.calls() == ""
