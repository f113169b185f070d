"""Any endpoint that speaks OpenAI's `/chat/completions`: OpenAI, OpenRouter, Ollama, LM Studio, llama.cpp, …"""

from __future__ import annotations

import json
import time
from typing import Any

from moon.config import ModelProvider
from moon.model.model_port import Answer, AnswerUnusable, ModelBroken, Question, failure_of_status
from moon.model.openai_endpoint import Endpoint

# Parameters that some endpoints or models do not know; each is left out or renamed when a refusal names it.
_OPTIONAL = ("response_format", "max_tokens", "temperature")


class OpenAI:
    """An OpenAI-compatible endpoint. Raises `ProviderAbsent` when there is neither a key nor an endpoint."""

    provider = "openai"

    def __init__(self, settings: ModelProvider) -> None:
        self._endpoint = Endpoint(settings.base_url, settings)
        self._left_out: set[str] = set()

    def ask(self, model: str, question: Question, timeout: float) -> Answer:
        """Ask; a parameter that the endpoint refuses by name is left out from then on."""
        deadline = time.monotonic() + timeout
        while True:
            status, headers, body = self._endpoint.post("/chat/completions", self._payload(model, question), deadline)
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
