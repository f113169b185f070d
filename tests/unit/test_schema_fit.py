"""The quick judge of documents never says yes where jsonschema says no, nor the other way round."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.support.moon import ROOT
from tests.support.properties import examples

from moon import schema
from moon.schema_fit import Fit, UnknownKeyword

EXAMPLES = sorted(path for path in (ROOT / "tests" / "examples").rglob("*.json") if path.stem != "not_json")
ODD: list[Any] = [None, True, 0, 1, 1.0, -1, 2.5, 10**30, float("nan"), "", "x", "moon.x/1", "2026-11-22T06:00:00.000Z"]
ODD += [[], [1, True], ["a", "a"], [{}], {}, {"schema": 1}, {"a": "b"}]


@cache
def document(path: Path) -> Any:
    return json.loads(path.read_bytes())


def places(value: Any) -> list[tuple[Any, ...]]:
    """The path to each value in a document, its own (empty) included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *rest) for key, each in inner for rest in places(each))]


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value in that place; `KeyError` for `new` stands for none at all."""
    if not path:
        return new
    made = copy.copy(value)
    if len(path) == 1 and new is KeyError:
        del made[path[0]]
    else:
        made[path[0]] = changed(value[path[0]], path[1:], new)
    return made


@st.composite
def changed_examples(draw: st.DrawFn) -> tuple[str, Any]:
    path = draw(st.sampled_from(EXAMPLES))
    found = document(path)
    place = draw(st.sampled_from(places(found)))
    return path.parts[-3], changed(
        found, place, draw(st.sampled_from([*ODD, KeyError])) if place else draw(st.sampled_from(ODD))
    )


def agrees(kind: str, found: Any) -> bool:
    said = next(schema._validator(kind).iter_errors(found), None)
    return schema._fits(kind, found) == (said is None)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_example_is_judged_as_jsonschema_judges_it(path):
    assert agrees(path.parts[-3], document(path))


@examples(150)
@given(found=changed_examples())
def test_every_change_to_an_example_is_judged_as_jsonschema_judges_it(found):
    assert agrees(*found)


SCHEMAS: list[dict[str, Any]] = [
    *({"type": name} for name in ("object", "array", "string", "boolean", "null", "number", "integer")),
    {"type": ["integer", "null"]},
    *({"const": value} for value in (1, 1.0, True, "x", None, [1], {"a": "b"}, [{}])),
    {"enum": [0, False, "x", [1, 1]]},
    {"enum": [[1, True], {"schema": True}]},
    *({name: value} for name in ("minimum", "maximum", "exclusiveMinimum") for value in (0, 1, 2.5)),
    *({name: 1} for name in ("minLength", "minItems", "maxItems", "minProperties")),
    {"uniqueItems": True},
    {"uniqueItems": False},
    {"pattern": "^[a-z]$"},
    {"pattern": "T06"},
    {"required": ["a"]},
    {"properties": {"a": {"type": "string"}, "schema": False}},
    {"properties": {"a": True}, "additionalProperties": False},
    {"additionalProperties": {"type": "string"}},
    {"items": {"type": "string"}},
    {"items": False},
    {"if": {"type": "integer"}, "then": {"minimum": 1}},
    {"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"type": "string"}},
    {"then": {"minimum": 100}},
    {"allOf": [{"type": "integer"}, {"minimum": 1}]},
    {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    {"$ref": "#/$defs/one", "minimum": 1, "$defs": {"one": {"type": "integer"}}},
]


@pytest.mark.parametrize("shape", SCHEMAS, ids=json.dumps)
def test_every_keyword_means_what_it_means_to_jsonschema(shape):
    quick, sure = Fit(shape, schema._known), Draft202012Validator(shape)
    differing = [value for value in ODD if quick.of(value, shape) != sure.is_valid(value)]
    assert differing == []


def test_a_keyword_that_is_not_known_is_left_to_jsonschema():
    with pytest.raises(UnknownKeyword):
        Fit({"propertyNames": {}}, schema._known).of({}, {"propertyNames": {}})


def test_no_document_of_moon_needs_jsonschema_when_it_fits():
    valid = [(path.parts[-3], str(path)) for path in EXAMPLES if path.parts[-2] == "valid"]
    code = (
        "import json, sys; from moon import schema\n"
        "for kind, path in json.load(sys.stdin): schema.check(kind, json.loads(open(path, 'rb').read()))\n"
        "assert 'jsonschema' not in sys.modules"
    )
    asked = [sys.executable, "-c", code]
    subprocess.run(asked, input=json.dumps(valid), text=True, cwd=ROOT / "lib", check=True, timeout=60)
