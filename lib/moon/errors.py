"""Errors that know what to say and which exit code they end in.

Every error a user can meet is a `MoonError`: what happened (`message`), to which file or session (`path`), what to do
next (`hint`), a stable `code` for scripts, and the exit status of the table in docs/contracts.md.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from moon.resources import how_to_mend

if TYPE_CHECKING:
    from moon.documents import Problem

DONE = 0
FAILED = 1
USAGE = 2
PARTIAL = 3
LOCKED = 75
CONFIG = 78


def known_remedy(code: str, path: str) -> str:
    """What moon.remedies says about this code; empty when it says nothing."""
    from moon import remedies

    return remedies.hint_for(code, path) if remedies.is_known(code) else ""


class MoonError(Exception):
    """Base of all errors that Moon reports in words."""

    code = "failed"
    exit_code = FAILED

    def __init__(self, message: str, *, hint: str = "", path: str = "", code: str = "") -> None:
        """`code`: a finer one than that of the class. Without a hint the remedy of the code is taken, if it has one."""
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.hint = hint or known_remedy(self.code, path)
        self.path = path

    def as_dict(self) -> Problem:
        """The entry of `errors` in a CommandReport."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "path": self.path}


class UsageWrong(MoonError):
    """The command line asks for something that does not exist or does not fit together."""

    code = "usage"
    exit_code = USAGE


class ConfigInvalid(MoonError):
    """moon.yaml or a MOON_ variable holds something Moon does not understand."""

    code = "config_invalid"
    exit_code = CONFIG


class DocumentInvalid(MoonError):
    """A JSON document does not fit its schema; the message names the failing path."""

    code = "document_invalid"
    exit_code = CONFIG


class DocumentTooNew(DocumentInvalid):
    """A JSON document has a newer major version than this Moon reads."""

    code = "document_too_new"


class HomeUnusable(MoonError):
    """MOON_HOME can not be made, read or written."""

    code = "home_unusable"


class LockBusy(MoonError):
    """Another Moon process holds the cycle lock."""

    code = "locked"
    exit_code = LOCKED


class StoreAbsent(MoonError):
    """OpenClaw's state folder or a store in it is not there."""

    code = "store_absent"


class StoreForeign(MoonError):
    """A file stands where a store should be, but it is not one that OpenClaw writes."""

    code = "store_foreign"


class StoreBusy(MoonError):
    """Another process keeps the store locked; nothing is wrong with it."""

    code = "store_busy"


class StoreTooNew(MoonError):
    """The store has a schema version that this Moon does not know, but all that Moon reads is where it should be."""

    code = "store_too_new"


# What an operator should know and what stops nothing: no failure, and said once, not at every tick.
NOTICES = frozenset({StoreTooNew.code})


class SessionUnknown(MoonError):
    """No session of that key or id is known."""

    code = "session_unknown"


class ArchiveDamaged(MoonError):
    """An archive or the ledger does not read back as it was written."""

    code = "archive_damaged"


class DestructionRefused(MoonError):
    """A promise that must hold before something destructive does not hold."""

    code = "refused"


class IndexUnusable(MoonError):
    """The embedded index is missing, corrupt or of another version."""

    code = "index_unusable"


class OpenClawFailed(MoonError):
    """The openclaw command is absent, failed, hung, or answered what can not be used."""

    code = "openclaw_failed"


class ProgramAbsent(MoonError):
    """A program that should be run is not installed."""

    code = "program_absent"


class PackageAbsent(MoonError):
    """A Python package that Moon needs is not there: the environment was made half, or its Python was upgraded away."""

    code = "package_absent"
    exit_code = CONFIG


class DatabaseFailed(MoonError):
    """SQLite could not read or write one of Moon's own databases; most often the disk is full."""

    code = "database_failed"


def database_failed(error: Exception, path: str = "") -> DatabaseFailed:
    """Words, and the code whose remedy is true, for an error that SQLite raised."""
    code = DatabaseFailed.code
    if "is full" in str(error) or "disk I/O" in str(error):
        code = "disk_full"
    elif "readonly" in str(error) or "unable to open" in str(error):
        code = "no_permission"
    made = DatabaseFailed(f"cannot use {path or 'a database'}: {error}", path=path, code=code)
    made.__cause__ = error
    return made


def catalog_damaged(error: Exception, path: str) -> DatabaseFailed:
    """The catalog was damaged, and is gone by now."""
    return DatabaseFailed(
        f"{path} was damaged ({error}) and is removed",
        path=path,
        hint="run this again: it is made anew from the archives, which are not touched; a tick does so by itself",
    )


class Unexpected(MoonError):
    """A fault that Moon does not know, most likely its own."""

    code = "unexpected"


# What no program can do anything about, wherever it comes up.
REFUSED_BY_SYSTEM = frozenset(
    (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
)


def unexpected(error: Exception) -> MoonError:
    """Words for an error of any kind; the original stays attached."""
    if type(error).__module__ == "sqlite3":
        return database_failed(error)
    made: MoonError = Unexpected(
        f"{type(error).__name__}: {error}", hint="MOON_DEBUG=1 shows where it happened; please report it as a bug"
    )
    if isinstance(error, MemoryError):
        made = MoonError("there was not enough memory for this", code="out_of_memory")
    if isinstance(error, OSError) and error.errno in REFUSED_BY_SYSTEM:
        made = HomeUnusable(
            f"the system refused: {error.strerror or error}",
            hint="a disk or a limit: see `df -h`, `ulimit -a` and `dmesg`; the next tick tries again",
        )
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("moon"):
        made = PackageAbsent(
            f"the Python package {error.name} is not installed", hint=f"{how_to_mend()}, and try again"
        )
    made.__cause__ = error
    return made
