"""Unit files from their templates: every value quoted as the format wants it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def render_systemd(template: str, program: Path, home: Path, interval: int, environment: Mapping[str, str]) -> str:
    """A systemd unit."""
    assignments = [f"Environment={quote_systemd(f'{name}={value}')}" for name, value in sorted(environment.items())]
    return fill(
        template,
        {
            # In a command line, and only there, a dollar sign would name a variable.
            "MOON_SAMPLE": quote_systemd(str(program)).replace("$", "$$"),
            "MOON_HOME": str(home).replace("%", "%%"),
            "INTERVAL": str(interval),
            "ENVIRONMENT": "\n".join(assignments),
        },
    )


def escape(text: str) -> str:
    """Text as the content of an XML element (the module for that would load an HTTP client)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def quote_systemd(text: str) -> str:
    """One word in a unit file, whatever is in it."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    return f'"{quoted}"'


def render_launchd(template: str, program: Path, log: Path, interval: int, environment: Mapping[str, str]) -> str:
    """A launchd property list."""
    pairs = [
        f"\t\t<key>{escape(name)}</key>\n\t\t<string>{escape(value)}</string>"
        for name, value in sorted(environment.items())
    ]
    return fill(
        template,
        {
            "MOON_SAMPLE": escape(str(program)),
            "LOG": escape(str(log)),
            "INTERVAL": str(interval),
            "ENVIRONMENT": "\n".join(pairs),
        },
    )


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put each value in place of its `@MARK@`; text that comes in with a value is left alone."""
    return re.sub(r"@([A-Z_]+)@", lambda mark: values.get(mark[1], mark[0]), template)
