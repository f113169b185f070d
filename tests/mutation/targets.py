"""What is broken on purpose: sources below `lib/moon/`."""

from __future__ import annotations

TARGETS: dict[str, tuple[str, ...]] = {
    "guard": ("guard/*.py",),
    "prune": ("prune/*.py",),
    "sampling": ("sampling/*.py", "cycle/session_states.py"),
    "rollover": ("rollover/*.py",),
    "vault": ("vault/*.py", "archive/*.py"),
    "redaction": ("redact.py", "secret_*.py", "readings.py", "linear_regex.py"),
}
