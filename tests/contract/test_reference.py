"""moon.yaml.example, docs/configuration.md and docs/troubleshooting.md are renderings, and complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from moon import config, remedies, schema
from moon.install.config_pages import render_example, render_reference
from moon.install.trouble_page import render_troubleshooting

REPO = Path(__file__).resolve().parents[2]
SHAPE = schema.load_schema("config")
KEYS = [".".join(path) for path in config.key_paths(SHAPE)]
EXAMPLE = (REPO / "moon.yaml.example").read_text("utf-8")


def test_example_is_the_rendering_of_the_schema() -> None:
    assert render_example(SHAPE) == EXAMPLE, "run `make docs`"


def test_reference_is_the_rendering_of_the_schema() -> None:
    assert render_reference(SHAPE) == (REPO / "docs" / "configuration.md").read_text("utf-8"), "run `make docs`"


def test_troubleshooting_is_the_rendering_of_the_table() -> None:
    page = render_troubleshooting(remedies.table().values())
    assert page == (REPO / "docs" / "troubleshooting.md").read_text("utf-8"), "run `make docs`"


@pytest.mark.parametrize("row", remedies.table().values(), ids=lambda row: row.code)
def test_a_row_of_the_table_says_what_it_hurts_why_and_what_to_do(row: remedies.Remedy) -> None:
    assert row.rank in remedies.RANKS and row.patience >= 1
    assert row.cause.endswith(".") and not row.command.endswith(".")


def test_every_code_of_an_error_has_a_row_or_needs_none() -> None:
    """What a command line asks wrongly is said and over; all else can stay wrong, and is looked up in the table."""
    said_and_over = {"usage", "session_unknown", "event_unknown", "output_gone", "place_taken", "in_use", "underway"}
    passing = {"index_renewing", "budget_spent", "model_absent", "program_absent"}
    pattern = re.compile(r"^    code(?:: str)? = \"(\w+)\"", re.MULTILINE)
    sources = [path.read_text("utf-8") for path in (REPO / "lib" / "moon").rglob("*.py")]
    codes = {code for text in sources for code in pattern.findall(text)}
    codes |= {code for text in sources for code in re.findall(r'code="(\w+)"', text)}
    assert {code for code in codes - said_and_over - passing if not remedies.is_known(code)} == {"failed"}


def test_example_as_it_is_means_all_defaults() -> None:
    assert config.resolve(EXAMPLE.encode(), {}, "moon.yaml") == config.resolve(b"", {}, "")


def test_example_with_every_key_uncommented_means_the_same() -> None:
    uncommented = re.sub(r"^( *)#(?=[a-z_]+:)", r"\1", EXAMPLE, flags=re.MULTILINE)
    assert sorted(leaves(yaml.safe_load(uncommented))) == sorted(KEYS)
    assert config.resolve(uncommented.encode(), {}, "moon.yaml") == config.resolve(b"", {}, "")


@pytest.mark.parametrize("key", KEYS)
def test_key_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in (REPO / "docs" / "configuration.md").read_text("utf-8")


def leaves(values: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        found += leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found
