"""moon.yaml.example and docs/configuration.md are renderings of the schema, and complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from moon import config, schema
from moon.install.config_pages import render_example, render_reference

REPO = Path(__file__).resolve().parents[2]
SHAPE = schema.load_schema("config")
KEYS = [".".join(path) for path in config.key_paths(SHAPE)]
EXAMPLE = (REPO / "moon.yaml.example").read_text("utf-8")


def test_example_is_the_rendering_of_the_schema() -> None:
    assert render_example(SHAPE) == EXAMPLE, "run `make docs`"


def test_reference_is_the_rendering_of_the_schema() -> None:
    assert render_reference(SHAPE) == (REPO / "docs" / "configuration.md").read_text("utf-8"), "run `make docs`"


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
