"""An entry of `copies` in the configuration."""

from __future__ import annotations

from typing import NamedTuple

from moon.config import Config, Values
from moon.copies.sealing import Age, Seal, Unsealed, read_identities


class CopySettings(NamedTuple):
    """Where a copy lies, and to whom it is sealed."""

    url: str
    encrypt: str = "age"
    recipients: tuple[str, ...] = ()
    identity_files: tuple[str, ...] = ()
    identity_command: tuple[str, ...] = ()

    def seal(self, *, to_open: bool = False) -> Seal:
        """How its objects are closed and, with `to_open`, opened again. Raises `CopyFailed`, `PackageAbsent`."""
        if self.encrypt == "off":
            return Unsealed()
        identities = read_identities(self.identity_files, self.identity_command) if to_open else []
        return Age(self.recipients, identities)

    def opens(self) -> bool:
        """Is there anything to open it with?"""
        return self.encrypt == "off" or bool(self.identity_files or self.identity_command)


def copies_of(config: Config) -> list[CopySettings]:
    """The copies that are configured, in order."""
    return [_settings(each) for each in config.copies]


def _settings(values: Values) -> CopySettings:
    named = values.get("identity_file", "")
    return CopySettings(
        values["url"].rstrip("/"),
        values.get("encrypt", "age"),
        tuple(values.get("recipients", ())),
        (named,) if named else (),
        tuple(values.get("identity_command", ())),
    )
