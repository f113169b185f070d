"""Every row of docs/failure_policy.md names a test, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TESTS = REPO / "tests"
ROWS = [
    line
    for line in (REPO / "docs" / "failure_policy.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| situation")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_row_names_tests_that_exist(row: str) -> None:
    assert len(row.split("|")) == 6, "situation, what Moon does, what the user sees, test"
    named = re.findall(r"`([a-z_]+\.(?:py|bats))(?:::|: )([^`]+)`", row.split("|")[4])
    assert named, "no test"
    for file, test in named:
        paths = list(TESTS.glob(f"*/{file}"))
        assert paths, f"no file {file}"
        wanted = f'@test "{test}"' if file.endswith(".bats") else f"def {test}("
        assert any(wanted in path.read_text("utf-8") for path in paths), f"{file} has no {test}"


def test_every_kind_of_document_and_exit_code_is_in_the_contracts() -> None:
    text = (REPO / "docs" / "contracts.md").read_text("utf-8")
    kinds = {path.name.removesuffix(".schema.json") for path in (REPO / "schemas").glob("*.schema.json")} - {"config"}
    assert sorted(kind for kind in kinds if not re.search(rf"`moon\.{kind}/\d+`", text)) == []
    assert [code for code in (0, 1, 2, 3, 75, 78) if f"| {code} |" not in text] == []
