"""Making the shared index, and bringing an older one up to date: numbered SQL, run in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from moon.shared_index.database import VERSION, SharedVersion, translated

if TYPE_CHECKING:
    import psycopg

# Two that begin at once: the second waits, and finds nothing left to do.
LOCK = 0x4D4F4F4E


def sql_of(version: int, partitions: int) -> str:
    """What leads to that version from the one before it."""
    text = Path(__file__).with_name(f"schema_{version}.sql").read_text("utf-8")
    return text.replace("{partitions}", str(partitions))


def all_sql(partitions: int) -> str:
    """What makes the index in an empty database, as one script."""
    steps = "".join(sql_of(version, partitions) for version in range(1, VERSION + 1))
    return f"BEGIN;\n{steps}{_extensions()}COMMIT;\n"


def _extensions() -> str:
    return Path(__file__).with_name("extensions.sql").read_text("utf-8")


def migrate(connection: psycopg.Connection[Any], partitions: int) -> tuple[int, int]:
    """Bring the index to this Moon's version; (version before, 0 for none; version now). Raises `SharedVersion`, and
    the errors of `database`.
    """
    with translated(), connection.transaction():
        run = connection.execute
        run("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        found = run("SELECT to_regclass('moon.meta')").fetchone()
        version = 0
        if found and found[0]:
            row = run("SELECT version FROM moon.meta").fetchone()
            version = int(row[0]) if row else 0
        if version > VERSION:
            raise SharedVersion(
                f"the shared index has version {version}, this Moon has {VERSION}",
                hint="update Moon on this machine; nothing was changed",
            )
        for each in range(version + 1, VERSION + 1):
            run(sql_of(each, partitions).encode())
            run("UPDATE moon.meta SET version = %s", (each,))
        run(_extensions().encode())
    return version, VERSION
