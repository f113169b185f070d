"""Documents are checked against JSON Schema 2020-12 when they are written and when they are read.

`moon.schema_fit` judges; jsonschema, which takes as long to load as an answer of recall, is asked only for the words
about what does not fit. Content that was found valid once is remembered (`remember`/`is_remembered`), and a file that
nobody changed is not checked again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moon import resources
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError
from moon.files import read_bounded, write_atomic
from moon.schema_fit import Fit, UnknownKeyword
from moon.text import dump_json

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

FOLDER = resources.folder("schemas")
MAX_PROBLEMS = 10


def load_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of document: `usage`, `cycle`, `archive`, …"""
    loaded: dict[str, Any] = json.loads((FOLDER / f"{kind}.schema.json").read_bytes())
    return loaded


def kinds() -> list[str]:
    """Every kind of document that has a schema."""
    return sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))


@functools.cache
def _known(file_name: str) -> dict[str, Any]:
    """A schema by the name of its file, read once; nobody changes it."""
    return load_schema(file_name.removesuffix(".schema.json"))


def _fits(kind: str, document: Any) -> bool:
    root = _known(f"{kind}.schema.json")
    try:
        return Fit(root, _known).of(document, root)
    except UnknownKeyword:
        return False


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    resources = ((f"{each}.schema.json", Resource.from_contents(load_schema(each))) for each in kinds())
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(load_schema(kind), registry=registry)


def problems(kind: str, document: Any) -> list[str]:
    """What does not fit, a sentence each, with the path to the place; empty when all is well."""
    if _fits(kind, document):
        return []
    found = _validator(kind).iter_errors(document)
    ordered = sorted(found, key=lambda error: [str(part) for part in error.absolute_path])
    return [_sentence(error) for error in ordered[:MAX_PROBLEMS]]


def _sentence(error: ValidationError) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{where.lstrip('.') or '(document)'}: {error.message[:300]}"


def check(kind: str, document: Any, *, path: str = "") -> None:
    """Raise `DocumentInvalid` naming every failing path, or `DocumentTooNew` for a newer major version."""
    _refuse_newer(kind, document, path)
    found = problems(kind, document)
    if found:
        raise DocumentInvalid(
            f"not a valid {kind} document: " + "; ".join(found),
            path=path,
            hint=f"see schemas/{kind}.schema.json; nothing was changed",
        )


def _refuse_newer(kind: str, document: Any, path: str) -> None:
    name = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(name, str):
        return
    stem, _, major = name.partition("/")
    known = _known(f"{kind}.schema.json").get("properties", {}).get("schema", {}).get("const", "")
    known_stem, _, known_major = known.partition("/")
    if stem == known_stem and major.isdigit() and known_major.isdigit() and int(major) > int(known_major):
        raise DocumentTooNew(
            f"{name} is newer than {known}, which this Moon reads",
            path=path,
            hint="update Moon; nothing was changed",
        )


def parse(kind: str, data: bytes | str, *, path: str = "") -> dict[str, Any]:
    """Read JSON text as a document of that kind. Raises `DocumentInvalid`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentInvalid(
            f"not JSON: {error}", path=path, hint=f"a {kind} document is expected here; nothing was changed"
        ) from error
    check(kind, document, path=path)
    assert isinstance(document, dict)
    return document


def dump(kind: str, document: Mapping[str, object]) -> str:
    """Check a document and give its JSON text with a final newline."""
    check(kind, document)
    return dump_json(document, indent=1) + "\n"


def write(kind: str, document: Mapping[str, object], path: Path) -> None:
    """Check a document and write it atomically."""
    write_atomic(path, dump(kind, document).encode())


def read(kind: str, path: Path) -> dict[str, Any]:
    """Read and check a document. Raises `FileNotFoundError`, `DocumentInvalid`, `DocumentTooNew`."""
    return parse(kind, read_bounded(path), path=str(path))


def is_remembered(folder: Path, kind: str, content: bytes) -> bool:
    """Was exactly this content found valid before?"""
    try:
        return read_bounded(folder / f"{kind}.valid") == content
    except (FileNotFoundError, MoonError):
        return False


def remember(folder: Path, kind: str, content: bytes) -> None:
    """Note that this content is valid. Only a saving of time, so a failure to write it is no failure."""
    try:
        write_atomic(folder / f"{kind}.valid", content)
    except MoonError:
        return


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, or an empty text."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)), "")
