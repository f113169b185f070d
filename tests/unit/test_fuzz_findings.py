"""What fuzzing found (`make fuzz`), and what each of its targets begins with, once more without the fuzzer."""

from __future__ import annotations

import tempfile

import pytest
from tests.attack.fuzz_targets import TARGETS

FINDINGS = {
    "an archive cut to nothing whose ledger line is gone stopped its session from being archived": (
        "ledger",
        bytes.fromhex("082800080000280025"),
    ),
    "a pack whose line lists fewer segments than it holds was made anew without the others": (
        "ledger",
        bytes.fromhex("df9e020000000000009e021500000000c807c807"),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("fuzz")))
        yield


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_was_found_holds_now(finding):
    target, data = FINDINGS[finding]
    TARGETS[target].test(data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_target_begins_with_holds(target):
    for data in TARGETS[target].seeds():
        TARGETS[target].test(data)
