"""Who distills: the configured providers in order, and the local distiller when none of them can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from moon.distill.local import distill_locally
from moon.distill.record import Distillation
from moon.distill.turns import Turn

LOCAL_MODEL = "extractive-1"


@dataclass(frozen=True)
class Attempt:
    """One provider's turn. `outcome`: used, passed over (nothing was sent), failed."""

    provider: str
    outcome: str
    reason: str = ""
    model: str = ""

    def as_dict(self) -> dict[str, str]:
        """The entry of `attempts` in a record."""
        return {name: value for name, value in self.__dict__.items() if value or name in ("provider", "outcome")}


@dataclass(frozen=True)
class Spend:
    """What model calls cost."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Spend) -> Spend:
        return Spend(self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)


@dataclass(frozen=True)
class Result:
    """A distillation, who made it, and what was tried before."""

    distillation: Distillation
    provider: str
    model: str
    attempts: tuple[Attempt, ...]
    spend: Spend = field(default_factory=Spend)


class LocalEngine:
    """Distills without any model."""

    def __init__(self, length: int, tool_result_chars: int) -> None:
        self._length = length
        self._tool_result_chars = tool_result_chars

    def distill(self, turns: Sequence[Turn]) -> Result:
        """Always answers."""
        made = distill_locally(turns, self._length, self._tool_result_chars)
        return Result(made, "local", LOCAL_MODEL, (Attempt("local", "used", model=LOCAL_MODEL),))
