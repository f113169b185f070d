"""The timer under the real systemd: a manager of the user and a journal, both in namespaces of their own.

    unshare --mount --pid --fork --mount-proc --kill-child python tests/e2e/timer_for_real.py FOLDER

Needs root, systemd and systemd-journald; neither has to be what this machine was started with. All of it lies in
FOLDER or in file systems that nobody else sees, and ends with this process. It prints what was seen as one JSON object.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

from tests.support.events import conversation  # noqa: E402
from tests.support.stores import SqliteStoreBuilder  # noqa: E402

SERVICE, TIMER = "moon-sample.service", "moon-sample.timer"
PATIENCE = 120.0
INTERVAL = 5


class Machine:
    """A user's home, and the two daemons."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "user"
        self.home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": "/run/user-of-moon",
            "MOON_PYTHON": sys.executable,
        }
        self.manager: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start the manager, as logging in or lingering does."""
        Path(self.env["XDG_RUNTIME_DIR"]).mkdir(mode=0o700, exist_ok=True)
        self.manager = subprocess.Popen(
            ["/lib/systemd/systemd", "--user"], env={**self.env, "SYSTEMD_LOG_TARGET": "journal"}
        )
        self.until("the manager answers", lambda: self.systemctl("is-system-running").stdout.strip() == "running")

    def shut_down(self) -> None:
        """End the manager with everything that it started."""
        assert self.manager is not None
        self.manager.send_signal(signal.SIGRTMIN + 24)
        self.manager.wait(60)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", "--user", *words)

    def moon(self, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(ROOT / "bin" / f"moon-{tool}"), *words)

    def journal(self) -> list[dict[str, str]]:
        """Every entry of the unit, as the journal kept it."""
        subprocess.run(["journalctl", "--sync"], check=False, capture_output=True)
        folder = next(Path("/run/log/journal").iterdir())
        # What the manager says of the unit, and what the unit itself says.
        which = (f"USER_UNIT={SERVICE}", "+", "_TRANSPORT=stdout")
        shown = self.run("journalctl", "--directory", str(folder), "--output", "json", *which)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def finished(self) -> int:
        """How many ticks ended well."""
        return sum(entry.get("JOB_RESULT") == "done" for entry in self.journal())

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait for something that must come."""
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                print(json.dumps(self.journal()[-20:], indent=1), file=sys.stderr)
                raise SystemExit(f"this did not come: {what}")
            time.sleep(0.3)

    def more(self, ticks: int, what: str) -> None:
        """Wait for so many further ticks that end well."""
        before = self.finished()
        self.until(what, lambda: self.finished() >= before + ticks)

    def result(self) -> str:
        """How the last tick ended, in the manager's words."""
        return self.systemctl("show", "--property=Result", "--value", SERVICE).stdout.strip()

    def status(self) -> str:
        """The exit code of the last tick."""
        return self.systemctl("show", "--property=ExecMainStatus", "--value", SERVICE).stdout.strip()


def prepare() -> None:
    """File systems of our own: nothing here reaches the machine outside."""
    for folder in ("/run", "/sys/fs/cgroup"):
        subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
    group = Path("/sys/fs/cgroup/moon")
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    # Both look for this before they believe that systemd runs here.
    Path("/run/systemd/system").mkdir(parents=True)
    Path("/run/log/journal").mkdir(parents=True)
    subprocess.Popen(["/lib/systemd/systemd-journald"], stderr=subprocess.DEVNULL)
    while not Path("/run/systemd/journal/stdout").exists():
        time.sleep(0.1)


def play(machine: Machine) -> dict[str, object]:
    """Install, three firings, a failure, a held lock, a frozen manager, a reboot, and off again."""
    seen: dict[str, object] = {}
    moon_home = machine.home / ".lilac_metaflora"
    moon_home.mkdir()
    config = moon_home / "moon.yaml"
    config.write_text(f"timer: {{interval_seconds: {INTERVAL}}}\nqmd: {{enabled: false}}\n")
    SqliteStoreBuilder(machine.home / ".openclaw").put("agent:main:main", "s1", conversation("s1", 3))
    machine.boot()
    seen["installed"] = machine.moon("install").stdout
    machine.more(3, "three firings")
    seen["after three"] = machine.result()
    good = config.read_text()
    config.write_text("timer: {intervall_seconds: 5}\n")
    machine.until("a failure", lambda: machine.result() == "exit-code")
    said = [entry.get("MESSAGE", "") for entry in machine.journal()]
    seen["failure"] = [words for words in said if "intervall" in words]
    seen["failure code"] = machine.status()
    config.write_text(good)
    machine.more(1, "well again after the failure")
    with (moon_home / "state" / "cycle.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        machine.until("a tick that met the lock", lambda: machine.status() == "75")
        seen["locked"] = machine.result()
    assert machine.manager is not None
    machine.manager.send_signal(signal.SIGSTOP)
    time.sleep(3 * INTERVAL)
    before = machine.finished()
    machine.manager.send_signal(signal.SIGCONT)
    machine.more(2, "ticks after a suspension")
    seen["ticks while frozen"] = before - machine.finished() + 2
    machine.shut_down()
    machine.boot()
    machine.more(2, "ticks after a reboot")
    seen["active after reboot"] = machine.systemctl("is-active", TIMER).stdout.strip()
    seen["removed"] = machine.moon("install", "uninstall").stdout
    seen["active after uninstall"] = machine.systemctl("is-active", TIMER).stdout.strip()
    machine.shut_down()
    return seen


if __name__ == "__main__":
    prepare()
    # Not print alone: this is the first process of its namespace, and takes all others along when it ends.
    sys.stdout.write(json.dumps(play(Machine(Path(sys.argv[1]))), indent=1) + "\n")
    sys.stdout.flush()
