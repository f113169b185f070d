"""Where copies lie: a bucket (s3, gs, az) or a folder (file). Few operations, the same for all of them.

Objects are small enough to be held whole: a file of the archive is, and parts of the ledger are cut to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from moon.copies.copy_errors import CopyFailed

SCHEMES = ("file", "s3", "gs", "az")


class Found(NamedTuple):
    """An object in a listing."""

    name: str
    bytes: int


class Place(Protocol):
    """A prefix in an object store. Names have forward slashes and are below the prefix.

    Every method raises `CopyAway`, `CopyRefused`, `CopyGone` (no such bucket or folder) or `CopyFailed`.
    """

    url: str

    def create(self, name: str, data: bytes) -> None:
        """Put an object that nobody may have put before, durably. Raises `CopyExists`."""

    def replace(self, name: str, data: bytes) -> None:
        """Put an object in place of the one there is."""

    def get(self, name: str, limit: int) -> bytes:
        """An object's bytes, `limit` at most. Raises `ObjectMissing`; `CopyDamaged` for a larger one."""

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no matter."""

    def list(self, prefix: str) -> Iterator[Found]:
        """The objects below a folder."""

    def tidy(self, prefix: str) -> None:
        """Remove what killed writers left unfinished below a folder that nobody else writes to."""

    def folders(self) -> Iterator[str]:
        """The names of the folders at the top."""


def open_place(url: str, *, seconds: float) -> Place:
    """The place that a URL names; `seconds`: how long an operation may take, with its retries.

    Raises `CopyFailed` and its kinds; `PackageAbsent` where a bucket needs the extra `fleet`.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise CopyFailed(f"a copy cannot lie at {url}", path=url, hint="use file:///folder, s3://, gs:// or az://")
    if scheme == "file":
        from moon.copies.folder_place import FolderPlace

        return FolderPlace(url)
    from moon.copies.bucket_place import BucketPlace

    return BucketPlace(url, seconds)
