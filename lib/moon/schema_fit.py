"""Does a document fit its schema? The keywords that Moon's schemas use, judged without loading jsonschema.

jsonschema and what it needs takes six interpreter starts to load, and every station writes a document or two. So a
document is judged here, and only one that does not fit is taken to jsonschema, which says in words why. A schema with
a keyword that is not known here is jsonschema's from the beginning. `tests/unit/test_schema_fit.py` holds the two
together: over every example, over every field of each changed in many ways, and over the table of keywords.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
Load = Callable[[str], Schema]
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
}
# What says something about a schema and nothing about a document; formats are told to people, not judged.
_SAID_ONLY = frozenset({"$schema", "$id", "$defs", "title", "description", "default", "format", "examples"})


class UnknownKeyword(Exception):
    """A schema says something that only jsonschema understands."""


class Fit:
    """Judges documents by one schema. `load` gives other schemas that it names, by file name."""

    def __init__(self, root: Schema, load: Load) -> None:
        self.root = root
        self.load = load

    def of(self, value: Any, schema: Schema | bool) -> bool:
        """Does a value fit? Raises `UnknownKeyword`."""
        if isinstance(schema, bool):
            return schema
        for keyword, said in schema.items():
            if keyword in _SAID_ONLY or keyword in ("then", "else"):
                continue
            judge = _KEYWORDS.get(keyword)
            if judge is None:
                raise UnknownKeyword(keyword)
            if not judge(self, value, said, schema):
                return False
        return True

    def by_reference(self, value: Any, place: str, schema: Schema) -> bool:
        """`#/$defs/path` in the same file, or `usage.schema.json`."""
        name, _, pointer = place.partition("#")
        judge = Fit(self.load(name), self.load) if name else self
        target: Any = judge.root
        for part in pointer.split("/")[1:]:
            target = target[part]
        return judge.of(value, target)

    def properties(self, value: Any, said: Schema, _: Schema) -> bool:
        return not isinstance(value, dict) or all(
            self.of(value[name], schema) for name, schema in said.items() if name in value
        )

    def additional(self, value: Any, said: Schema | bool, schema: Schema) -> bool:
        known = schema.get("properties", {})
        return not isinstance(value, dict) or all(
            self.of(each, said) for name, each in value.items() if name not in known
        )

    def items(self, value: Any, said: Schema | bool, _: Schema) -> bool:
        return not isinstance(value, list) or all(self.of(each, said) for each in value)

    def condition(self, value: Any, said: Schema, schema: Schema) -> bool:
        """`if` with its `then` and `else`."""
        return self.of(value, schema.get("then" if self.of(value, said) else "else", True))

    def all_of(self, value: Any, said: list[Schema], _: Schema) -> bool:
        return all(self.of(value, each) for each in said)

    def one_of(self, value: Any, said: list[Schema], _: Schema) -> bool:
        return sum(self.of(value, each) for each in said) == 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_a(value: Any, name: str) -> bool:
    if name == "integer":
        return _is_number(value) and (isinstance(value, int) or value.is_integer())
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _is_of_type(_: Fit, value: Any, said: str | list[str], __: Schema) -> bool:
    return _is_a(value, said) if isinstance(said, str) else any(_is_a(value, each) for each in said)


def _is_same(one: Any, other: Any) -> bool:
    """As JSON means it: 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[name], other[name]) for name in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_unique(value: list[Any]) -> bool:
    return not any(_is_same(one, other) for at, one in enumerate(value) for other in value[:at])


_KEYWORDS: dict[str, Callable[[Fit, Any, Any, Schema], bool]] = {
    "$ref": Fit.by_reference,
    "properties": Fit.properties,
    "additionalProperties": Fit.additional,
    "items": Fit.items,
    "if": Fit.condition,
    "allOf": Fit.all_of,
    "oneOf": Fit.one_of,
    "type": _is_of_type,
    "required": lambda _, value, said, __: not isinstance(value, dict) or value.keys() >= set(said),
    "const": lambda _, value, said, __: _is_same(value, said),
    "enum": lambda _, value, said, __: any(_is_same(value, each) for each in said),
    "pattern": lambda _, value, said, __: not isinstance(value, str) or re.search(said, value) is not None,
    "minLength": lambda _, value, said, __: not isinstance(value, str) or len(value) >= said,
    "minItems": lambda _, value, said, __: not isinstance(value, list) or len(value) >= said,
    "maxItems": lambda _, value, said, __: not isinstance(value, list) or len(value) <= said,
    "uniqueItems": lambda _, value, said, __: not (said and isinstance(value, list)) or _is_unique(value),
    "minProperties": lambda _, value, said, __: not isinstance(value, dict) or len(value) >= said,
    # Not the other way round: what cannot be compared (NaN) is no less than a bound.
    "minimum": lambda _, value, said, __: not (_is_number(value) and value < said),
    "maximum": lambda _, value, said, __: not (_is_number(value) and value > said),
    "exclusiveMinimum": lambda _, value, said, __: not (_is_number(value) and value <= said),
}
