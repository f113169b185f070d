"""What can be wrong with a copy. Each has a code whose cause and remedy stand in `moon/remedies.json`."""

from __future__ import annotations

from moon.errors import MoonError


class CopyFailed(MoonError):
    """Something about a copy did not work; the archive itself is untouched."""

    code = "copy_failed"


class CopyAway(CopyFailed):
    """The place cannot be reached: network, endpoint, a disk that is not mounted."""

    code = "copy_away"


class CopyRefused(CopyFailed):
    """The place answers, and does not let us in: credentials, rights, a bucket that takes nothing."""

    code = "copy_refused"


class CopyGone(CopyFailed):
    """What was copied before is not there any more, or the bucket itself is not."""

    code = "copy_gone"


class CopyTaken(CopyFailed):
    """Another home copies as this host."""

    code = "copy_taken"


class CopyDiverged(CopyFailed):
    """The copy holds a ledger that this home's is no continuation of."""

    code = "copy_diverged"


class CopyDamaged(CopyFailed):
    """An object of the copy is not what was put there."""

    code = "copy_damaged"


class CopyKeyMissing(CopyFailed):
    """No key at hand opens the copy."""

    code = "copy_key"


class CopyExists(CopyFailed):
    """An object of that name is there already; immutable objects are never written over."""


class ObjectMissing(CopyFailed):
    """There is no object of that name."""
