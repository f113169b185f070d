"""`moon-recall --bench`: messages of the user's own archive are asked for, beside plain `bm25()`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.events import header, message, tool_result
from tests.support.moon import Moon, files_below
from tests.support.stores import JsonlStoreBuilder

from moon import schema

THINGS = ("lantern", "harbour", "ferry", "garden", "ladder", "kettle", "violin", "compass", "blanket", "mirror")
PLACES = ("Bergen", "Lisbon", "Trieste", "Galway", "Izmir")


def moon_with(folder: Path, lines: list[bytes]) -> Moon:
    made = Moon(folder)
    JsonlStoreBuilder(made.state_dir).put("agent:main:main", "s1", [header("s1"), *lines])
    made.ok("archive", "--all")
    made.ok("index", "--all")
    return made


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    lines = []
    for number, thing in enumerate(THINGS * 2):
        place = PLACES[number % len(PLACES)]
        lines += [
            message(f"q{number}", f"Where did we leave the old {thing} after visit number {number}?"),
            message(f"a{number}", f"It stayed in {place} beside the painted window of house {number}.", "assistant"),
        ]
    return moon_with(tmp_path_factory.mktemp("bench"), lines)


def bench(moon: Moon, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = moon.ok("recall", "--bench", *arguments, "--json").json()
    schema.check("report", report)
    assert report["ok"] and not report["changed"]
    (detail,) = report["details"]
    found: dict[str, Any] = {**detail, "outcome": report["outcome"]}
    return found


def lasting(moon: Moon) -> dict[str, bytes]:
    """Every file but caches and what SQLite lays beside a database that is read."""
    files = files_below(moon.home.root)
    return {name: data for name, data in files.items() if not name.endswith(("-wal", "-shm")) and "cache" not in name}


def test_every_kind_of_question_is_asked_and_compared(talked: Moon) -> None:
    before = lasting(talked)
    found = bench(talked, "20")
    assert (found["messages"], found["rows"], found["seed"]) == (20, 40, 1)
    kinds = {each["kind"]: each for each in found["kinds"]}
    assert list(kinds) == ["its rare words", "the question before it", "half a sentence of it"]
    assert kinds["its rare words"]["questions"] == 20
    assert 0 < kinds["the question before it"]["questions"] < 20
    for each in kinds.values():
        for engine in ("moon", "bm25"):
            figures = each[engine]
            assert 0 <= figures["hit_1"] <= figures["mrr"] <= figures["hit_10"] <= 1
            assert figures["hit_1"] <= figures["hit_5"] <= figures["hit_10"]
    assert kinds["half a sentence of it"]["moon"]["hit_10"] > 0.5
    assert lasting(talked) == before


def test_the_seed_says_which_messages(talked: Moon) -> None:
    def shares(found: dict[str, Any]) -> list[Any]:
        return [[{**each[engine], "ms": 0} for engine in ("moon", "bm25")] for each in found["kinds"]]

    assert shares(bench(talked, "8", "--seed", "7")) == shares(bench(talked, "8", "--seed", "7"))
    assert bench(talked, "8", "--seed", "7")["seed"] == 7


def test_people_get_a_table_without_a_word_of_their_messages(talked: Moon) -> None:
    text = talked.ok("recall", "--bench", "10", "--format", "text").stdout.decode()
    assert "seed 1" in text and "hit@10" in text and "bm25" in text
    assert "lead" in text or "behind" in text
    assert not any(word in text for word in (*THINGS, *PLACES))


def test_nothing_archived_yet(tmp_path: Path) -> None:
    found = bench(Moon(tmp_path))
    assert found["kinds"] == [] and found["smallest_lead"] is None
    assert "moon-archive --all" in found["outcome"]


def test_one_message(tmp_path: Path) -> None:
    moon = moon_with(tmp_path, [message("e1", "The violet lantern hangs above the northern harbour door.")])
    found = bench(moon)
    assert (found["messages"], [each["questions"] for each in found["kinds"]]) == (1, [1, 1])
    assert all(each["moon"]["hit_1"] == 1 for each in found["kinds"])


def test_nothing_that_anybody_said(tmp_path: Path) -> None:
    moon = moon_with(tmp_path, [message("e1", "ok"), tool_result("e2", "exec", "a line of output " * 20)])
    assert "enough words" in bench(moon)["outcome"]


def test_scripts_without_spaces_and_odd_texts(tmp_path: Path) -> None:
    lines = [
        message("e1", "東京都の天気は晴れです。明日は雨が降るでしょう。"),
        message("e2", 'role:user tool:exec -word "a phrase" -- NEAR( * ^ agent:x', "assistant"),
        message("e3", "नमस्ते दुनिया आज मौसम बहुत अच्छा है और हम बाहर जाएंगे"),
        message("e4", "لقد انتقلنا إلى خادم جديد في برلين الأسبوع الماضي", "assistant"),
    ]
    found = bench(moon_with(tmp_path, lines))
    assert found["messages"] == 4
    assert next(each for each in found["kinds"] if each["kind"].startswith("half"))["moon"]["hit_10"] == 1


@pytest.mark.parametrize("arguments", [["--bench", "0"], ["x", "--bench"], ["--bench", "--format", "md"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    assert Moon(tmp_path).run("recall", *arguments).code == 2
