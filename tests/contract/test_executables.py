"""What holds for every executable: a module, a page, help with examples and exit codes, and wrong usage named."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from moon.cli.launch import TOOLS

REPO = Path(__file__).resolve().parents[2]
BIN = REPO / "bin"
EXECUTABLES = sorted(path.name for path in BIN.glob("moon-*"))


def run(program: Path | str, *arguments: str, home: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MOON_")},
        "HOME": str(home),
        "MOON_HOME": str(home / "moon"),
        "OPENCLAW_STATE_DIR": str(home / "openclaw"),
    }
    return subprocess.run(
        [str(program), *arguments],
        env=environment,
        cwd=cwd or home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_executables_are_there_and_no_other() -> None:
    assert sorted(f"moon-{tool}" for tool in TOOLS) == EXECUTABLES
    assert sorted(path.name for path in BIN.iterdir()) == ["moon", *EXECUTABLES]


@pytest.mark.parametrize("name", EXECUTABLES)
def test_is_a_link_to_the_launcher_with_a_module_and_a_page(name: str) -> None:
    assert (BIN / name).is_symlink()
    assert os.access(BIN / name, os.X_OK)
    tool = name.removeprefix("moon-").replace("-", "_")
    assert (REPO / "lib" / "moon" / "cli" / f"{tool}.py").is_file()
    page = (REPO / "docs" / "tools" / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# {name}\n")
    assert re.search(r"^(## )?Exit codes", page, re.MULTILINE), "a page tells the exit codes"


def test_the_package_gives_the_same_commands() -> None:
    tables = re.search(r"\[project\.scripts\]\n(.*?)\n\n", (REPO / "pyproject.toml").read_text("utf-8"), re.DOTALL)
    assert tables is not None
    names = [line.partition(" = ")[0] for line in tables[1].splitlines()]
    assert names == sorted(["moon", *EXECUTABLES])


def test_a_verb_is_the_same_as_the_tool_of_that_name(tmp_path: Path) -> None:
    for name in EXECUTABLES:
        verb = run(BIN / "moon", name.removeprefix("moon-"), "--version", home=tmp_path)
        assert (verb.returncode, verb.stdout) == (0, run(BIN / name, "--version", home=tmp_path).stdout)
    assert run(BIN / "moon", "--help", home=tmp_path).returncode == 0
    wrong = run(BIN / "moon", "recal", "x", home=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean 'recall'" in wrong.stderr


def test_a_mistyped_option_is_named_also_where_another_is_required(tmp_path: Path) -> None:
    wrong = run(BIN / "moon-watch", "--demon", home=tmp_path)
    assert wrong.returncode == 2
    assert "--demon" in wrong.stderr and "did you mean --daemon?" in wrong.stderr
    assert "--bogus" in run(BIN / "moon-watch", "--bogus", home=tmp_path).stderr
    assert "required" in run(BIN / "moon-watch", home=tmp_path).stderr


@pytest.mark.parametrize("name", EXECUTABLES)
def test_help_has_examples_and_exit_codes(name: str, tmp_path: Path) -> None:
    done = run(BIN / name, "--help", home=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "examples:" in done.stdout
    assert "exit codes:" in done.stdout
    assert not (tmp_path / "moon").exists()


@pytest.mark.parametrize("name", EXECUTABLES)
def test_every_option_is_on_its_page(name: str, tmp_path: Path) -> None:
    page = (REPO / "docs" / "tools" / f"{name}.md").read_text("utf-8")
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", run(BIN / name, "--help", home=tmp_path).stdout))
    known = {"--help", "--version"}
    assert sorted(option for option in options - known if option not in page) == []


@pytest.mark.parametrize("name", EXECUTABLES)
def test_wrong_usage_ends_in_2_with_a_hint(name: str, tmp_path: Path) -> None:
    # argparse looks for what is missing before it looks at what is too much.
    needed = ["--once"] if name == "moon-watch" else []
    done = run(BIN / name, *needed, "--no-such-option", home=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--no-such-option" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", EXECUTABLES)
def test_wrong_usage_with_json_gives_one_report(name: str, tmp_path: Path) -> None:
    done = run(BIN / name, "--no-such-option", "--json", home=tmp_path)
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert report["schema"] == "moon.report/1"
    assert report["command"] == name
    assert report["errors"][0]["code"] == "usage"


@pytest.mark.parametrize("name", EXECUTABLES)
def test_works_through_links_and_from_another_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "near").symlink_to(BIN / name)
    (tmp_path / "far").mkdir()
    link = tmp_path / "far" / name
    link.symlink_to(Path("..") / "near")
    plain = run(BIN / name, "--version", home=tmp_path)
    done = run(Path("far") / name, "--version", home=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert done.stdout.startswith(name)


@pytest.mark.parametrize("name", EXECUTABLES)
def test_invalid_configuration_is_named_with_the_nearest_key(name: str, tmp_path: Path) -> None:
    (tmp_path / "moon").mkdir()
    (tmp_path / "moon" / "moon.yaml").write_text("treshold: {archive: 0.7}\n")
    arguments = {"moon-recall": ["anything"], "moon-watch": ["--once"]}.get(name, [])
    if name in ("moon-archive", "moon-index", "moon-prune", "moon-distill", "moon-rollover"):
        arguments = ["--all"]
    done = run(BIN / name, *arguments, home=tmp_path)
    # For moon-verify and moon-status it is one finding among others; recall goes on with the defaults and says so.
    assert done.returncode == {"moon-verify": 1, "moon-status": 1, "moon-recall": 0}.get(name, 78)
    assert "treshold" in done.stdout + done.stderr
    assert "thresholds" in done.stdout + done.stderr
