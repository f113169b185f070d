"""Files that may not be lost: private modes, atomic writes, durable appends, one lock.

A write goes to a temporary file beside its target, is flushed to the disk, and takes the target's name in one step, so
that a reader sees the old bytes or the new ones and never a part. Files are 0600, folders 0700.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from moon.errors import HomeUnusable, LockBusy, MoonError

LOCK_VARIABLE = "MOON_LOCK_FD"
ABANDONED_AFTER = 86_400


def make_private(folder: Path) -> Path:
    """Make a folder, and each missing one above it, for its owner only; durably. Raises `HomeUnusable`."""
    try:
        missing = []
        probe = folder
        while not probe.exists():
            missing.append(probe)
            probe = probe.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            sync_folder(each.parent)
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def unusable(path: Path, error: OSError) -> HomeUnusable:
    """Turn an operating system error about a file of ours into words and a remedy."""
    codes = {
        errno.ENOSPC: "disk_full",
        errno.EDQUOT: "disk_full",
        errno.EACCES: "no_permission",
        errno.EPERM: "no_permission",
        errno.EROFS: "read_only",
    }
    code = codes.get(error.errno or 0, HomeUnusable.code)
    return HomeUnusable(f"cannot use {path}: {error.strerror or error}", path=str(path), code=code)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[int]:
    """Give a descriptor to write to; on success it becomes `path`, on any error nothing is left behind."""
    make_private(path.parent)
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        yield descriptor
        sync(descriptor)
        os.close(descriptor)
        descriptor = -1
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> int:
    """Remove the temporary files that killed writers left below a folder. Only for who holds the cycle lock."""
    removed = 0
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.is_file() and not _is_being_written(path):
                path.unlink()
                removed += 1
    return removed


def _is_being_written(temporary: Path) -> bool:
    """Does its writer live? One whose name holds no process is only ever written by the holder of the cycle lock."""
    process = temporary.name.removesuffix(".tmp").rpartition(".")[2]
    # A writer needs seconds; after a day the number is another process's.
    if not process.isdecimal() or time.time() - temporary.lstat().st_mtime > ABANDONED_AFTER:
        return False
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return int(process) != os.getpid()


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte, however many calls the system makes of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace a file's content in one step. Raises `HomeUnusable` (full disk, no permission)."""
    with atomic_writer(path) as descriptor:
        write_all(descriptor, data.encode() if isinstance(data, str) else data)


def replace_quickly(path: Path, data: bytes) -> None:
    """Replace a file in one step without waiting for the disk: for what a crash of the machine may lose.

    Raises `OSError`.
    """
    temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=_private) as stream:
            stream.write(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync(descriptor: int) -> None:
    """Make what was written to a descriptor durable. Raises `OSError`.

    On macOS `fsync` leaves the bytes in the drive's own cache; F_FULLFSYNC does not, where the file system knows it.
    """
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL):
                raise
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in this folder durable; where the file system or its permissions prevent it, it is left alone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def append_line(path: Path, line: bytes, *, durable: bool = True) -> None:
    """Add one line (without its newline) to the end of a file in one write. Raises `HomeUnusable`.

    Where a crash cut the last line short, the new one begins on a line of its own. Writers take turns: a line that
    another process is just writing looks torn to who does not wait for its end.
    """
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
            if durable:
                sync(descriptor)
                if not size:
                    sync_folder(path.parent)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unusable(path, error) from error


def read_bounded(path: Path, limit: int = 64 << 20) -> bytes:
    """Read a whole file of at most `limit` bytes. Raises `FileNotFoundError`, or `MoonError` for all else."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unusable(path, error) from error
    if len(data) > limit:
        raise MoonError(f"{path} is larger than {limit} bytes", path=str(path), hint="this is no file of Moon's making")
    return data


@contextlib.contextmanager
def exclusively(path: Path) -> Iterator[int]:
    """Hold a lock while the block runs; gives its descriptor, which a program may inherit to hold the lock as well.

    Raises `LockBusy` when somebody holds it.
    """
    descriptor = _lock_file(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock_file(path: Path) -> int:
    make_private(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise unusable(path, error) from error
        raise LockBusy(
            "another Moon process is at work",
            hint="it holds the lock for one cycle only; try again in a moment, or see `moon-status`",
            path=str(path),
        ) from error
    return descriptor


class Lock:
    """The one lock over a cycle: `flock` on a file, which the kernel frees whenever and however its holder ends.

    The descriptor is inheritable, so it stays held across the exec from one station to the next; programs started by a
    station do not inherit it (subprocess closes descriptors), so a hanging child cannot keep Moon locked out.
    """

    def __init__(self, descriptor: int, inherited: bool) -> None:
        self.descriptor = descriptor
        self.inherited = inherited

    @classmethod
    def take(cls, path: Path) -> Lock:
        """Take the lock, or adopt the one that the station before handed on. Raises `LockBusy`."""
        inherited = cls._inherited(path)
        if inherited is not None:
            return inherited
        return cls(_lock_file(path), inherited=False)

    @classmethod
    def _inherited(cls, path: Path) -> Lock | None:
        number = os.environ.get(LOCK_VARIABLE, "")
        if not number.isdigit():
            return None
        try:
            held, named = os.fstat(int(number)), path.stat()
        except OSError:
            return None
        if (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino):
            return None
        # flock on a descriptor that already holds the lock is a no-op; on one that lost it, this takes it again.
        try:
            fcntl.flock(int(number), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        return cls(int(number), inherited=True)

    def hand_on(self) -> None:
        """Let the program that this process is about to exec keep the lock."""
        os.set_inheritable(self.descriptor, True)
        os.environ[LOCK_VARIABLE] = str(self.descriptor)

    def release(self) -> None:
        """Give the lock back before the process ends."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        os.environ.pop(LOCK_VARIABLE, None)
