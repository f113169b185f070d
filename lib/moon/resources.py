"""Where Moon's own files lie: in the checkout that it runs from, or inside the package that was installed.

A wheel carries `schemas/`, `systemd/` and `launchd/` in `moon/share/` (see setup.py), so that `pip install` and
`pipx install` give all that a checkout gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]
SHARE = PACKAGE / "share"


def is_packaged() -> bool:
    """Does this run from an installed package, not from a checkout?"""
    return SHARE.is_dir()


def folder(name: str) -> Path:
    """`schemas`, `systemd` or `launchd`."""
    return (SHARE if is_packaged() else CHECKOUT) / name


def program(tool: str) -> Path:
    """The executable `moon-<tool>` of this installation.

    An installed package has its commands beside the one that was called (pip, pipx, and links to either), or, when
    none of them was called, where Python puts commands.
    """
    name = f"moon-{tool}"
    if not is_packaged():
        return CHECKOUT / "bin" / name
    beside = Path(sys.argv[0]).absolute().parent / name
    if beside.is_file():
        return beside
    import sysconfig

    return Path(sysconfig.get_path("scripts")) / name


def how_to_mend() -> str:
    """The command that makes the environment whole again, as part of a hint."""
    if is_packaged():
        return "install the package again (`pipx reinstall moon-system`, or pip with --force-reinstall)"
    return f"run `make venv` in {CHECKOUT}"


def how_to_add(extra: str) -> str:
    """The command that installs one of Moon's extras into its own environment, as part of a hint."""
    what = f"'moon-system[{extra}]'" if is_packaged() else f"-e '{CHECKOUT}[{extra}]'"
    return f"run `{sys.executable} -m pip install {what}`"
