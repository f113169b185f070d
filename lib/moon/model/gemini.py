"""Gemini, through google-genai, which is imported only when a question is asked: that takes most of a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from moon.config import ModelProvider
from moon.model.model_keys import read_key
from moon.model.model_port import (
    MAX_ANSWER_BYTES,
    Answer,
    AnswerUnusable,
    ModelBroken,
    ModelFailed,
    ModelTimeout,
    ProviderAbsent,
    Question,
    failure_of_status,
)


class Gemini:
    """Google's Gemini API. Raises `ProviderAbsent` when there is no key."""

    provider = "gemini"

    def __init__(self, settings: ModelProvider) -> None:
        self._base_url = settings.base_url or None
        self._key = read_key(settings)
        if not self._key:
            raise ProviderAbsent(f"no key in {settings.api_key_env}")

    def ask(self, model: str, question: Question, timeout: float) -> Answer:
        """Ask the named model for JSON that fits the question's schema."""
        try:
            from google import genai
            from google.genai import errors, types
        except ImportError as error:
            raise ProviderAbsent("the package google-genai is not installed") from error
        logging.getLogger("google_genai").setLevel(logging.ERROR)
        deadline = time.monotonic() + timeout
        options = types.HttpOptions(
            base_url=self._base_url,
            timeout=max(1, int(timeout * 1000)),
            headers={"Accept-Encoding": "identity"},
            client_args={"event_hooks": {"response": [_bound(deadline)]}},
        )
        try:
            with _closing(genai.Client(api_key=self._key, vertexai=False, http_options=options)) as client:
                response = client.models.generate_content(
                    model=model, contents=question.text, config=_settings(types, question)
                )
        except ModelFailed:
            raise
        except errors.APIError as error:
            raise _failure(error) from None
        except Exception as error:
            # The library lets its HTTP client's own exceptions through, and which client that is differs by version.
            raise _transport_failure(error) from None
        return _answer(response)


class _closing:
    """Closes a client where its version knows how to."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __enter__(self) -> Any:
        return self._client

    def __exit__(self, *_: object) -> None:
        close = getattr(self._client, "close", None)
        if close is not None:
            close()


def _settings(types: Any, question: Question) -> Any:
    return types.GenerateContentConfig(
        system_instruction=question.system,
        temperature=0,
        max_output_tokens=question.max_tokens,
        response_mime_type="application/json",
        response_json_schema=dict(question.schema),
    )


def _bound(deadline: float) -> Any:
    """A hook that puts a bound on a response's size and time before its body is read."""

    def hook(response: Any) -> None:
        base = next(each for each in type(response.stream).__mro__ if each.__name__ == "SyncByteStream")

        def read(self: Any) -> Iterator[bytes]:
            total = 0
            for chunk in stream:
                total += len(chunk)
                if total > MAX_ANSWER_BYTES:
                    raise AnswerUnusable("the answer is larger than Moon reads")
                if time.monotonic() > deadline:
                    raise ModelTimeout("the answer did not end in time")
                yield chunk

        stream = response.stream
        bounded = type("BoundedStream", (base,), {"__iter__": read, "close": lambda self: stream.close()})
        response.stream = bounded()

    return hook


def _failure(error: Any) -> ModelFailed:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    status = error.code if isinstance(error.code, int) else 0
    if status < 400:
        return ModelBroken("the answer is not what this protocol promises")
    return failure_of_status(status, headers.get("Retry-After"), str(error.message or ""))


def _transport_failure(error: Exception) -> ModelFailed:
    if "Timeout" in type(error).__name__:
        return ModelTimeout("no answer in time")
    return ModelBroken(f"the connection or the answer failed ({type(error).__name__})")


def _answer(response: Any) -> Answer:
    blocked = getattr(getattr(response, "prompt_feedback", None), "block_reason", None)
    candidates = response.candidates or []
    if blocked or any("SAFETY" in str(each.finish_reason) for each in candidates):
        raise AnswerUnusable("the answer was withheld by a safety filter")
    parts = [part for each in candidates[:1] for part in (each.content.parts if each.content else None) or []]
    text = "".join(part.text for part in parts if part.text and not getattr(part, "thought", False))
    if not text.strip():
        raise AnswerUnusable("the answer is empty")
    usage = response.usage_metadata
    return Answer(text, getattr(usage, "prompt_token_count", None), getattr(usage, "candidates_token_count", None))
