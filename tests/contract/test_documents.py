"""The types of the hand-offs say what the schemas say: the same fields, the same of them needed, of the same kind."""

from __future__ import annotations

import types
import typing
from typing import Any

import pytest

from moon import documents, schema

JSON_NAMES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
USAGE, CYCLE = schema.load_schema("usage"), schema.load_schema("cycle")
LEDGER = schema.load_schema("archive")
CONTINUITY = schema.load_schema("continuity")
DISTILLATION = schema.load_schema("distillation")
REPORT = schema.load_schema("report")
STATION = CYCLE["properties"]["stations"]["items"]
PAIRS = {
    "Row": (documents.Row, USAGE["properties"]["sessions"]["items"]),
    "UsageDocument": (documents.UsageDocument, USAGE),
    "CycleDocument": (documents.CycleDocument, CYCLE),
    "StationRecord": (documents.StationRecord, STATION),
    "SessionRecord": (documents.SessionRecord, STATION["properties"]["sessions"]["items"]),
    "QmdOutcome": (documents.QmdOutcome, STATION["properties"]["qmd"]),
    "DistillationRecord": (documents.DistillationRecord, DISTILLATION),
    "Attempt": (documents.Attempt, DISTILLATION["properties"]["attempts"]["items"]),
    "Spend": (documents.Spend, DISTILLATION["properties"]["spend"]),
    "ContinuityMap": (documents.ContinuityMap, CONTINUITY),
    "ArchiveReference": (documents.ArchiveReference, CONTINUITY["properties"]["archives"]["items"]),
    "Problem": (documents.Problem, REPORT["properties"]["errors"]["items"]),
}


def ledger_fields() -> dict[str, Any]:
    """The properties of every kind of ledger line together."""
    found = dict(LEDGER["properties"])
    for kind in LEDGER["properties"]["kind"]["enum"]:
        shape = LEDGER["$defs"]["segment" if kind == "archive" else kind]
        while shape:
            found.update(shape.get("properties", {}))
            shape = LEDGER["$defs"].get(shape.get("$ref", "").removeprefix("#/$defs/"))
    return found


def test_the_type_of_a_ledger_line_has_the_fields_of_every_kind() -> None:
    fields = ledger_fields()
    assert set(typing.get_type_hints(documents.LedgerLine)) == set(fields)
    measures = LEDGER["$defs"]["measures"]
    assert needed(documents.Member) == {*measures["required"], "torn"} <= set(measures["properties"])
    damage = fields["lines"]["items"]
    assert needed(documents.LedgerDamage) == set(damage["required"]) == set(damage["properties"])
    assert needed(documents.Kept) == set(fields["kept"]["required"])


@pytest.mark.parametrize("name", PAIRS)
def test_a_type_has_the_fields_of_its_schema(name: str) -> None:
    kind, shape = PAIRS[name]
    hints = typing.get_type_hints(kind)
    assert set(hints) == set(shape["properties"])
    assert needed(kind) == set(shape["required"])


@pytest.mark.parametrize("name", PAIRS)
def test_a_field_is_of_the_kind_that_its_schema_says(name: str) -> None:
    kind, shape = PAIRS[name]
    for field, hint in typing.get_type_hints(kind).items():
        said = allowed(shape["properties"][field])
        if said:
            assert json_kinds(hint) == said, f"{name}.{field}"


def test_what_a_station_says_is_what_is_kept_of_it() -> None:
    entry, kept = set(typing.get_type_hints(documents.Entry)), set(typing.get_type_hints(documents.SessionRecord))
    assert entry - {"audit"} == kept - {"agent", "session_key", "session_id"}


def needed(kind: Any) -> set[str]:
    """The fields without which a document is none; also those of the bases."""
    return {name for name in typing.get_type_hints(kind) if name in kind.__required_keys__}


def allowed(shape: dict[str, Any]) -> set[str]:
    """The JSON types that a property may have; empty where the schema leaves that to a reference."""
    if "enum" in shape or "const" in shape:
        return {"string"}
    said = shape.get("type", [])
    return set(said) if isinstance(said, list) else {said}


def json_kinds(hint: Any) -> set[str]:
    """The JSON types that a Python type stands for."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(json_kinds(each) for each in typing.get_args(hint)))
    if origin is list:
        return {"array"}
    if origin is dict or typing.is_typeddict(hint):
        return {"object"}
    return {JSON_NAMES[hint]}
