"""One odd text as every name and word, through every way out: nothing in it reaches a terminal, a page or a model.

The executables come from the launcher's own list, so a new one has to say here how it is run.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.support.exits import RUNS, Exit, describe, raw_characters, visit
from tests.support.moon import FAKES, ROOT

from moon.cli.launch import TOOLS

PACKAGE = ROOT / "lib" / "moon"
ODD = (
    "a\x1b[2Jb\x1b]0;owned\x07c\x9b31md\x9d0;e\x85f\x7fg\u202eh\u2066i\u200ej\u2028k\u200bl\ufeffm\u00adn\U000e0041o\ue0b0p"
    "\u200dq\ufe0fr\u061cs\u2060t\x08u\rv\x0bw"
)
# Who may write to the standard streams: the one place for it, and a protocol that owns them.
WRITERS = {"output.py", "recall/mcp_server.py"}


@pytest.fixture(scope="module")
def gone_out(tmp_path_factory: pytest.TempPathFactory) -> list[Exit]:
    return visit(tmp_path_factory.mktemp("exits") / "machine", ODD, TOOLS)


def test_every_executable_is_sent_through() -> None:
    assert set(RUNS) == set(TOOLS)


def test_nothing_raw_comes_out_anywhere(gone_out: list[Exit]) -> None:
    assert describe(gone_out) == []


@pytest.mark.parametrize(
    "kind",
    [
        "prompt to a model",
        "message to a session",
        "file archives/md",
        "file memory",
        "file continuity/.md",
        "file distillations",
        "file state/cycles",
        "file skills/moon-system/logs",
    ],
)
def test_the_text_did_go_every_way(gone_out: list[Exit], kind: str) -> None:
    """Else the test above would praise an empty page."""
    assert any(
        each.name.startswith(kind) and "lantern" in each.text or "owned" in each.text
        for each in gone_out
        if each.name.startswith(kind)
    ), sorted({each.name for each in gone_out})


def test_programs_get_the_exact_key(gone_out: list[Exit]) -> None:
    (usage,) = [each.text for each in gone_out if each.name == "moon-sample --no-exec (pipe) stdout"]
    assert f"agent:main:{ODD}" in [each["session_key"] for each in json.loads(usage)["sessions"]]
    (answer,) = [each.text for each in gone_out if each.name == "moon-recall --context (pipe) stdout"]
    shown = {
        each["event_id"]
        for result in json.loads(answer)["results"]
        for each in (result, *result["before"], *result["after"])
    }
    # Two sessions hold the same words; which of them stands for both is no promise, that its id is exact is one.
    assert shown & {f"n-1{ODD}", f"o-1{ODD}"}


def test_the_eye_of_this_test_sees() -> None:
    assert raw_characters("plain é ❤\n\t") == []
    assert set(raw_characters(ODD)) == {char for char in ODD if not char.isprintable()} - set("\u200d")


def test_only_one_place_writes_to_the_standard_streams() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            stream = isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__")
            if stream and isinstance(node.value, ast.Name) and node.value.id == "sys":
                found.add(str(path.relative_to(PACKAGE)))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "input"):
                found.add(str(path.relative_to(PACKAGE)))
    assert found <= WRITERS, "words go out through moon.output"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("how", ["full", "closed"])
def test_a_standard_output_that_takes_nothing_is_said_as_that(tool: str, how: str, tmp_path: Path) -> None:
    if how == "full" and not Path("/dev/full").exists():
        how = "closed"  # no such device on macOS
    arguments = {"recall": "x", "watch": "--help", "sample": "--no-exec"}.get(tool, "--help")
    command = f'"$0" {arguments} ' + (">/dev/full" if how == "full" else ">&-")
    environment = {
        "PATH": f"{FAKES}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MOON_HOME": str(tmp_path / "moon"),
        "OPENCLAW_STATE_DIR": str(tmp_path / "none"),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command, str(ROOT / "bin" / f"moon-{tool}")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "report it as a bug" not in done.stderr and "Exception ignored" not in done.stderr
    if how == "full" or arguments != "--help":
        assert done.returncode == 1
        assert "cannot write to standard output" in done.stderr
