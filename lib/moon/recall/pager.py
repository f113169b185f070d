"""A pager as git uses one: the user's own, else less, which ends at once when the text fits the screen."""

from __future__ import annotations

import os
import shlex
import subprocess

from moon.output import show


def page(text: str) -> None:
    """Show a text through MOON_PAGER, PAGER or less; print it plainly where there is none."""
    command = shlex.split(os.environ.get("MOON_PAGER") or os.environ.get("PAGER") or "less")
    environment = {**os.environ}
    environment.setdefault("LESS", "FRX")
    if not command or command[0] == "cat":
        show(text)
        return
    try:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:
        show(text)
        return
    try:
        child.communicate(text.encode("utf-8", "replace"))
    except KeyboardInterrupt:
        child.wait()
