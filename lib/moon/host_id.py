"""Which machine this MOON_HOME is of, where several share a bucket or a database: MOON_HOME/host.json, made once.

`id` names the host for ever, also after it was restored elsewhere. `writer` is new with every home that goes on as that
host, so that two of them at once are noticed: whoever restores takes over from the writer that it found.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from moon import schema
from moon.clock import now_text
from moon.errors import DocumentInvalid
from moon.files import atomic_writer, read_bounded, write_all
from moon.paths import Home, safe_name

SCHEMA = "moon.host/1"
FILE = "host.json"


class Host(NamedTuple):
    """A host as its home knows it. `name`: what the machine was called when the home was made."""

    id: str
    name: str
    writer: str
    made_at: str
    took_over: tuple[str, ...] = ()


def host_file(home: Home) -> Path:
    """Where it stands."""
    return home.root / FILE


def known_host(home: Home) -> Host | None:
    """The host of this home; None where it has no name yet. Raises `DocumentInvalid`."""
    path = host_file(home)
    try:
        document = json.loads(read_bounded(path, 1 << 16))
        if schema.problems("host", document):
            raise ValueError
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DocumentInvalid(
            f"{path} does not say which host this is",
            path=str(path),
            hint="bring it back from a backup; without it, move it aside and this home becomes a host of its own",
        ) from error
    kept = (document["id"], document["name"], document["writer"], document["made_at"])
    return Host(*kept, tuple(document["took_over"]))


def own_host(home: Home) -> Host:
    """The host of this home, which gets its name now if it has none. Raises `HomeUnusable`, `DocumentInvalid`."""
    found = known_host(home)
    if found is None:
        write_host(home, new_host())
        found = known_host(home)
        assert found is not None
    return found


def new_host(name: str = "") -> Host:
    """A host that nobody knows yet."""
    called = name or platform.node().partition(".")[0] or "host"
    readable = safe_name(called.lower(), 30).partition(".")[0] or "host"
    return Host(f"{readable}-{secrets.token_hex(5)}", called, secrets.token_hex(8), now_text())


def succeed(host: Host, writers: Iterable[str]) -> Host:
    """The same host with a writer of its own, which takes over from those that were found."""
    taken = dict.fromkeys((*host.took_over, host.writer, *writers))
    return host._replace(writer=secrets.token_hex(8), took_over=tuple(each for each in taken if each))


def write_host(home: Home, host: Host, *, replace: bool = False) -> None:
    """Keep it, durably. Without `replace` the first of two writers wins."""
    path = host_file(home)
    document = {"schema": SCHEMA, **host._asdict(), "took_over": list(host.took_over)}
    data = schema.dump("host", document).encode()
    if replace or not path.exists():
        beside = path if replace else path.with_name(f".{FILE}.{os.getpid()}.new")
        with atomic_writer(beside) as descriptor:
            write_all(descriptor, data)
        if not replace:
            with contextlib.suppress(FileExistsError):
                os.link(beside, path)
            beside.unlink()
