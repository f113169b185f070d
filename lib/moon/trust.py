"""Whose files Moon obeys: `moon.yaml` names programs to run, so nobody else may be able to write it.

A file, or the folder it lies in, is refused when it belongs to somebody else (root excepted) or when its group or
everybody may write it. A group that is the user's own and nobody else's, as many systems make one for each user, is no
reason; nor is a folder for all, like /tmp, in which nobody can replace what is not theirs.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from moon.errors import ConfigInvalid

_GROUP, _OTHERS = stat.S_IWGRP, stat.S_IWOTH


class NotTrusted(ConfigInvalid):
    """Somebody else could have written what Moon would obey."""

    code = "not_trusted"


def refuse_what_others_write(path: Path, what: str) -> None:
    """Raise `NotTrusted` where somebody else owns or may write this file or folder; one that is absent is no matter.

    `what` says in the message what this is: `the configuration`.
    """
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid not in (0, os.geteuid()):
        raise NotTrusted(
            f"{what} {path} belongs to another user (uid {found.st_uid})",
            hint=f"it can name programs to run: run Moon as that user, or `chown {os.geteuid()} {path}`",
            path=str(path),
        )
    if _others_write(found):
        raise NotTrusted(
            f"{what} {path} can be written by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"it can name programs to run: look through it, then `chmod go-w {path}`",
            path=str(path),
        )


def _others_write(found: os.stat_result) -> bool:
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return False
    if found.st_mode & _OTHERS:
        return True
    return bool(found.st_mode & _GROUP) and not _is_own_group(found.st_gid)


def _is_own_group(group: int) -> bool:
    """Whether this is the group that the system made for this user alone: of the same name, with nobody else in it."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_gid == user.pw_gid and entry.gr_name == user.pw_name and set(entry.gr_mem) <= {user.pw_name}
