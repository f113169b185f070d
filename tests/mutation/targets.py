"""What is broken on purpose, and which tests should notice."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """Sources below `lib/moon/` and tests below `tests/`, the quick ones first."""

    sources: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...] = ()


TARGETS = {
    "guard": Target(
        ("guard/*.py",),
        (),
        (
            "integration/test_prune_station.py",
            "integration/test_rollover_station.py",
            "integration/test_failure_rows.py",
        ),
    ),
    "prune": Target(("prune/*.py",), ("unit/test_prune_shrinkage.py",), ("integration/test_prune_station.py",)),
    "sampling": Target(
        ("sampling/*.py", "cycle/session_states.py"),
        ("unit/test_thresholds.py", "unit/test_session_states.py", "unit/test_sampler.py"),
        ("integration/test_sample_tick.py",),
    ),
    "rollover": Target(("rollover/*.py",), (), ("integration/test_rollover_station.py",)),
    "vault": Target(
        ("vault/*.py", "archive/*.py"),
        ("unit/test_vault_*.py", "unit/test_pack_plan.py"),
        ("integration/test_archive_*.py", "integration/test_failure_rows.py"),
    ),
    "redaction": Target(
        ("redact.py", "secret_*.py", "readings.py"),
        ("unit/test_redact*.py",),
        ("integration/test_secrets_everywhere.py",),
    ),
}
