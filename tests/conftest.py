"""What holds for every test: nothing of the user's environment, and properties that are checked without luck.

Properties (Hypothesis) have two profiles. `quick`, the usual one, draws the same examples on every run and so fails
or passes the same way on every machine; `long` draws twenty times as many from a seed (`make test-long SEED=…`).
No example has a deadline: how long one takes says something about the machine, not about the code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("quick", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "long", settings.get_profile("quick"), max_examples=2_000, derandomize=False, database=None, print_blob=True
)
settings.load_profile("quick")

# What programs need to be found and to start; all else could change what a test sees.
KEPT = frozenset({"PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE", "CI"})
FIXED = {"LANG": "C.UTF-8", "TZ": "UTC"}


@pytest.fixture(scope="session", autouse=True)
def _environment_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No variable, home folder, time zone or umask of the user reaches a test."""
    home = tmp_path_factory.mktemp("home")
    umask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name not in KEPT and not name.startswith("PYTEST_"):
                patch.delenv(name)
        for name, value in {**FIXED, "HOME": str(home)}.items():
            patch.setenv(name, value)
        yield
    os.umask(umask)
