"""Sentence vectors from an OpenAI-compatible `/embeddings` endpoint. Only redacted text is sent."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from moon.config import Semantic
from moon.model.embedding import library_absent
from moon.model.model_port import ModelBroken, failure_of_status
from moon.model.openai_endpoint import Endpoint

if TYPE_CHECKING:
    from moon.model.embedding import Matrix

# Models read some thousand tokens at most, and many refuse what is longer.
MAX_CHARS = 2000


class HttpEmbedder:
    """One endpoint. Raises `ProviderAbsent` when there is neither a key nor an endpoint."""

    def __init__(self, settings: Semantic, redact: Callable[[str], str]) -> None:
        try:
            import numpy as np
        except ImportError as error:
            raise library_absent("numpy") from error
        self._numpy = np
        self._settings = settings
        self._redact = redact
        self._endpoint = Endpoint(settings.base_url, settings)
        made_by = "\0".join((self._endpoint.url, settings.model, settings.text_prefix))
        self.name = f"http:{hashlib.blake2b(made_by.encode(), digest_size=12).hexdigest()}"

    def embed(self, texts: Sequence[str], *, question: bool = False) -> Matrix:
        """Ask for the vectors of redacted texts in one request."""
        prefix = self._settings.question_prefix if question else self._settings.text_prefix
        given = [prefix + self._redact(text)[:MAX_CHARS] for text in texts]
        payload = {"model": self._settings.model, "input": given, "encoding_format": "float"}
        deadline = time.monotonic() + self._settings.timeout_seconds
        status, headers, body = self._endpoint.post("/embeddings", payload, deadline)
        if status != 200:
            raise failure_of_status(status, headers.get("Retry-After"), body[:4000].decode("utf-8", "replace"))
        found = self._numpy.array(_vectors(body, len(texts)), dtype="float32")
        if not self._numpy.isfinite(found).all():
            raise ModelBroken("the answer holds vectors with numbers that are none")
        return found


def _vectors(body: bytes, count: int) -> list[list[float]]:
    """The vectors of an answer in the order of the texts, all of one length."""
    try:
        entries: list[Any] = sorted(json.loads(body)["data"], key=lambda entry: int(entry["index"]))
        found = [[float(number) for number in entry["embedding"]] for entry in entries]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelBroken("the answer is not what this protocol promises") from error
    if len(found) != count or len({len(vector) for vector in found}) != 1 or not found[0]:
        raise ModelBroken("the answer does not hold one vector for each text, all of one length")
    return found
