"""Copies in a folder: another disk, a NAS. Files 0600, flushed to the disk before they take their name.

The client of the buckets could write here as well, but it does not flush, and what was reported as copied could be gone
after a power cut. The folder has to be there: one that was made below a mount point whose disk is away would be a copy
on the same disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from moon.copies.copy_errors import CopyAway, CopyDamaged, CopyExists, CopyFailed, CopyGone, CopyRefused, ObjectMissing
from moon.copies.place import Found
from moon.errors import HomeUnusable
from moon.files import atomic_writer, sync, sync_folder, write_all

UNREADY = ".tmp"


class FolderPlace:
    """A folder that is there. Raises `CopyGone` where it is not."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = Path(unquote(urlsplit(url).path))
        try:
            is_folder = self.root.is_dir()
        except OSError as error:
            raise self._failed(error) from error
        if not is_folder:
            raise CopyGone(
                f"there is no folder {self.root}",
                path=url,
                hint=f"mount the disk it lies on, or make it: `mkdir -m 700 {self.root}`",
            )

    def create(self, name: str, data: bytes) -> None:
        path = self._path(name)
        temporary = path.with_name(f".{path.name[:80]}.{os.getpid()}.{id(data)}{UNREADY}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                write_all(descriptor, data)
                sync(descriptor)
            finally:
                os.close(descriptor)
            self._name(temporary, path)
            sync_folder(path.parent)
        except FileExistsError as error:
            raise CopyExists(f"{name} is there already", path=str(path)) from error
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self._forget(temporary)

    def _name(self, temporary: Path, path: Path) -> None:
        """Give it its name unless that is taken, in one step; some file systems have no links."""
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            temporary.replace(path)

    def _forget(self, temporary: Path) -> None:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            return

    def replace(self, name: str, data: bytes) -> None:
        try:
            with atomic_writer(self._path(name)) as descriptor:
                write_all(descriptor, data)
        except HomeUnusable as error:
            raise self._failed(
                error.__cause__ if isinstance(error.__cause__, OSError) else OSError(0, str(error))
            ) from error

    def get(self, name: str, limit: int) -> bytes:
        try:
            with self._path(name).open("rb") as stream:
                data = stream.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissing(f"{name} is not there", path=self.url) from error
        except OSError as error:
            raise self._failed(error) from error
        if len(data) > limit:
            raise CopyDamaged(f"{name} is larger than anything that is put there", path=self.url)
        return data

    def delete(self, name: str) -> None:
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def list(self, prefix: str) -> Iterator[Found]:
        top = self._path(prefix)
        failed: list[OSError] = []
        for folder, _, names in os.walk(top, onerror=failed.append):
            for name in sorted(names):
                path = Path(folder) / name
                if name.endswith(UNREADY):
                    continue
                try:
                    yield Found(path.relative_to(self.root).as_posix(), path.lstat().st_size)
                except FileNotFoundError:
                    continue
        for error in failed:
            if error.errno != errno.ENOENT:
                raise self._failed(error)

    def tidy(self, prefix: str) -> None:
        try:
            for path in self._path(prefix).rglob(f".*{UNREADY}"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def folders(self) -> Iterator[str]:
        try:
            yield from sorted(each.name for each in self.root.iterdir() if each.is_dir())
        except OSError as error:
            raise self._failed(error) from error

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if {"", ".", ".."} & set(parts):
            raise CopyFailed(f"{name!r} names no object", path=self.url)
        return self.root.joinpath(*parts)

    def _failed(self, error: OSError) -> CopyFailed:
        """Words and a cause for what the system said."""
        words = f"cannot use {self.root}: {error.strerror or error}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return CopyRefused(words, path=self.url)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return CopyRefused(words, path=self.url, hint="the disk of the copy is full: free some room there")
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return CopyGone(words, path=self.url)
        return CopyAway(words, path=self.url)
