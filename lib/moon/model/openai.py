"""Any endpoint that speaks OpenAI's `/chat/completions`: OpenAI, OpenRouter, Ollama, LM Studio, llama.cpp, …"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from moon.config import ModelProvider
from moon.model.model_keys import read_key
from moon.model.model_port import (
    MAX_ANSWER_BYTES,
    Answer,
    AnswerUnusable,
    ModelBroken,
    ModelTimeout,
    ProviderAbsent,
    Question,
    failure_of_status,
)

DEFAULT_URL = "https://api.openai.com/v1"
# Parameters that some endpoints or models do not know; each is left out or renamed when a refusal names it.
_OPTIONAL = ("response_format", "max_tokens", "temperature")


class OpenAI:
    """An OpenAI-compatible endpoint. Raises `ProviderAbsent` when there is neither a key nor an endpoint."""

    provider = "openai"

    def __init__(self, settings: ModelProvider) -> None:
        base = settings.base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
        self._key = read_key(settings)
        if not self._key and not base:
            raise ProviderAbsent(f"no key in {settings.api_key_env} and no base_url")
        self._url = (base or DEFAULT_URL).rstrip("/") + "/chat/completions"
        self._left_out: set[str] = set()

    def ask(self, model: str, question: Question, timeout: float) -> Answer:
        """Ask; a parameter that the endpoint refuses by name is left out from then on."""
        deadline = time.monotonic() + timeout
        while True:
            status, headers, body = self._post(self._payload(model, question), deadline)
            if status == 200:
                return _answer(body)
            told = body[:4000].decode("utf-8", "replace")
            unknown = next((name for name in _OPTIONAL if name in told and name not in self._left_out), None)
            if status not in (400, 422) or unknown is None:
                raise failure_of_status(status, headers.get("Retry-After"), told)
            self._left_out.add(unknown)

    def _payload(self, model: str, question: Question) -> dict[str, Any]:
        payload: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.text},
            ],
            "temperature": 0,
            "max_tokens": question.max_tokens,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "distillation", "strict": True, "schema": dict(question.schema)},
            },
        }
        if "max_tokens" in self._left_out:
            payload["max_completion_tokens"] = question.max_tokens
        return {name: value for name, value in payload.items() if name not in self._left_out}

    def _post(self, payload: dict[str, Any], deadline: float) -> tuple[int, Any, bytes]:
        try:
            import requests
        except ImportError as error:
            raise ProviderAbsent("the package requests is not installed") from error
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        left = max(0.1, deadline - time.monotonic())
        try:
            with requests.post(
                self._url,
                data=json.dumps(payload).encode(),
                headers=headers,
                auth=self._authorize,
                timeout=(min(10.0, left), left),
                stream=True,
                allow_redirects=False,
            ) as response:
                return response.status_code, response.headers, _read(response.iter_content(65536), deadline)
        except requests.Timeout as error:
            raise ModelTimeout("no answer in time") from error
        except (requests.RequestException, UnicodeError) as error:
            raise ModelBroken(f"the connection failed ({type(error).__name__})") from error

    def _authorize(self, request: Any) -> Any:
        """Put the key in. That this is said at all keeps requests from sending what ~/.netrc has for the host."""
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _read(chunks: Any, deadline: float) -> bytes:
    """A body of bounded size, within the time that is left, however slowly it drips."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerUnusable("the answer is larger than Moon reads")
        if time.monotonic() > deadline:
            raise ModelTimeout("the answer did not end in time")
    return bytes(body)


def _answer(body: bytes) -> Answer:
    try:
        document = json.loads(body)
        choice = document["choices"][0]
        text = choice["message"]["content"]
        usage = document.get("usage") or {}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelBroken("the answer is not what this protocol promises") from error
    if choice.get("finish_reason") == "content_filter" or choice["message"].get("refusal"):
        raise AnswerUnusable("the answer was withheld by a filter")
    if not isinstance(text, str) or not text.strip():
        raise AnswerUnusable("the answer is empty")
    return Answer(text, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else None
