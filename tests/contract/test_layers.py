"""Imports point one way, cli → steps → shared layers → base, and an idle tick loads nothing heavy."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "lib" / "moon"
STEPS = {
    "sampling",
    "archive",
    "index",
    "prune",
    "distill",
    "forget",
    "rollover",
    "recall",
    "status",
    "verify",
    "watch",
    "install",
    "mirror",
}
SHARED = {"copies", "shared_index", "openclaw", "vault", "fulltext", "model", "cycle", "guard", "health", "projection"}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
HEAVY = (
    "yaml",
    "jsonschema",
    "requests",
    "websockets",
    "google",
    "mcp",
    "zstandard",
    "dateutil",
    "kingfisher_sdk",
    "obstore",
    "pyrage",
)


def layer(name: str) -> int:
    """3 for the command lines, 2 for steps, 1 for what steps share, 0 for the base."""
    return 3 if name == "cli" else 2 if name in STEPS else 1 if name in SHARED else 0


def imported(path: Path) -> Iterator[str]:
    """The first part below `moon` of every import in a file, also inside functions."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "moon" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_down(path: Path) -> None:
    own = path.parts[0].removesuffix(".py")
    for name in imported(path):
        assert layer(name) <= layer(own), f"{path} imports moon.{name}, which lies above it"
        if own in STEPS:
            assert name == own or name not in STEPS, f"{path} imports moon.{name}: a step never imports another"


def test_every_folder_belongs_to_a_layer() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= STEPS | SHARED | {"cli"}


def test_no_relative_imports() -> None:
    for path in MODULES:
        tree = ast.parse((PACKAGE / path).read_text("utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path


LOADED = """
import json, sys
sys.argv = ["launch.py", *sys.argv[1:]]
from moon.cli.launch import main
try:
    code = main()
except SystemExit as ended:
    code = ended.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def modules_of(environment: dict[str, str], *arguments: str) -> tuple[int, set[str]]:
    """Run a tool in an interpreter of its own: its exit code, and what it had loaded at the end."""
    done = subprocess.run(
        [sys.executable, "-s", "-c", LOADED, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPO / "lib"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.fixture
def idle(tmp_path: Path) -> dict[str, str]:
    """A home whose configuration and state were checked and remembered, beside an OpenClaw with nothing to do."""
    sessions = tmp_path / "openclaw" / "agents" / "main" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "sessions.json").write_text("{}")
    environment = {"MOON_HOME": str(tmp_path / "moon"), "OPENCLAW_STATE_DIR": str(tmp_path / "openclaw")}
    for _ in range(2):
        assert modules_of(environment, "sample")[0] == 0
        look_again(environment)
    return environment


def look_again(environment: dict[str, str]) -> None:
    """Let the next tick look at everything."""
    Path(environment["MOON_HOME"], "state", "cache", "quiet").unlink(missing_ok=True)


def test_a_tick_that_looks_at_everything_loads_nothing_heavy(idle: dict[str, str]) -> None:
    code, loaded = modules_of(idle, "sample")
    assert code == 0 and "moon.sampling.sampler" in loaded
    assert not [name for name in HEAVY if name in loaded]


def test_a_tick_for_which_nothing_moved_loads_next_to_nothing(idle: dict[str, str]) -> None:
    code, loaded = 0, {"moon.config"}
    # Files that were written a moment ago are not trusted yet.
    for _ in range(100):
        if "moon.config" not in loaded:
            break
        code, loaded = modules_of(idle, "sample")
    assert code == 0
    own = {name for name in loaded if name.split(".")[0] == "moon"}
    assert own == {"moon", "moon.cli", "moon.cli.launch", "moon.clock", "moon.sampling", "moon.sampling.quiet"}
    assert not loaded & {"sqlite3", "hashlib", "pathlib", "datetime", "threading", "typing"}


@pytest.mark.parametrize("tool", ["sample", "archive", "recall", "distill"])
def test_help_loads_nothing_heavy(tool: str, tmp_path: Path) -> None:
    code, loaded = modules_of({"MOON_HOME": str(tmp_path / "moon")}, tool, "--help")
    assert code in (0, None)
    assert not [name for name in HEAVY if name in loaded]
