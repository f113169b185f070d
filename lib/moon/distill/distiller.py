"""Who distills: the configured providers in order, and the local distiller when none of them can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moon.config import Distill
from moon.distill.comparing import Measures, measured, why_not
from moon.distill.distillation import Distillation
from moon.distill.local_distiller import distill_locally, with_exact
from moon.distill.model_distiller import Progress, distill_with_model
from moon.distill.turns import Turn
from moon.errors import ConfigInvalid
from moon.model.model_caller import Caller, Tally
from moon.model.model_port import BudgetSpent, Model, ModelFailed, ProviderAbsent
from moon.model.provider_state import ModelMemory
from moon.text import token_estimate

if TYPE_CHECKING:
    from moon import documents

LOCAL = "local"
LOCAL_MODEL = "extractive-1"
# A few words are their own summary: the local distiller keeps all of them.
WORTH_A_CALL_TOKENS = 150


@dataclass(frozen=True)
class Attempt:
    """One provider's turn. `outcome`: used, outdone (by the local distiller), passed over (nothing was sent), failed.

    `measures`: of what a model made, and of the local distillation of its length.
    """

    provider: str
    outcome: str
    reason: str = ""
    model: str = ""
    measures: tuple[Measures, Measures] | None = None

    def as_document(self) -> documents.Attempt:
        """The entry of `attempts` in a record."""
        entry: documents.Attempt = {"provider": self.provider, "outcome": self.outcome}
        if self.model:
            entry["model"] = self.model
        if self.reason:
            entry["reason"] = self.reason
        if self.measures:
            entry["measures"], entry["local_measures"] = (each.as_document() for each in self.measures)
        return entry


@dataclass(frozen=True)
class Result:
    """A distillation, who made it, what was tried before, and what it cost."""

    distillation: Distillation
    provider: str
    model: str
    attempts: tuple[Attempt, ...]
    spend: Tally = field(default_factory=Tally)


OpenModel = Callable[[str], Model]


class Engine:
    """Distills with the first provider that can. `open_model` gives a provider's model or raises `ProviderAbsent`."""

    def __init__(
        self,
        config: Distill,
        memory: ModelMemory,
        open_model: OpenModel,
        only: str = "",
        sleep: Callable[[float], None] = time.sleep,
        progress: Progress = lambda done, total: None,
    ) -> None:
        self._config = config
        self._memory = memory
        self._open_model = open_model
        self._providers = [only] if only else config.providers
        self._sleep = sleep
        self._progress = progress
        self._news: list[str] = []
        self._opened: dict[str, Model | ProviderAbsent] = {}

    def distill(self, turns: Sequence[Turn]) -> Result:
        """Always answers: the local distiller needs nothing that could be missing."""
        attempts: list[Attempt] = []
        spend = Tally()
        for provider in self._remote(turns, attempts):
            caller: Caller | None = None
            try:
                caller = self._caller(provider)
                caller.tally = spend
                made = distill_with_model(caller, turns, self._config, self._progress)
            except (ModelFailed, ConfigInvalid) as failure:
                attempts.append(self._note(provider, caller, failure))
                continue
            caller.note(None)
            made = with_exact(made, turns, self._config.local_chars, self._config.tool_result_chars)
            attempts.append(self._compared(made, turns, provider, caller.model_name))
            if attempts[-1].outcome == "used":
                return Result(made, provider, caller.model_name, tuple(attempts), spend)
        local = distill_locally(turns, self._config.local_chars, self._config.tool_result_chars)
        attempts.append(Attempt(LOCAL, "used", model=LOCAL_MODEL))
        return Result(local, LOCAL, LOCAL_MODEL, tuple(attempts), spend)

    def _compared(self, made: Distillation, turns: Sequence[Turn], provider: str, model: str) -> Attempt:
        """A model's turn: used when what it made beats what the local distiller makes in the same length."""
        measures = measured(made, turns)
        local = measured(distill_locally(turns, measures.characters, self._config.tool_result_chars), turns)
        reason = why_not(measures, local)
        return Attempt(provider, "outdone" if reason else "used", reason, model, (measures, local))

    def take_news(self) -> list[str]:
        """What a person should hear about providers and has not heard yet; each reason is told once."""
        news, self._news = self._news, []
        return news

    def _remote(self, turns: Sequence[Turn], attempts: list[Attempt]) -> Iterator[str]:
        """The providers before `local`, unless there is too little to ask about."""
        short = sum(token_estimate(turn.text) for turn in turns) < WORTH_A_CALL_TOKENS
        for provider in self._providers:
            if provider == LOCAL:
                return
            if short:
                attempts.append(Attempt(provider, "passed over", "too few words to need a model"))
            else:
                yield provider

    def _caller(self, provider: str) -> Caller:
        until = self._memory.open_until(provider)
        if until:
            raise ProviderAbsent(f"left alone until {until} after repeated failure")
        settings = self._config.gemini if provider == "gemini" else self._config.openai
        return Caller(self._model(provider), settings.models, self._config, self._memory, self._sleep)

    def _model(self, provider: str) -> Model:
        """A provider's model, opened once a run: a key may come from a program that asks somebody."""
        if provider not in self._opened:
            try:
                self._opened[provider] = self._open_model(provider)
            except ProviderAbsent as absent:
                self._opened[provider] = absent
        opened = self._opened[provider]
        if isinstance(opened, ProviderAbsent):
            raise opened
        return opened

    def _note(self, provider: str, caller: Caller | None, failure: ModelFailed | ConfigInvalid) -> Attempt:
        model = caller.model_name if caller else ""
        nothing_sent = isinstance(failure, (ProviderAbsent, BudgetSpent, ConfigInvalid))
        if caller is not None and isinstance(failure, ModelFailed):
            caller.note(failure)
        if self._memory.is_news(provider, failure.message):
            self._news.append(f"{provider} was not used: {failure.message}")
        return Attempt(provider, "passed over" if nothing_sent else "failed", failure.message, model)
