"""QMD as the index station uses it. The fake says what the real 2.8.3 was seen to say, the good and the bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.events import conversation
from tests.support.moon import Moon
from tests.support.programs import write_python_program
from tests.support.stores import JsonlStoreBuilder

KEY = "agent:main:main"

# Collections are remembered in a file beside the script; `mode` picks how it misbehaves.
FAKE = """\
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
mode = (here / "mode").read_text() if (here / "mode").exists() else ""
memory = here / "memory.json"
known = json.loads(memory.read_text()) if memory.exists() else {}
with (here / "calls").open("a") as stream:
    stream.write(json.dumps([sys.argv[1:], oct(os.umask(0)), "MOON_LOCK_FD" in os.environ]) + "\\n")
words = sys.argv[3:]
if mode == "hang":
    time.sleep(600)
if mode == "trace":
    sys.exit("node:internal\\n\\nSqliteError: file is not a database\\n    at Database.exec")
if mode == "silent":
    sys.exit(0)
if mode == "lie":
    print("No results found.")
    sys.exit(0)
if mode == "flood":
    while True:
        print("x" * 100000)
def index(name):
    pages = sorted(str(each) for each in pathlib.Path(known[name]["path"]).rglob("*.md"))
    before = known[name]["files"]
    if mode == "short":
        pages = pages[1:]
    known[name]["files"] = pages
    print(f"Collection: {known[name]['path']} (**/*.md)\\n")
    new = len(set(pages) - set(before))
    gone = len(set(before) - set(pages))
    print(f"Indexed: {new} new, 0 updated, {len(pages) - new} unchanged, {gone} removed\\n")
    memory.write_text(json.dumps(known))
if words == ["update"]:
    if not known:
        print("No collections found. Run 'qmd collection add .' to index markdown files.")
    for number, name in enumerate(known, 1):
        print(f"[{number}/{len(known)}] {name} (**/*.md)")
        index(name)
elif words[:2] == ["collection", "add"]:
    path, name = words[2], words[4]
    if name in known:
        sys.exit(f"Collection '{name}' already exists.")
    known[name] = {"path": path, "files": []}
    index(name)
elif words[:2] == ["collection", "remove"]:
    known.pop(words[2])
    memory.write_text(json.dumps(known))
"""


class FakeQmd:
    """A `qmd` of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.program = write_python_program(folder / "qmd", FAKE)

    def misbehave(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def calls(self) -> list[list[str]]:
        return [call for call, _, _ in self.records()]

    def records(self) -> list[tuple[list[str], str, bool]]:
        lines = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def knows(self) -> dict:
        return json.loads((self.folder / "memory.json").read_text())

    def set_known(self, known: dict) -> None:
        (self.folder / "memory.json").write_text(json.dumps(known))


@pytest.fixture
def qmd(tmp_path: Path) -> FakeQmd:
    return FakeQmd(tmp_path / "qmd")


@pytest.fixture
def moon(tmp_path: Path, qmd: FakeQmd) -> Moon:
    made = Moon(tmp_path, {"MOON_QMD__ENABLED": "auto", "MOON_QMD__BIN": str(qmd.program)})
    for name in ("s1", "s2"):
        JsonlStoreBuilder(made.state_dir).put(f"agent:main:{name}", name, conversation(name, 2))
    made.ok("archive", "--all")
    return made


def run(moon: Moon, **env: str) -> dict:
    """Index everything; the station's record, whose sessions must be unharmed by whatever QMD did."""
    record = moon.ok("index", "--all", env=env).json()["stations"][-1]
    assert {entry["outcome"] for entry in record["sessions"]} <= {"done", "nothing"}
    return record


def test_the_pages_become_a_collection_once_a_run(moon: Moon, qmd: FakeQmd) -> None:
    assert run(moon)["qmd"] == {"outcome": "done", "files": 2, "changed": 2}
    place = str(moon.home.markdown.resolve())
    added = ["--index", "moon", "collection", "add", place, "--name", "history"]
    assert qmd.calls() == [["--index", "moon", "update"], added]
    assert run(moon)["qmd"] == {"outcome": "nothing", "reason": "no page is new"}
    assert len(qmd.calls()) == 2
    assert [line["outcome"] for line in moon.audit("qmd")] == ["done"]


def test_qmd_runs_privately_and_without_the_lock(moon: Moon, qmd: FakeQmd) -> None:
    run(moon)
    assert {(umask, has_lock) for _, umask, has_lock in qmd.records()} == {("0o77", False)}


def test_names_come_from_the_configuration(moon: Moon, qmd: FakeQmd) -> None:
    run(moon, MOON_QMD__INDEX="other", MOON_QMD__COLLECTION="past")
    assert list(qmd.knows()) == ["past"]
    assert {call[1] for call in qmd.calls()} == {"other"}


def test_other_collections_of_the_index_do_not_confuse(moon: Moon, qmd: FakeQmd, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n.md").write_text("# n")
    qmd.set_known({"notes": {"path": str(tmp_path / "notes"), "files": []}})
    assert run(moon)["qmd"]["files"] == 2
    (moon.home.index / "qmd.told").unlink()
    assert run(moon)["qmd"] == {"outcome": "nothing", "files": 2, "changed": 0}


def test_qmd_reads_all_pages_again_only_when_one_is_new(moon: Moon, qmd: FakeQmd) -> None:
    run(moon)
    JsonlStoreBuilder(moon.state_dir).put("agent:main:s3", "s3", conversation("s3", 2))
    moon.ok("archive", "--all")
    qmd.misbehave("trace")
    assert run(moon)["qmd"]["outcome"] == "failed"
    qmd.misbehave("")
    assert run(moon)["qmd"] == {"outcome": "done", "files": 3, "changed": 1}
    calls = len(qmd.calls())
    assert run(moon)["qmd"]["reason"] == "no page is new" and len(qmd.calls()) == calls
    assert run(moon, MOON_QMD__COLLECTION="past")["qmd"]["files"] == 3
    moon.ok("index", "--rebuild", env={"MOON_QMD__COLLECTION": "past"})
    assert len(qmd.calls()) > calls + 2


def test_pages_are_made_when_qmd_comes_and_stay_when_it_goes(moon: Moon, qmd: FakeQmd, tmp_path: Path) -> None:
    by_itself = {"MOON_INDEX__PROJECTION": "auto"}
    absent = {**by_itself, "MOON_QMD__BIN": str(tmp_path / "missing")}
    assert [entry["outcome"] for entry in run(moon, **absent)["sessions"]] == ["done", "done"]
    assert not moon.home.markdown.exists()
    assert b"\n> " in moon.ok("recall", "--session", "agent:main:s1", "--format", "md").stdout
    assert run(moon, **by_itself)["qmd"]["files"] == 2
    assert len(list(moon.home.markdown.rglob("*.md"))) == 2
    run(moon, **absent)
    moon.ok("index", "--rebuild", env=absent)
    assert len(list(moon.home.markdown.rglob("*.md"))) == 2


@pytest.mark.parametrize(
    ("env", "pages"),
    [
        ({"MOON_INDEX__PROJECTION": "off"}, 0),
        ({"MOON_INDEX__MARKDOWN": "false"}, 0),
        ({"MOON_INDEX__PROJECTION": "off", "MOON_INDEX__MARKDOWN": "true"}, 2),
        ({"MOON_INDEX__PROJECTION": "always", "MOON_QMD__ENABLED": "false"}, 2),
        ({"MOON_INDEX__PROJECTION": "auto", "MOON_QMD__ENABLED": "false"}, 0),
    ],
)
def test_pages_as_they_are_asked_for(moon: Moon, env: dict[str, str], pages: int) -> None:
    run(moon, **env)
    assert len(list(moon.home.markdown.rglob("*.md"))) == pages


def test_a_collection_of_another_home_is_left_alone(moon: Moon, qmd: FakeQmd, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    qmd.set_known({"history": {"path": str(tmp_path / "elsewhere"), "files": []}})
    done = run(moon)["qmd"]
    assert done["outcome"] == "failed" and "belongs to" in done["reason"] and "qmd.index" in done["hint"]
    assert qmd.knows()["history"]["path"] == str(tmp_path / "elsewhere")


def test_a_collection_follows_a_home_that_moved(moon: Moon, qmd: FakeQmd, tmp_path: Path) -> None:
    qmd.set_known({"history": {"path": str(tmp_path / "gone"), "files": ["x.md"]}})
    assert run(moon)["qmd"]["outcome"] == "done"
    assert qmd.knows()["history"]["path"] == str(moon.home.markdown.resolve())


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("hang", "gave no answer in time"),
        ("flood", "printed more"),
        ("trace", "file is not a database"),
        ("silent", "answered nothing"),
        ("lie", "No results found."),
        ("short", "indexed 1 files of 2"),
    ],
)
def test_a_broken_qmd_costs_only_its_own_step(moon: Moon, qmd: FakeQmd, mode: str, words: str) -> None:
    qmd.misbehave(mode)
    done = run(moon, **({"MOON_QMD__TIMEOUT_SECONDS": "1"} if mode == "hang" else {}))["qmd"]
    assert done["outcome"] == "failed" and words in done["reason"] and done["hint"]
    assert moon.audit("qmd")[-1]["outcome"] == "failed"
    qmd.misbehave("")
    assert run(moon)["qmd"]["files"] == 2


def test_a_qmd_that_is_not_there(moon: Moon, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert run(moon, MOON_QMD__BIN=missing)["qmd"]["outcome"] == "absent"
    required = run(moon, MOON_QMD__BIN=missing, MOON_QMD__ENABLED="true")["qmd"]
    assert required["outcome"] == "failed" and "install QMD" in required["hint"]


def test_qmd_can_be_switched_off(moon: Moon, qmd: FakeQmd) -> None:
    assert run(moon, MOON_QMD__ENABLED="false")["qmd"]["outcome"] == "off"
    assert qmd.calls() == []
