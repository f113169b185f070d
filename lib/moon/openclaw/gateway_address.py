"""Where OpenClaw's gateway listens and which secret it wants, as OpenClaw's own command finds it.

Only what is written out in `openclaw.json` or the environment is taken. A secret behind a reference, a gateway on
another machine or behind TLS, a configuration that is no plain JSON: all that is the command's business, and None here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from moon.config import Config
from moon.errors import MoonError
from moon.files import read_bounded
from moon.openclaw.locate import state_dir

DEFAULT_PORT = 18789
REFERENCE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")


class Address(NamedTuple):
    """A gateway on this machine. `secret_field` is `token` or `password`; empty where the gateway asks for neither."""

    url: str
    secret_field: str
    secret: str
    source: str


def find_address(config: Config, environment: Mapping[str, str] = os.environ) -> Address | None:
    """The gateway of this OpenClaw; None where only the command can find it or prove who asks."""
    path = config_file(config, environment)
    gateway = _section(_load(path), "gateway")
    if gateway is None or gateway.get("mode", "local") != "local" or environment.get("OPENCLAW_GATEWAY_URL"):
        return None
    if (_section(gateway, "tls") or {}).get("enabled"):
        return None
    port = _port(environment.get("OPENCLAW_GATEWAY_PORT") or gateway.get("port", DEFAULT_PORT))
    secret = _secret(_section(gateway, "auth") or {}, environment)
    if port is None or secret is None:
        return None
    return Address(f"ws://127.0.0.1:{port}", *secret, str(path))


def config_file(config: Config, environment: Mapping[str, str] = os.environ) -> Path:
    """`$OPENCLAW_CONFIG_PATH`, else `openclaw.json` in the state folder."""
    named = environment.get("OPENCLAW_CONFIG_PATH", "")
    return Path(named).expanduser() if named else state_dir(config) / "openclaw.json"


def _load(path: Path) -> Any:
    try:
        return json.loads(read_bounded(path, 8 << 20))
    except (OSError, MoonError, ValueError, RecursionError):
        return None


def _section(values: Any, name: str) -> dict[str, Any] | None:
    """A part of the configuration; None where it is missing or lies in a file of its own."""
    part = values.get(name) if isinstance(values, dict) else None
    return part if isinstance(part, dict) and "$include" not in part and "$include" not in values else None


def _port(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < 65536 else None


def _secret(auth: dict[str, Any], environment: Mapping[str, str]) -> tuple[str, str] | None:
    """(field, secret), or None when it cannot be read here."""
    mode = auth.get("mode", "")
    if mode == "none":
        return "", ""
    if mode not in ("", "token", "password"):
        return None
    for field in (mode,) if mode else ("token", "password"):
        written = auth.get(field, "")
        if not isinstance(written, str):
            return None
        secret = _resolved(written, environment) or environment.get(f"OPENCLAW_GATEWAY_{field.upper()}", "").strip()
        if secret:
            return field, secret
    return None


def _resolved(text: str, environment: Mapping[str, str]) -> str:
    """A value with its `${NAME}` filled in; empty when one of them is not set."""
    names = REFERENCE.findall(text)
    if any(not environment.get(name) for name in names):
        return ""
    return REFERENCE.sub(lambda found: environment[found[1]], text).strip()
