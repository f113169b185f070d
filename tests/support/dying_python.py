"""In the place of the interpreter (`MOON_PYTHON`): runs the same program, and is killed at the step that was chosen.

`DIES_AT`: how many steps are left, also behind an exec. A step is a call that changes a file or talks to somebody: a
write, a sync, another name, a statement for a database, a word to the gateway, the start of a program. What was left at
the end stands in the file `DIES_NOTE`, and behind it how many descriptors an exec handed on at most.
`DIES_OF`: an errno by its name (`ENOSPC`); each step from the chosen one on fails with it, and nobody is killed.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
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
CAUSE = os.environ.get("DIES_OF", "")
_left = int(os.environ["DIES_AT"])
_handed_on = int(os.environ.get("DIES_HANDED_ON", "0"))


def step(in_database: bool = False) -> None:
    """One step more; the last one is not reached, or fails."""
    global _left
    _left -= 1
    if _left >= 0:
        return
    if not CAUSE:
        os.kill(os.getpid(), signal.SIGKILL)
    if in_database:
        raise sqlite3.OperationalError("database or disk is full" if CAUSE == "ENOSPC" else "disk I/O error")
    number = getattr(errno, CAUSE)
    raise OSError(number, os.strerror(number))


def stepping(function: Any, in_database: bool = False) -> Any:
    """The function, behind a step."""

    def stepped(*arguments: Any, **options: Any) -> Any:
        # Words for people are no files.
        if not (function is REAL_WRITE and arguments[0] in (1, 2)):
            step(in_database)
        return function(*arguments, **options)

    return stepped


class Connection(sqlite3.Connection):
    """A database each of whose statements is a step."""


for _name in STATEMENTS:
    setattr(Connection, _name, stepping(getattr(sqlite3.Connection, _name), in_database=True))


def connect(*arguments: Any, **options: Any) -> Any:
    """`sqlite3.connect`."""
    return REAL_CONNECT(*arguments, **{"factory": Connection, **options})


def execv(program: Any, arguments: Any) -> None:
    """`os.execv`, with what is left handed on."""
    if not CAUSE:
        step()
    os.environ["DIES_AT"] = str(_left)
    os.environ["DIES_HANDED_ON"] = str(max(_handed_on, inheritable()))
    REAL_EXECV(program, arguments)


def inheritable() -> int:
    """How many descriptors beside the standard ones the next program gets; 0 where nobody can tell."""
    count = 0
    with contextlib.suppress(OSError):
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                count += int(each.name) > 2 and os.get_inheritable(int(each.name))
    return count


def note() -> None:
    """Say what was left."""
    file = os.open(os.environ["DIES_NOTE"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    REAL_WRITE(file, f"{_left} {_handed_on}".encode())
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
