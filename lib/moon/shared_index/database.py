"""Reaching the database: whose address comes from the environment or a command, bounded in time, told in words.

Nothing of the address is in moon.yaml or on a command line. Passwords and certificates come from the usual places of
PostgreSQL's own clients: PGSERVICE, PGPASSFILE, PGSSLROOTCERT and so on.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from moon import programs
from moon.errors import IndexUnusable, PackageAbsent, ProgramAbsent
from moon.resources import how_to_add

if TYPE_CHECKING:
    import psycopg

VERSION = 1
COMMAND_SECONDS = 20.0
LONGEST_URL = 8192
# What PostgreSQL's own clients are told by where no address is given.
OWN_VARIABLES = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE")
CONNECT_SECONDS = 4


class SharedAway(IndexUnusable):
    """The database cannot be reached, or does not answer in time."""

    code = "shared_away"


class SharedRefused(IndexUnusable):
    """The database does not let this role in, or not do this."""

    code = "shared_refused"


class SharedMissing(IndexUnusable):
    """Nobody said which database, or there is no index of Moon's in it."""

    code = "shared_missing"


class SharedVersion(IndexUnusable):
    """The index in the database has another version than this Moon."""

    code = "shared_version"


class SharedFailed(IndexUnusable):
    """The database answers with an error of its own."""

    code = "shared_failed"


class Address(Protocol):
    """The part of the configuration that says which database."""

    @property
    def url_env(self) -> str: ...
    @property
    def url_command(self) -> list[str]: ...


def address(settings: Address) -> str:
    """The address of the database; "" leaves it to PostgreSQL's own variables. Raises `SharedMissing`."""
    named = os.environ.get(settings.url_env, "") if settings.url_env else ""
    if named:
        return named
    if settings.url_command:
        return _told(settings.url_command)
    if any(os.environ.get(each) for each in OWN_VARIABLES):
        return ""
    raise SharedMissing(
        f"no database is named: neither {settings.url_env or 'index.postgresql.url_env'} nor PGSERVICE is set",
        hint=f"set {settings.url_env or 'PGSERVICE'} in the environment (of the timer: in MOON_HOME/environment), or "
        "index.postgresql.url_command",
    )


def _told(command: list[str]) -> str:
    try:
        done = programs.run(command, timeout=COMMAND_SECONDS, max_output=LONGEST_URL)
    except ProgramAbsent as error:
        raise SharedMissing(
            "index.postgresql.url_command cannot be started", hint="correct the command in moon.yaml"
        ) from error
    url = done.stdout.decode("utf-8", "replace").strip()
    if done.code != 0 or not url:
        raise SharedMissing(
            "index.postgresql.url_command gave no address", hint="run the command by hand and see what it says"
        )
    return url


def connect(url: str, seconds: float, application: str = "moon") -> psycopg.Connection[tuple[Any, ...]]:
    """A connection whose statements take at most `seconds` each. Raises the errors above, `PackageAbsent`."""
    try:
        import psycopg
    except ImportError as error:
        raise PackageAbsent(
            "the shared index needs the Python package psycopg", hint=f"{how_to_add('fleet')}, and try again"
        ) from error
    milliseconds = int(1000 * seconds)
    with translated():
        return psycopg.connect(
            url,
            autocommit=True,
            prepare_threshold=None,  # a pooler between may not keep them
            connect_timeout=CONNECT_SECONDS,
            application_name=application,
            options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            client_encoding="utf8",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the database into words and a remedy."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _in_words(error) from error


def _in_words(error: psycopg.Error) -> IndexUnusable:
    import psycopg

    state, said = error.sqlstate or "", " ".join(str(error).split())
    if isinstance(error, psycopg.ProgrammingError) and not state:
        # It may hold the password, so none of it is repeated.
        return SharedMissing("the address of the database cannot be understood", hint="compare it with docs/fleet.md")
    if state in ("3F000", "42P01", "3D000") or 'database "' in said and "does not exist" in said:
        return SharedMissing(f"the database holds no index of Moon's: {said}")
    if state[:2] in ("28", "42") or "authentication failed" in said or "no password supplied" in said:
        return SharedRefused(f"the database refuses: {said}")
    if state == "57014" or not state or state[:2] in ("08", "57", "53") or isinstance(error, psycopg.OperationalError):
        return SharedAway(f"the database is away: {said}")
    return SharedFailed(f"the database failed: {said}")


@contextlib.contextmanager
def within(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """The block gets so much time; then the connection is cut, and whatever waits for an answer fails. A network that
    swallows packets would otherwise be waited for until its own limits, which are long.
    """
    watch = threading.Timer(seconds, _cut, [connection])
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _cut(connection: psycopg.Connection[Any]) -> None:
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def check_version(connection: psycopg.Connection[Any]) -> None:
    """Raises `SharedVersion`, `SharedMissing`."""
    with translated():
        found = connection.execute("SELECT version FROM moon.meta").fetchone()
    version = int(found[0]) if found else 0
    if version < VERSION:
        raise SharedVersion(
            f"the shared index has version {version}, this Moon has {VERSION}",
            hint="`moon-index --init-database`, as a role that owns it, brings it up to date",
        )
    if version > VERSION:
        raise SharedVersion(
            f"the shared index has version {version}, this Moon has {VERSION}",
            hint="update Moon on this machine; nothing was changed",
        )
