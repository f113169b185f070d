"""Every document has a schema, and every schema has examples: a file dropped into a folder is a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moon import config, schema
from moon.errors import DocumentInvalid, DocumentTooNew

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
VALID = sorted(EXAMPLES.glob("*/valid/*.json"))
INVALID = sorted(EXAMPLES.glob("*/invalid/*.json"))
# Kinds of which there was an earlier major version.
MAJOR = {"home": 2, "state": 2}
DOCUMENTS = [kind for kind in schema.kinds() if kind != "config"]


def name_of(path: Path) -> str:
    return "/".join(path.parts[-3:])


@pytest.mark.parametrize("path", VALID, ids=name_of)
def test_valid_example(path: Path) -> None:
    schema.parse(path.parts[-3], path.read_bytes(), path=str(path))


@pytest.mark.parametrize("path", INVALID, ids=name_of)
def test_invalid_example_is_refused_with_its_path(path: Path) -> None:
    with pytest.raises(DocumentInvalid) as caught:
        schema.parse(path.parts[-3], path.read_bytes(), path=str(path))
    assert caught.value.path == str(path)
    assert caught.value.exit_code == 78


@pytest.mark.parametrize("kind", schema.kinds())
def test_every_kind_has_examples_of_both_sorts(kind: str) -> None:
    assert list((EXAMPLES / kind / "valid").glob("*.json"))
    assert list((EXAMPLES / kind / "invalid").glob("*.json"))


def test_every_folder_of_examples_has_a_schema() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} <= set(schema.kinds())


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_document_names_its_schema_and_major_version(kind: str) -> None:
    shape = schema.load_schema(kind)
    assert shape["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert shape["$id"] == f"{kind}.schema.json"
    assert shape["properties"]["schema"]["const"] == f"moon.{kind}/{MAJOR.get(kind, 1)}"
    assert "schema" in shape["required"]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_newer_major_version_is_refused_by_name(kind: str) -> None:
    with pytest.raises(DocumentTooNew) as caught:
        schema.parse(kind, json.dumps({"schema": f"moon.{kind}/3"}))
    assert f"moon.{kind}/3" in caught.value.message


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_fields_may_be_added_at_the_top(kind: str) -> None:
    for path in (EXAMPLES / kind / "valid").glob("*.json"):
        document: dict[str, Any] = json.loads(path.read_bytes())
        schema.check(kind, {**document, "a_field_of_a_later_version": 1})


def test_every_configuration_key_says_what_it_does_and_has_a_default() -> None:
    shape = schema.load_schema("config")
    for path in config.key_paths(shape):
        sub = shape
        for part in path:
            sub = sub["properties"][part]
        assert sub["description"], path
        assert "default" in sub, path
