"""What leaves the machine is sealed to recipients (age), so that only who holds an identity can open it.

The machine that copies needs no identity: it can put objects and prove that they are as it put them, and cannot read
them. Identities are files, or come from a command such as a password manager; they stay in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from moon import programs
from moon.copies.copy_errors import CopyDamaged, CopyFailed, CopyKeyMissing
from moon.errors import HomeUnusable, PackageAbsent, ProgramAbsent
from moon.files import atomic_writer, unusable, write_all
from moon.resources import how_to_add

SECRET = "AGE-SECRET-KEY-"  # noqa: S105
COMMAND_TIMEOUT = 30.0
MAX_KEY = 1 << 16


class Seal(Protocol):
    """Closes bytes before they are put, and opens them again."""

    sealed: bool

    def close(self, data: bytes) -> bytes: ...

    def open(self, data: bytes, name: str) -> bytes:
        """Raises `CopyKeyMissing`, `CopyDamaged`."""


class Unsealed:
    """For a disk of one's own."""

    sealed = False

    def close(self, data: bytes) -> bytes:
        return data

    def open(self, data: bytes, name: str) -> bytes:
        return data


class Age:
    """Sealed to all of the recipients; opened by any of the identities."""

    sealed = True

    def __init__(self, recipients: Sequence[str], identities: Sequence[bytes] = ()) -> None:
        self._age = _package()
        self._recipients = [self._recipient(each) for each in recipients]
        self._identities = [key for each in identities for key in self._keys(each)]

    def close(self, data: bytes) -> bytes:
        if not self._recipients:
            raise CopyFailed("no recipient is named", hint="name one in copies[].recipients, or `moon-mirror --init`")
        sealed: bytes = self._age.encrypt(data, self._recipients)
        return sealed

    def open(self, data: bytes, name: str) -> bytes:
        if not self._identities:
            raise CopyKeyMissing("the copy is sealed, and no identity is named", path=name)
        try:
            opened: bytes = self._age.decrypt(data, self._identities)
        except self._age.DecryptError as error:
            if "No matching keys" in str(error):
                raise CopyKeyMissing("none of the identities opens the copy", path=name) from error
            raise CopyDamaged(f"{name} cannot be opened: {error}", path=name) from error
        return opened

    def can_open(self) -> bool:
        """Is there an identity at all?"""
        return bool(self._identities)

    def _recipient(self, text: str) -> Any:
        kind = self._age.ssh.Recipient if text.startswith("ssh-") else self._age.x25519.Recipient
        try:
            return kind.from_str(text)
        except self._age.RecipientError as error:
            raise CopyFailed(
                f"{text[:24]}… is no recipient: {error}", hint="age1… or a public SSH key (ssh-ed25519, ssh-rsa) is one"
            ) from error

    def _keys(self, data: bytes) -> list[Any]:
        text = data.decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith(SECRET)]
        try:
            if lines:
                return [self._age.x25519.Identity.from_str(line) for line in lines]
            return [self._age.ssh.Identity.from_buffer(data)]
        except self._age.IdentityError as error:
            # What was read may be a secret, so nothing of it is repeated.
            raise CopyKeyMissing(
                "what should be an identity is none", hint="a file with an AGE-SECRET-KEY-… line, or a private SSH key"
            ) from error


def _package() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise PackageAbsent("a sealed copy needs the Python package pyrage", hint=how_to_add("fleet")) from error
    return pyrage


def read_identities(files: Sequence[str], command: Sequence[str]) -> list[bytes]:
    """The identities in these files, and what the command prints. Raises `CopyKeyMissing`."""
    found = [_read(Path(each).expanduser()) for each in files if each]
    if command:
        try:
            done = programs.run(command, timeout=COMMAND_TIMEOUT, max_output=MAX_KEY)
        except ProgramAbsent as error:
            raise CopyKeyMissing(f"identity_command cannot be started: {error.message}") from error
        if done.code != 0 or not done.stdout.strip():
            raise CopyKeyMissing("identity_command gave no identity")
        found.append(done.stdout)
    return found


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_KEY)
    except OSError as error:
        raise CopyKeyMissing(f"the identity {path} cannot be read: {error.strerror}", path=str(path)) from error


def make_identity(path: Path) -> str:
    """Write a new identity into a file of one's own (0600) that is not there yet, and give its recipient.

    Raises `CopyFailed` where the file is there.
    """
    if path.exists():
        raise CopyFailed(f"{path} is there already", path=str(path), hint="name another file; nothing was written over")
    if not path.parent.is_dir():
        raise HomeUnusable(f"there is no folder {path.parent}", path=str(path), hint="make it, or name another file")
    identity = _package().x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        with atomic_writer(path) as descriptor:
            write_all(descriptor, f"# public key: {recipient}\n{identity}\n".encode())
    except OSError as error:
        raise unusable(path, error) from error
    return recipient
