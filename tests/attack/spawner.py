"""Start programs from a process that is small, and say what each of them took.

The kernel counts the memory of whoever forks into the peak of the program that is started, so that one who remembers a
whole day cannot measure a tick.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SMALL = """
import json, os, subprocess, sys
for line in sys.stdin:
    argv, env, errors = json.loads(line)
    with open(errors, "wb") as said:
        child = subprocess.Popen(argv, env=env, stdin=-3, stdout=-3, stderr=said, start_new_session=True)
    _, status, used = os.wait4(child.pid, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss]), flush=True)
"""
BYTES = 1 if sys.platform == "darwin" else 1024


class Took(NamedTuple):
    """How a program ended, what it took, what it said."""

    code: int
    cpu_ms: float
    memory_mib: float
    errors: str


class Spawner:
    """The small process. `with Spawner(folder) as spawner: spawner.run(…)`"""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "spawned.err"

    def __enter__(self) -> Spawner:
        self.process = subprocess.Popen(
            [sys.executable, "-E", "-S", "-c", SMALL],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def run(self, argv: list[str], env: dict[str, str]) -> Took:
        """Run a program in a session of its own, to its end."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([argv, env, str(self.errors)]) + "\n")
        self.process.stdin.flush()
        code, seconds, peak = json.loads(self.process.stdout.readline())
        errors = self.errors.read_bytes().decode("utf-8", "replace")
        return Took(code, seconds * 1000, peak * BYTES / (1 << 20), errors)
