"""Tests of permissions mean the same for root, whom permissions do not hold back."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """Run the block as somebody who owns what lies in `folder` and has no privileges."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    opened = _let_through(folder)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for path, mode in opened:
            path.chmod(mode)


def _let_through(folder: Path) -> list[tuple[Path, int]]:
    """Let anybody pass the temporary folders above this one; their modes as they were."""
    top = Path(tempfile.gettempdir()).resolve()
    changed = []
    for path in folder.resolve().parents:
        if path == top or not path.is_relative_to(top):
            break
        changed.append((path, path.stat().st_mode & 0o777))
        path.chmod(0o711)
    return changed
