"""Finding by meaning, as a user runs it: vectors are made, used and kept true, and no fault of them costs an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.events import header, message, tool_result
from tests.support.moon import ROOT, Moon
from tests.support.stores import JsonlStoreBuilder
from tests.support.tiny_model import write_model

from moon import schema
from moon.fulltext import open_reader
from moon.fulltext.vectors import HEADER, Vectors, texts_of

KEY = "agent:main:main"
# Directions of meaning: ships, food, weather.
PLACES = {
    **dict.fromkeys(("ship", "vessel", "ferry", "sailing"), (1.0, 0.0, 0.0)),
    **dict.fromkeys(("bread", "soup", "dinner", "cooked"), (0.0, 1.0, 0.0)),
    **dict.fromkeys(("rain", "storm", "weather", "cloudy"), (0.0, 0.0, 1.0)),
}
SAID = [
    "The ferry departs from pier nine.",
    "We cooked soup with fresh bread.",
    "Heavy rain, later a storm.",
    "Dinner was bread again.",
    "It stayed cloudy until noon.",
    "More soup for dinner, please.",
    "A storm is coming with rain.",
    "The bread was cooked too long.",
    "Cloudy weather all week.",
    "Soup, bread, dinner: done.",
]
QUESTION = "Which vessel?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Moon:
    """An archive with an index, and a model in a folder beside; no vectors yet."""
    moon = Moon(tmp_path_factory.mktemp("made"))
    lines = [header("s1"), *(message(f"e{at}", text) for at, text in enumerate(SAID))]
    JsonlStoreBuilder(moon.state_dir).put(
        KEY, "s1", [*lines, tool_result("t1", "exec", "the ship is listed as sailing")]
    )
    moon.ok("archive", "--all")
    moon.ok("index", "--all")
    write_model(moon.folder / "model", PLACES)
    return moon


@pytest.fixture
def moon(made: Moon, tmp_path: Path) -> Moon:
    copied = made.copy(tmp_path / "home")
    copied.extra.update(with_model(copied.folder / "model"))
    return copied


def with_model(folder: Path) -> dict[str, str]:
    return {"MOON_RECALL__SEMANTIC__SOURCE": "folder", "MOON_RECALL__SEMANTIC__FOLDER": str(folder)}


def index(moon: Moon, *arguments: str, **options: Any) -> dict[str, Any]:
    """What the station says of vectors."""
    document = moon.ok("index", "--all", *arguments, **options).json()
    schema.check("cycle", document)
    found: dict[str, Any] = document["stations"][-1]["vectors"]
    return found


def ask(moon: Moon, *arguments: str, **options: Any) -> dict[str, Any]:
    document: dict[str, Any] = moon.ok("recall", "--json", *arguments, **options).json()
    schema.check("recall", document)
    return document


def verified(moon: Moon) -> tuple[str, str]:
    """(level, message) of the check of meaning."""
    details = moon.run("verify", "--json").json()["details"]
    return next((each["level"], each["message"]) for each in details if each["check"] == "meaning")


def test_verify_says_of_how_many_messages_the_meaning_is_known(moon: Moon) -> None:
    assert verified(moon) == ("warn", "known of 0 of 11 messages")
    index(moon)
    assert verified(moon) == ("ok", "known of 11 of 11 messages")
    moon.extra["MOON_RECALL__SEMANTIC__FOLDER"] = str(moon.folder / "nowhere")
    level, message = verified(moon)
    assert level == "warn" and message.startswith("recall goes by words alone: ")


def test_what_is_meant_is_found_in_other_words(moon: Moon) -> None:
    assert index(moon) == {"outcome": "done", "vectors": 11, "rows": 11, "made": 11, "removed": 0}
    answer = ask(moon, QUESTION)
    assert (answer["engines"], answer["degraded"]) == (["embedded", "meaning"], [])
    found = [each["event_id"] for each in answer["results"]]
    assert found[0] in ("e0", "t1") and {"e0", "t1"} <= {*found[:3]}
    by_words = ask(moon, QUESTION, env={"MOON_RECALL__SEMANTIC__SOURCE": "off"})
    assert not {"e0", "t1"} & {each["event_id"] for each in by_words["results"]}
    assert index(moon) == {"outcome": "nothing", "vectors": 11, "rows": 11, "made": 0, "removed": 0}
    assert [entry["outcome"] for entry in moon.audit("vectors")] == ["done"]
    assert moon.run("status", "--json").json()["index"]["vectors"] == 11
    assert "the meaning of 11 is known" in moon.run("status").stdout.decode()


def test_without_it_words_alone_answer_and_nothing_of_it_is_loaded(moon: Moon) -> None:
    index(moon)
    off = {"MOON_RECALL__SEMANTIC__SOURCE": "off"}
    for environment in (off, {}):
        loaded = modules_of(moon, environment, "recall", "--json", QUESTION)
        assert ("numpy" in loaded, "onnxruntime" in loaded) == (not environment, not environment)
    moon.home.vectors.unlink()
    assert not {"numpy", "onnxruntime", "tokenizers"} & modules_of(moon, {}, "recall", "--json", QUESTION)
    assert ask(moon, QUESTION, env=off)["engines"] == ["embedded"]


def modules_of(moon: Moon, environment: dict[str, str], *arguments: str) -> set[str]:
    script = "import sys; from moon.cli.launch import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-s", "-c", f"import sys; sys.argv[0] = 'launch.py'; {script}", *arguments],
        env={**os.environ, **moon.env, "PYTHONPATH": str(ROOT / "lib"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


def test_limits_hold_for_what_is_found_by_meaning(moon: Moon) -> None:
    index(moon)
    answer = ask(moon, QUESTION, "--role", "assistant")
    assert answer["results"] == []
    assert "-ferry" in json.dumps(ask(moon, "vessel -ferry")) and ask(moon, "vessel -ferry")["results"] == []


def test_a_run_makes_what_its_time_allows_the_newest_first_and_the_next_goes_on(
    moon: Moon, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moon import config as configuration
    from moon.index import vector_making

    for name, value in moon.env.items():
        monkeypatch.setenv(name, value)
    config = configuration.load(moon.home)
    times = iter([0.0, 0.0, *[100.0] * 9])
    monkeypatch.setattr(vector_making, "BATCH", 3)
    monkeypatch.setattr(vector_making.time, "monotonic", lambda: next(times))
    with open_reader(moon.home.text_index) as opened:
        newest = [*texts_of(opened)]
        assert vector_making.update_vectors(moon.home, config, opened)["vectors"] == 3
        assert Vectors(moon.home.vectors).kept().keys() == {*newest[1:4]}, "what is said comes before what a tool shows"
        monkeypatch.undo()
        assert vector_making.update_vectors(moon.home, config, opened)["made"] == 8
    assert ask(moon, QUESTION)["results"][0]["event_id"] in ("e0", "t1")


def test_vectors_of_rows_that_are_gone_go_and_a_rebuilt_index_keeps_the_others(moon: Moon) -> None:
    index(moon)
    before = Vectors(moon.home.vectors).kept()
    report = moon.ok("index", "--rebuild", "--json").json()
    assert report["details"][0]["vectors"]["made"] == 0
    Vectors(moon.home.vectors).check()
    assert sorted(Vectors(moon.home.vectors).kept().values()) == sorted(before.values())
    [archive] = (line["archive_path"] for line in moon.ledger() if line["kind"] == "archive")
    from moon.fulltext import open_writer

    with open_writer(moon.home.text_index) as opened:
        [sha256] = opened.segment_shas()
        opened.forget_segment(sha256)
        opened.finish()
    (moon.home.root / archive).unlink()
    moon.run("index", "--all")
    assert not moon.home.vectors.exists() or not len(Vectors(moon.home.vectors))


def test_another_model_makes_them_anew(moon: Moon) -> None:
    index(moon)
    write_model(moon.folder / "model", {word: (*place, 0.5) for word, place in PLACES.items()})
    answer = ask(moon, QUESTION)
    assert answer["engines"] == ["embedded"]
    assert answer["degraded"] == ["meaning: another model made the vectors; `moon-index --all` makes them anew"]
    assert index(moon)["made"] == 11
    assert ask(moon, QUESTION)["degraded"] == []


@pytest.mark.parametrize("fault", ["no vectors", "head", "record", "no model", "half a model"])
def test_a_fault_costs_only_the_meaning_and_its_remedy_helps(moon: Moon, fault: str) -> None:
    index(moon)
    vectors, model = moon.home.vectors, moon.folder / "model" / "model.onnx"
    said = {
        "no vectors": ("no vectors yet", "moon-index --all"),
        "head": ("the vectors are damaged", "moon-index --all"),
        "record": ("the vectors are damaged", "moon-index --all"),
        "no model": ("there is no", "put the file there"),
        "half a model": ("cannot be used as a model", "copy the model again"),
    }[fault]
    data = bytearray(vectors.read_bytes())
    if fault == "no vectors":
        vectors.unlink()
    elif fault == "head":
        vectors.write_bytes(b"?" + data[1:])
    elif fault == "record":
        for at in range(HEADER + 22, len(data), 23):
            data[at] ^= 7
        vectors.write_bytes(data)
    elif fault == "no model":
        model.unlink()
    else:
        model.write_bytes(model.read_bytes()[:100])
        vectors.unlink()
        assert index(moon)["outcome"] == "failed"
        vectors.write_bytes(data)
    answer = ask(moon, "Which pier does the ferry depart from?")
    assert answer["results"][0]["event_id"] == "e0"
    assert answer["engines"] == ["embedded"]
    [words] = answer["degraded"]
    assert all(each in words for each in said) or "another model" in words
    write_model(model.parent, PLACES)
    assert index(moon)["vectors"] == 11
    assert ask(moon, QUESTION)["engines"] == ["embedded", "meaning"]


def test_no_fault_of_it_stops_the_index(moon: Moon) -> None:
    missing = {"MOON_RECALL__SEMANTIC__FOLDER": str(moon.folder / "nowhere")}
    told = index(moon, env=missing)
    assert told["outcome"] == "failed" and "there is no" in told["reason"] and told["hint"]
    assert [entry["outcome"] for entry in moon.audit("vectors")] == ["failed"]


def test_switched_off_they_are_removed(moon: Moon) -> None:
    index(moon)
    assert index(moon, env={"MOON_RECALL__SEMANTIC__SOURCE": "off"})["outcome"] == "off"
    assert not moon.home.vectors.exists()


def test_messages_in_a_language_that_the_model_does_not_know_get_none(moon: Moon) -> None:
    moon.extra["MOON_RECALL__SEMANTIC__LANGUAGES"] = "hi"
    told = index(moon)
    assert (told["rows"], told["outcome"]) == (11, "done")
    assert told["vectors"] < 11
    assert ask(moon, QUESTION)["engines"] == ["embedded"]
    assert index(moon)["outcome"] == "nothing", "nobody asks again"
