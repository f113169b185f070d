"""Logs that do not grow for ever: a full one is set aside under a number, `audit.log.1` being the latest.

Nothing in a log is ever changed: whole parts are renamed, and only the oldest goes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from moon.files import unusable


def parts(path: Path) -> list[Path]:
    """Every part of a log that is there, the oldest first and the one that is written to last."""
    numbers = [each.suffix[1:] for each in path.parent.glob(f"{path.name}.*")]
    older = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
    found = [part(path, number) for number in older]
    return [*found, path] if path.exists() else found


def part(path: Path, number: int) -> Path:
    """Where the log goes that was set aside so many times."""
    return path.with_name(f"{path.name}.{number}")


def set_aside_when_full(path: Path, limit: int, keep: int) -> bool:
    """Set a log of `limit` bytes and more aside, and let go of what is older than `keep` parts; whether it was done.

    Safe beside other writers: one that opened the log before still adds to it, under its new name. Raises
    `HomeUnusable`.
    """
    try:
        if path.stat().st_size < limit:
            return False
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(path, error) from error
    try:
        # The lock that `append_line` takes too. Who waited for it may find that another was faster.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            return False
        for number in range(keep, 0, -1):
            source = part(path, number - 1) if number > 1 else path
            if source.exists():
                source.replace(part(path, number))
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)
