"""`make clean` does not take the commands away that `make install` made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from tests.support.moon import ROOT


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "a checkout"
    (folder / "lib").mkdir(parents=True)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / ".venv").mkdir()
    (folder / ".pytest_cache").mkdir()
    return folder


def make(checkout, target):
    environment = {**os.environ, "MOON_HOME": str(checkout / "home")}
    environment.pop("MAKEFLAGS", None)
    return subprocess.run(["make", target], cwd=checkout, env=environment, capture_output=True, text=True)


def test_clean_leaves_the_environment(checkout):
    assert make(checkout, "clean").returncode == 0
    assert (checkout / ".venv").exists() and not (checkout / ".pytest_cache").exists()


def test_distclean_is_refused_while_commands_run_from_here(checkout):
    manifest = checkout / "home" / "state" / "install.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schema": "moon.install/1", "checkout": str(checkout)}, indent=1))
    done = make(checkout, "distclean")
    assert done.returncode != 0 and "make uninstall" in done.stderr and (checkout / ".venv").exists()
    manifest.unlink()
    assert make(checkout, "distclean").returncode == 0 and not (checkout / ".venv").exists()
