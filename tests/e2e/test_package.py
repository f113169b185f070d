"""The wheel: built from the checkout, installed on the oldest and the newest Python, put to work, taken off again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.events import conversation
from tests.support.stores import NOW_MS, SqliteStoreBuilder

from moon.clock import format_ms

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("lib", "schemas", "systemd", "launchd", "pyproject.toml", "setup.py", "README.md", "LICENSE")
RECORDER = '#!/bin/sh\necho "systemctl $*" >>"$RECORD"\n'


def interpreters() -> list[str]:
    """The oldest and the newest Python that Moon is for, as far as this machine has them, and the one at hand."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in ("3.10", "3.13"):
        named = shutil.which(f"python{version}")
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python3"))
        # A version manager's stand-in can be on PATH and start nothing.
        for path in [*([named] if named else []), *map(str, kept)]:
            if subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0:
                found.setdefault(version, path)
    return list(found.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no build folder is left in the checkout."""
    folder = tmp_path_factory.mktemp("build")
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder / "out"), "."]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    (built,) = (folder / "out").glob("*.whl")
    return built


class Machine:
    """A user's home, the package in an environment of its own, a systemctl that only writes down what it is asked."""

    def __init__(self, folder: Path, python: str, wheel: Path) -> None:
        self.folder = folder
        self.home = folder / "user"
        self.home.mkdir()
        self.bin = folder / "env" / "bin"
        subprocess.run([python, "-m", "venv", str(folder / "env")], check=True, timeout=120)
        subprocess.run([str(self.bin / "pip"), "install", "--quiet", str(wheel)], check=True, timeout=600)
        fakes = folder / "fakes"
        fakes.mkdir()
        (fakes / "systemctl").write_text(RECORDER)
        (fakes / "systemctl").chmod(0o755)
        self.env = {
            "PATH": f"{fakes}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "RECORD": str(folder / "record"),
            "MOON_QMD__ENABLED": "false",
            "MOON_NOW": format_ms(NOW_MS),
        }

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.bin / command), *arguments],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command} {arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


def everything(folder: Path) -> list[str]:
    """Every path, but for what SQLite keeps beside a database that somebody reads."""
    return sorted(str(path) for path in folder.rglob("*") if path.suffix not in (".sqlite-shm", ".sqlite-wal"))


@pytest.mark.parametrize("python", interpreters())
def test_installed_from_the_wheel_it_does_the_whole_job(tmp_path: Path, wheel: Path, python: str) -> None:
    machine = Machine(tmp_path, python, wheel)
    store = SqliteStoreBuilder(machine.home / ".openclaw")
    store.put("agent:main:main", "s1", conversation("s1", 6), used=82_000, window=100_000, budget=100_000)
    (machine.home / ".openclaw" / "workspace").mkdir()
    before = everything(machine.home)
    assert machine.run("moon", "--version").stdout.startswith("moon ")
    words = machine.run("moon-install").stdout
    assert "1 agent, 1 session" in words
    assert "moon-recall in 1 of 1 workspace" in words
    unit = (machine.home / ".config" / "systemd" / "user" / "moon-sample.service").read_text()
    assert f'ExecStart="{machine.bin}/moon-sample"' in unit
    # One tick as the timer runs it: each station starts the next from the package's own commands.
    machine.run("moon-sample")
    document = json.loads(next((machine.home / ".lilac_metaflora" / "state" / "cycles").glob("*.json")).read_bytes())
    assert [each["station"] for each in document["stations"]] == ["archive", "index"]
    found = json.loads(machine.run("moon", "recall", "question 3", "--json").stdout)
    assert found["results"]
    machine.run("moon-archive", "--verify")
    machine.run("moon-post-upgrade")
    machine.run("moon-install", "uninstall")
    shutil.rmtree(machine.home / ".lilac_metaflora")
    assert everything(machine.home) == before
