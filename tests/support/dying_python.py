"""In the place of the interpreter (`MOON_PYTHON`): runs the same program, and is killed at the step that was chosen.

`DIES_AT`: how many steps are left, also behind an exec. A step is a call that changes a file or talks to somebody: a
write, a sync, another name, a statement for a database, a word to the gateway, the start of a program. What was left at
the end stands in the file `DIES_NOTE`.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

CALLS = (
    (os, ("write", "fsync", "ftruncate", "truncate")),
    (Path, ("replace", "rename", "unlink", "mkdir")),
    (socket.socket, ("send", "sendall", "connect")),
    (subprocess.Popen, ("__init__",)),
)
STATEMENTS = ("execute", "executemany", "executescript", "commit", "__exit__")
REAL_WRITE = os.write
_left = int(os.environ["DIES_AT"])


def step() -> None:
    """One step more; the last one is not reached."""
    global _left
    _left -= 1
    if _left < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def stepping(function: Any) -> Any:
    """The function, behind a step."""

    def stepped(*arguments: Any, **options: Any) -> Any:
        step()
        return function(*arguments, **options)

    return stepped


class Connection(sqlite3.Connection):
    """A database each of whose statements is a step."""


for _name in STATEMENTS:
    setattr(Connection, _name, stepping(getattr(sqlite3.Connection, _name)))


def connect(*arguments: Any, **options: Any) -> Any:
    """`sqlite3.connect`."""
    return REAL_CONNECT(*arguments, **{"factory": Connection, **options})


def execv(program: Any, arguments: Any) -> None:
    """`os.execv`, with what is left handed on."""
    step()
    os.environ["DIES_AT"] = str(_left)
    REAL_EXECV(program, arguments)


def note() -> None:
    """Say what was left."""
    file = os.open(os.environ["DIES_NOTE"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    REAL_WRITE(file, str(_left).encode())
    os.close(file)


REAL_CONNECT, REAL_EXECV = sqlite3.connect, os.execv

if __name__ == "__main__":
    sys.argv = [each for each in sys.argv[1:] if each not in ("-E", "-s")]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    for _place, _names in CALLS:
        for _name in _names:
            setattr(_place, _name, stepping(getattr(_place, _name)))
    sqlite3.connect = connect
    os.execv = execv
    atexit.register(note)
    runpy.run_path(sys.argv[0], run_name="__main__")
