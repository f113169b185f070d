"""Ask a provider: its models in order, bounded retries, within the budget, leaving it alone when it keeps failing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from moon.config import Distill
from moon.model.model_port import (
    Answer,
    BudgetSpent,
    KeyRefused,
    Model,
    ModelFailed,
    ModelGone,
    ProviderAbsent,
    Question,
)
from moon.model.provider_state import ModelMemory
from moon.text import token_estimate

LONGEST_WAIT = 20.0
FIRST_WAIT = 1.0
MARGIN_TOKENS = 200


@dataclass
class Tally:
    """What the calls for one archive cost."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Caller:
    """One provider for one archive. `sleep` is replaced in tests."""

    def __init__(
        self,
        model: Model,
        models: Sequence[str],
        config: Distill,
        memory: ModelMemory,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._model = model
        self._config = config
        self._memory = memory
        self._sleep = sleep
        self._names = memory.usable(model.provider, list(models))
        if not self._names:
            raise ProviderAbsent("every configured model was withdrawn")
        self.tally = Tally()

    @property
    def model_name(self) -> str:
        """The model that answers at present."""
        return self._names[0]

    def check_budget(self, calls: int, tokens: int) -> None:
        """Raise `BudgetSpent` unless so many calls and tokens are left."""
        self._memory.check_budget(self._config.budget, calls, tokens)

    def ask(self, question: Question) -> Answer:
        """An answer from the first model that has not been withdrawn. Raises `ModelFailed`."""
        gone: list[str] = []
        while True:
            try:
                answer = self._ask_with_retries(question)
            except ModelGone:
                if len(self._names) == 1:
                    # When no name at all is known, the address is more likely wrong than every model withdrawn.
                    raise
                gone.append(self._names.pop(0))
                continue
            for name in gone:
                self._memory.note_withdrawn(self._model.provider, name)
            return answer

    def _ask_with_retries(self, question: Question) -> Answer:
        wait = FIRST_WAIT
        for attempt in range(self._config.retries + 1):
            try:
                return self._ask_once(question)
            except ModelFailed as error:
                wait = error.retry_after if error.retry_after is not None else wait
                if not error.passes or attempt == self._config.retries or wait > LONGEST_WAIT:
                    raise
            self._sleep(wait)
            wait *= 3
        raise AssertionError("a loop with at least one round has returned or raised")

    def _ask_once(self, question: Question) -> Answer:
        """One request. Its highest cost is counted before it is sent, so that no crash makes the budget soft."""
        prompt = token_estimate(question.system) + token_estimate(question.text) + MARGIN_TOKENS
        reserved = prompt + question.max_tokens
        self.check_budget(1, reserved)
        self._memory.spend(1, reserved)
        self.tally.calls += 1
        tokens_in, tokens_out = prompt, 0
        try:
            answer = self._model.ask(self._names[0], question, self._config.timeout_seconds)
            tokens_in = prompt if answer.tokens_in is None else answer.tokens_in
            tokens_out = token_estimate(answer.text) if answer.tokens_out is None else answer.tokens_out
            return answer
        finally:
            self.tally.tokens_in += tokens_in
            self.tally.tokens_out += tokens_out
            self._memory.spend(0, tokens_in + tokens_out - reserved)

    def note(self, failure: ModelFailed | None) -> None:
        """Tell the circuit how it went."""
        provider = self._model.provider
        if failure is None:
            self._memory.note_success(provider)
        elif not isinstance(failure, (BudgetSpent, ProviderAbsent)):
            at_once = isinstance(failure, (KeyRefused, ModelGone))
            wait = failure.retry_after or 0.0
            self._memory.note_failure(provider, self._config.circuit, failure, at_once=at_once, wait=wait)
