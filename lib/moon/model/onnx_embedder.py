"""Sentence vectors from an ONNX file on this machine, through onnxruntime and tokenizers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moon.config import Semantic
from moon.model.embedding import library_absent
from moon.model.model_port import ModelBroken

if TYPE_CHECKING:
    from moon.model.embedding import Matrix

# Of a longer text the beginning is read: time grows with every token, and what is far behind is found by its words.
MAX_TOKENS = 128
SAMPLES = 16
SAMPLE_BYTES = 4096


class OnnxEmbedder:
    """A model and its tokenizer. Raises `ProviderAbsent` (a library is missing), `ModelBroken` (files are no model)."""

    def __init__(self, model: Path, tokenizer: Path, settings: Semantic) -> None:
        try:
            import numpy as np
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise library_absent(error.name or "onnxruntime") from error
        self._libraries = (np, onnxruntime, tokenizers)
        self._model, self._tokenizer = model, tokenizer
        self._prefixes = (settings.text_prefix, settings.question_prefix)
        self._loaded: tuple[Any, Any] | None = None
        try:
            self.name = f"onnx:{_print_of(model, tokenizer, settings.text_prefix)}"
        except OSError as error:
            raise _broken(model, error) from error

    def embed(self, texts: Sequence[str], *, question: bool = False) -> Matrix:
        """The mean of a text's token vectors, or what the model itself gives as one vector a text."""
        prefix, np = self._prefixes[question], self._libraries[0]
        # Both libraries raise classes of their own for each kind of fault, and bare `Exception`.
        try:
            self._loaded = self._loaded or self._load()
            session, tokenizer = self._loaded
            encoded = tokenizer.encode_batch([prefix + text for text in texts])
            ids = np.array([each.ids for each in encoded], dtype="int64")
            mask = np.array([each.attention_mask for each in encoded], dtype="int64")
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
            found = session.run(None, {each.name: given[each.name] for each in session.get_inputs()})
            return self._pooled(found, mask)
        except Exception as error:
            raise _broken(self._model, error) from error

    def _load(self) -> tuple[Any, Any]:
        _, onnxruntime, tokenizers = self._libraries
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        tokenizer = tokenizers.Tokenizer.from_file(str(self._tokenizer))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.enable_padding()
        return onnxruntime.InferenceSession(str(self._model), options, providers=["CPUExecutionProvider"]), tokenizer

    def _pooled(self, found: list[Any], mask: Any) -> Matrix:
        np = self._libraries[0]
        whole = next((each for each in found if each.ndim == 2), None)
        if whole is not None:
            return np.asarray(whole, dtype="float32")  # type: ignore[no-any-return]
        weights = mask[:, :, None].astype("float32")
        return np.asarray((found[0] * weights).sum(axis=1) / weights.sum(axis=1), dtype="float32")  # type: ignore[no-any-return]


def _broken(model: Path, error: Exception) -> ModelBroken:
    hint = "install or copy the model again, or set recall.semantic.source: off"
    return ModelBroken(f"{model} cannot be used as a model of sentence vectors ({type(error).__name__})", hint=hint)


def _print_of(model: Path, tokenizer: Path, prefix: str) -> str:
    """What tells one model from another without reading all of it: its length, and pieces from all over it."""
    seen = hashlib.blake2b(f"{prefix}\0{MAX_TOKENS}".encode(), digest_size=12)
    seen.update(tokenizer.read_bytes())
    length = model.stat().st_size
    seen.update(str(length).encode())
    with model.open("rb") as stream:
        for at in range(SAMPLES):
            stream.seek(length * at // SAMPLES)
            seen.update(stream.read(SAMPLE_BYTES))
    return seen.hexdigest()
