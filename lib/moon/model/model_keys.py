"""Keys, from the environment or from a command such as a password manager. They stay in memory and go nowhere else."""

from __future__ import annotations

import os
from typing import Protocol

from moon import programs
from moon.errors import ProgramAbsent
from moon.model.model_port import ProviderAbsent

COMMAND_TIMEOUT = 20.0
MAX_KEY = 8192


class KeySource(Protocol):
    """A section of the configuration that says where a key comes from."""

    @property
    def api_key_env(self) -> str: ...

    @property
    def api_key_command(self) -> list[str]: ...


def read_key(settings: KeySource) -> str:
    """The provider's key; empty when none is configured. Raises `ProviderAbsent` when the command gives none."""
    named = os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""
    if named or not settings.api_key_command:
        return named
    try:
        done = programs.run(settings.api_key_command, timeout=COMMAND_TIMEOUT, max_output=MAX_KEY)
    except ProgramAbsent as error:
        raise ProviderAbsent("api_key_command cannot be started") from error
    key = done.stdout.decode("utf-8", "replace").strip()
    if done.code != 0 or not key or "\n" in key:
        # What the command printed may be part of a secret, so nothing of it is repeated.
        raise ProviderAbsent("api_key_command gave no key")
    return key
