"""What an idle tick and one answer of recall do, counted and held against what was recorded here. No clock is read.

Counted everywhere: files opened, folders listed, modules loaded, databases, programs. Where the system tells: bytes
read, system calls (strace), instructions beside those of the bare interpreter (valgrind). A bound that is passed says
that something dear came onto the path; raise it only for something that is worth it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.test_quiet_tick import LONG_AGO, wait_until_settled
from tests.support import events
from tests.support.moon import ROOT, Moon
from tests.support.stores import SqliteStoreBuilder

COUNTED = """
import sys
counts = {}
WATCHED = {"open", "os.listdir", "os.scandir", "import", "sqlite3.connect", "subprocess.Popen", "socket.connect"}
def count(event, arguments):
    if event in WATCHED:
        counts[event] = counts.get(event, 0) + 1
def read_so_far():
    try:
        with open("/proc/self/io") as stream:
            return int(stream.read().split()[1])
    except OSError:
        return 0
sys.path.insert(0, sys.argv.pop(1))
before = read_so_far()
sys.addaudithook(count)
from moon.cli.launch import main
code = main()
found = {**counts, "bytes": read_so_far() - before}
loaded = sorted(sys.modules)
import json
print(json.dumps([code, found, loaded]), file=sys.stderr)
"""
# As recorded on Python 3.11, and a third of room: another version loads some modules more or fewer.
IDLE_TICK = {"open": 16, "os.listdir": 8, "os.scandir": 3, "import": 16, "bytes": 50_000}
RECALL = {"open": 120, "os.listdir": 16, "os.scandir": 2, "import": 160, "sqlite3.connect": 1, "bytes": 2_300_000}
STATUS = {"open": 160, "os.listdir": 21, "os.scandir": 13, "import": 205, "sqlite3.connect": 2, "bytes": 3_000_000}
NOTHING_TO_DO = {
    "open": 230,
    "os.listdir": 25,
    "os.scandir": 4,
    "import": 285,
    "sqlite3.connect": 4,
    "bytes": 4_100_000,
}
# What takes long to load and no tool needs that finds nothing new; and what one answer can do without beside.
DEAR = {"jsonschema", "yaml", "dateutil", "requests", "re2", "urllib.request", "http.client", "email", "ssl", "asyncio"}
DEAR_TO_AN_ANSWER = DEAR | {"moon.documents", "dataclasses", "hashlib", "subprocess", "shutil", "difflib", "threading"}
# Beyond those of the interpreter alone.
IDLE_TICK_CALLS = 290
IDLE_TICK_INSTRUCTIONS = 1.35


def moon_with(folder: Path, sessions: int) -> Moon:
    """A Moon that has archived and indexed so many sessions and has nothing to do."""
    # The clock itself: to read another time from a variable would load a calendar.
    moon = Moon(folder, {"MOON_NOW": "", "PYTHONHASHSEED": "0"})
    store = SqliteStoreBuilder(moon.state_dir)
    for number in range(sessions):
        store.put(f"agent:main:k{number}", f"s{number}", events.conversation(f"s{number}", 1), at=LONG_AGO)
    for _ in range(3):
        moon.ok("sample")
        wait_until_settled(folder)
    moon.ok("sample")
    return moon


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return moon_with(tmp_path_factory.mktemp("small"), 3)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    return moon_with(tmp_path_factory.mktemp("larger"), 60)


def watched(moon: Moon, *arguments: str) -> tuple[dict[str, int], set[str]]:
    """What one run of a tool did, and all modules that it loaded; once before, so that every module is compiled."""
    argv = [sys.executable, "-E", "-s", "-c", COUNTED, str(ROOT / "lib"), *arguments]
    for _ in range(2):
        done = subprocess.run(argv, env=moon.env, capture_output=True, text=True, timeout=120, check=True)
    code, found, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    return found, set(loaded)


def counted(moon: Moon, *arguments: str) -> dict[str, int]:
    return watched(moon, *arguments)[0]


def within(found: dict[str, int], bounds: dict[str, int]) -> dict[str, tuple[int, int]]:
    """(found, bound) of each count that is above what was recorded; nothing else may happen at all."""
    return {name: (count, bounds.get(name, 0)) for name, count in found.items() if count > bounds.get(name, 0)}


def test_an_idle_tick_does_no_more_than_was_recorded(small):
    assert within(counted(small, "sample"), IDLE_TICK) == {}


def test_an_idle_tick_does_the_same_however_many_sessions_there_are(small, larger):
    few, many = counted(small, "sample"), counted(larger, "sample")
    assert many.pop("bytes") <= few.pop("bytes") + 200, "the digits of larger numbers, and no more"
    assert few == many


def test_one_answer_does_no_more_than_was_recorded(small):
    found, loaded = watched(small, "recall", "answer", "--json")
    assert within(found, RECALL) == {}
    assert loaded & DEAR_TO_AN_ANSWER == set()


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        (["status", "--json"], STATUS),
        (["archive", "--session", "agent:main:k0", "--json"], NOTHING_TO_DO),
        (["index", "--session", "agent:main:k0", "--json"], NOTHING_TO_DO),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_a_tool_with_nothing_to_do_does_no_more_than_was_recorded(larger, asked, bounds):
    found, loaded = watched(larger, *asked)
    assert within(found, bounds) == {}
    assert loaded & DEAR == set()


def idle_tick(moon: Moon) -> list[str]:
    return [sys.executable, "-E", "-s", str(ROOT / "lib" / "launch.py"), "sample"]


def told_by(watcher: list[str], argv: list[str], moon: Moon, output: Path) -> str:
    """What a program says that watches another; nothing where there is none, or where it may not."""
    if not shutil.which(watcher[0]):
        return ""
    done = subprocess.run([*watcher, *argv], env=moon.env, capture_output=True, timeout=300, check=False)
    return output.read_text("utf-8") if done.returncode == 0 and output.exists() else ""


def system_calls(argv: list[str], moon: Moon, output: Path) -> int:
    """How many system calls a program makes; 0 where nobody tells."""
    return len(told_by(["strace", "-qq", "-o", str(output)], argv, moon, output).splitlines())


def test_system_calls_of_an_idle_tick(small, tmp_path):
    bare = system_calls([sys.executable, "-E", "-s", "-c", "pass"], small, tmp_path / "bare")
    tick = system_calls(idle_tick(small), small, tmp_path / "tick")
    assert tick - bare <= IDLE_TICK_CALLS


def instructions(argv: list[str], moon: Moon, output: Path) -> int:
    """Instructions of a program; 0 where nobody tells."""
    watcher = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    told = told_by([*watcher, f"--log-file={output}"], argv, moon, output)
    return next(
        (int(re.sub(r"\D", "", line.partition("refs:")[2])) for line in told.splitlines() if "refs:" in line), 0
    )


def test_instructions_of_an_idle_tick(small, tmp_path):
    bare = instructions([sys.executable, "-E", "-s", "-c", "pass"], small, tmp_path / "bare")
    tick = instructions(idle_tick(small), small, tmp_path / "tick")
    assert tick <= IDLE_TICK_INSTRUCTIONS * bare
    assert (small.home.cache / "quiet").exists(), "else it was no idle tick"
