"""`moon.yaml.example` and `docs/configuration.md`, both rendered from `schemas/config.schema.json`.

Pure: a schema goes in, text comes out. In the example every key is a comment that holds its default, so that a copy of
it changes nothing until a line is uncommented, and later defaults reach those who never did.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

Shape = dict[str, Any]
WIDTH = 110
NOTE = "Rendered from schemas/config.schema.json by `make docs`; change the schema, not this file."


def render_example(shape: Shape) -> str:
    """The text of moon.yaml.example."""
    lines = [*_comment(shape["description"], ""), *_comment(NOTE, ""), ""]
    for name, sub in shape["properties"].items():
        lines += [*_example_entry(name, sub, ""), ""]
    return "\n".join(lines[:-1]) + "\n"


def _example_entry(name: str, shape: Shape, indent: str) -> Iterator[str]:
    if "properties" not in shape:
        yield from _comment(f"{shape['description']} {_in_brackets(shape)}".rstrip(), indent)
        yield f"{indent}#{name}: {_as_yaml(shape['default'])}"
        return
    yield from _comment(shape["description"], indent)
    yield f"{indent}{name}:"
    for each, sub in shape["properties"].items():
        yield from _example_entry(each, sub, indent + "  ")


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _in_brackets(shape: Shape) -> str:
    allowed = describe_values(shape)
    return f"[{allowed}]" if allowed else ""


def _as_yaml(value: Any) -> str:
    """A default in YAML; JSON is YAML, and quotes are left off where a plain word stays a word."""
    if isinstance(value, str) and value and value not in ("true", "false", "null") and value.isidentifier():
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "[" + ", ".join(value) + "]"
    return json.dumps(value)


def render_reference(shape: Shape) -> str:
    """The text of docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        f"<!-- {NOTE} -->",
        "",
        *textwrap.wrap(shape["description"], WIDTH),
        "",
        *textwrap.wrap(
            "Read from `$MOON_HOME/moon.yaml`, or from the file that `MOON_CONFIG` names. `MOON_HOME` is"
            " `~/.lilac_metaflora` unless set. An unknown key is named together with the nearest known one, every"
            " problem is reported at once, and nothing runs until they are solved (exit code 78). A list in a variable"
            " is written with commas (`MOON_USAGE__PROVIDERS=store,estimate`) or as JSON.",
            WIDTH,
        ),
    ]
    sections = {name: sub for name, sub in shape["properties"].items() if "properties" in sub}
    plain = {name: sub for name, sub in shape["properties"].items() if "properties" not in sub}
    for name, sub in sections.items():
        lines += ["", *_section(name, sub)]
    lines += ["", "## at the top level", "", *_table("", plain)]
    return "\n".join(lines) + "\n"


def _section(path: str, shape: Shape) -> list[str]:
    plain = {name: sub for name, sub in shape["properties"].items() if "properties" not in sub}
    nested = {name: sub for name, sub in shape["properties"].items() if "properties" in sub}
    lines = [f"## {path}", "", shape["description"], "", *_table(f"{path}.", plain)]
    for name, sub in nested.items():
        lines += ["", *_section(f"{path}.{name}", sub)]
    return lines


def _table(prefix: str, shapes: dict[str, Shape]) -> list[str]:
    rows = [f"| `{prefix}{name}` | {_cell(sub)} | {sub['description']} |" for name, sub in shapes.items()]
    return ["| key | default | what it does |", "|---|---|---|", *rows]


def _cell(shape: Shape) -> str:
    allowed = describe_values(shape)
    return f"`{_as_yaml(shape['default'])}`" + (f" ({allowed})" if allowed else "")


def describe_values(shape: Shape) -> str:
    """What may stand there, in a few words: `compact, truncate or off`, `at least 1, at most 10`."""
    items = shape.get("items", {})
    if "enum" in shape:
        return _joined(shape["enum"])
    if "enum" in items:
        return "any of " + _joined(items["enum"])
    limits = [
        (word, shape[name])
        for name, word in (
            ("exclusiveMinimum", "more than"),
            ("minimum", "at least"),
            ("exclusiveMaximum", "less than"),
            ("maximum", "at most"),
        )
        if name in shape
    ]
    return ", ".join(f"{word} {limit}" for word, limit in limits)


def _joined(values: list[Any]) -> str:
    words = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return ", ".join(words[:-1]) + f" or {words[-1]}" if len(words) > 1 else words[0]
