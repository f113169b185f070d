"""The timer, run by the real systemd: three firings, a failure, a held lock, a frozen manager, a reboot, taken off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).with_name("timer_for_real.py")
APART = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def cannot() -> str:
    """Why this machine cannot have a manager of its own for a test; CI can."""
    if os.geteuid() != 0:
        return "namespaces need root here"
    missing = [each for each in ("/lib/systemd/systemd", "/lib/systemd/systemd-journald") if not Path(each).exists()]
    return f"not installed: {', '.join(missing)}" if missing or not shutil.which("unshare") else ""


@pytest.mark.skipif(bool(cannot()), reason=cannot())
def test_timer_under_the_real_systemd(tmp_path: Path) -> None:
    command = [*APART, sys.executable, str(RECIPE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "timer:     running" in seen["installed"]
    assert seen["after three"] == "success"
    assert seen["failure code"] == "78"
    assert any("interval_seconds" in line for line in seen["failure"]), "the journal says which key was meant"
    assert seen["locked"] == "success", "a lock that another holds is no failure"
    assert seen["ticks while frozen"] == 0
    assert seen["active after reboot"] == "active"
    assert seen["active after uninstall"] == "inactive"
    assert sorted(path.name for path in (tmp_path / "user").iterdir()) == [".lilac_metaflora", ".openclaw"]
