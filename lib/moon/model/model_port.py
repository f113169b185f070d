"""What a language model must do for Moon: answer one question, or say in what way it could not.

Adapters raise one of the failures below and nothing else. No failure carries words of the question, of the answer, or
of the provider's error text: those can hold private text and keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from moon.errors import MoonError

MAX_ANSWER_BYTES = 4 << 20


@dataclass(frozen=True)
class Question:
    """One request. `schema`: the JSON Schema that the answer should fit."""

    system: str
    text: str
    schema: Mapping[str, Any]
    max_tokens: int


@dataclass(frozen=True)
class Answer:
    """What came back; token counts are None where the provider does not tell."""

    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None


class Model(Protocol):
    """One provider, ready to be asked."""

    provider: str

    def ask(self, model: str, question: Question, timeout: float) -> Answer:
        """Ask the named model. Raises a `ModelFailed` within about `timeout` seconds at the latest."""


class ModelFailed(MoonError):
    """The provider gave no usable answer."""

    code = "model_failed"
    passes = False
    """Whether the same request may well succeed when it is sent again."""

    def __init__(self, message: str, *, retry_after: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ProviderAbsent(ModelFailed):
    """No key, no endpoint, or the library is not installed: nothing was sent."""

    code = "model_absent"


class KeyRefused(ModelFailed):
    """The provider does not accept the key (401, 403)."""

    code = "model_key_refused"


class RequestRefused(ModelFailed):
    """The provider does not accept the request (400 and the like)."""

    code = "model_request_refused"


class ModelGone(ModelFailed):
    """The provider has no model of that name, or has it no longer."""

    code = "model_gone"


class ModelBusy(ModelFailed):
    """Too many requests, or too much asked for the plan (429)."""

    code = "model_busy"
    passes = True


class ModelBroken(ModelFailed):
    """A server error, a cut connection, or something that is no answer of this protocol."""

    code = "model_broken"
    passes = True


class ModelTimeout(ModelFailed):
    """No complete answer in time."""

    code = "model_timeout"


class AnswerUnusable(ModelFailed):
    """An answer came, but it is empty, blocked by a safety filter, too long, or not what was asked for."""

    code = "model_answer_unusable"


class BudgetSpent(ModelFailed):
    """The next call would exceed the budget: nothing was sent."""

    code = "budget_spent"


def failure_of_status(status: int, retry_after: str | None = None, told: str = "") -> ModelFailed:
    """The failure that an HTTP status means. `told`: the provider's error text, looked at but never passed on."""
    words = f"HTTP {status}"
    if status in (401, 403) or (status == 400 and "api key" in told.lower() and "valid" in told.lower()):
        return KeyRefused(f"{words}: the key was refused")
    if status in (404, 410) or (status == 400 and _is_gone(told)):
        return ModelGone(f"{words}: no such model, or not any more")
    if status == 429:
        return ModelBusy(f"{words}: too many requests", retry_after=seconds(retry_after))
    if status >= 500 or status == 408:
        return ModelBroken(f"{words}: server error", retry_after=seconds(retry_after))
    return RequestRefused(f"{words}: the request was refused")


def _is_gone(told: str) -> bool:
    told = told.lower()
    return "model" in told and any(
        word in told for word in ("not found", "retired", "deprecated", "no longer", "does not exist")
    )


def seconds(retry_after: str | None) -> float | None:
    """The `Retry-After` header in seconds, from a number or a date; None when it says nothing."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    from moon.clock import now_ms

    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_ms() / 1000)
    except (ValueError, TypeError):
        return None
