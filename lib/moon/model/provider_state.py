"""What is remembered of providers between runs: open circuits, withdrawn models, what was spent, what was told.

`state/models.json`, written in one step after every change; a file that cannot be read is begun anew, one of a newer
Moon is refused. Whoever calls models holds the cycle lock, so there is one writer.
"""

from __future__ import annotations

from typing import Any

from moon import schema
from moon.clock import format_ms, local_date, now_ms, parse_ms
from moon.config import Budget, Circuit
from moon.errors import DocumentInvalid, DocumentTooNew, MoonError
from moon.model.model_port import BudgetSpent
from moon.paths import Home

WITHDRAWN_DAYS = 7
DAY_MS = 86_400_000


class ModelMemory:
    """The memory of one home, for one cycle."""

    def __init__(self, home: Home, cycle_id: str, zone_name: str) -> None:
        self._path = home.state / "models.json"
        self._cycle_id = cycle_id
        self._zone = zone_name
        self._document = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            return schema.read("models", self._path)
        except DocumentTooNew:
            raise
        except (FileNotFoundError, DocumentInvalid):
            return {"schema": "moon.models/1", "circuits": {}, "withdrawn": {}, "told": {}, "spent": {}}

    def save(self) -> None:
        """Write the file."""
        schema.write("models", self._document, self._path)

    # --- circuits -----------------------------------------------------------------------------------------------------

    def open_until(self, provider: str) -> str | None:
        """Until when this provider is left alone; None when it may be asked."""
        until = self._document["circuits"].get(provider, {}).get("open_until")
        return until if until and (parse_ms(until) or 0) > now_ms() else None

    def note_failure(
        self, provider: str, limits: Circuit, failure: MoonError, *, at_once: bool = False, wait: float = 0.0
    ) -> None:
        """Count a failure. Too many in a row, or one that will not pass, leave the provider alone for a while."""
        circuit = self._document["circuits"].setdefault(provider, {"failures": 0, "open_until": None})
        circuit["failures"] += 1
        circuit["code"], circuit["reason"] = failure.code, failure.message
        if at_once or circuit["failures"] >= limits.failures:
            circuit["open_until"] = format_ms(now_ms() + int(max(limits.open_seconds, wait) * 1000))
        self.save()

    def note_success(self, provider: str) -> None:
        """Forget earlier failures."""
        known = self._document["circuits"].pop(provider, None)
        if self._document["told"].pop(provider, None) is not None or known is not None:
            self.save()

    # --- withdrawn models ---------------------------------------------------------------------------------------------

    def usable(self, provider: str, models: list[str]) -> list[str]:
        """The models that were not found to be withdrawn within the last days."""
        since = self._document["withdrawn"].get(provider, {})
        limit = now_ms() - WITHDRAWN_DAYS * DAY_MS
        return [model for model in models if (parse_ms(since.get(model)) or 0) < limit]

    def note_withdrawn(self, provider: str, model: str) -> None:
        """Skip this model from now on; it is tried again after some days."""
        self._document["withdrawn"].setdefault(provider, {})[model] = format_ms(now_ms())
        self.save()

    # --- telling once -------------------------------------------------------------------------------------------------

    def is_news(self, provider: str, reason: str) -> bool:
        """Whether this reason was not the last one told about that provider; it is from now on."""
        if self._document["told"].get(provider) == reason:
            return False
        self._document["told"][provider] = reason
        self.save()
        return True

    # --- the budget ---------------------------------------------------------------------------------------------------

    def _spent(self) -> dict[str, Any]:
        spent: dict[str, Any] = self._document["spent"]
        today = local_date(now_ms(), self._zone).isoformat()
        if spent.get("day") != today:
            spent.update(day=today, calls=0, tokens=0)
        if spent.get("cycle_id") != self._cycle_id:
            spent.update(cycle_id=self._cycle_id, cycle_calls=0, cycle_tokens=0)
        return spent

    def check_budget(self, budget: Budget, calls: int, tokens: int) -> None:
        """Raise `BudgetSpent` when so many more calls and tokens would exceed the day's or the cycle's budget."""
        spent = self._spent()
        for used, wanted, limit, words in (
            (spent["calls"], calls, budget.calls_per_day, "calls a day"),
            (spent["tokens"], tokens, budget.tokens_per_day, "tokens a day"),
            (spent["cycle_calls"], calls, budget.calls_per_cycle, "calls a cycle"),
            (spent["cycle_tokens"], tokens, budget.tokens_per_cycle, "tokens a cycle"),
        ):
            if used + wanted > limit:
                raise BudgetSpent(f"budget of {limit} {words}: {used} used, {wanted} more needed")

    def spend(self, calls: int, tokens: int) -> None:
        """Count calls and tokens. Called before a request with what it may cost and after it with the difference."""
        spent = self._spent()
        spent["calls"] += calls
        spent["cycle_calls"] += calls
        spent["tokens"] = max(0, spent["tokens"] + tokens)
        spent["cycle_tokens"] = max(0, spent["cycle_tokens"] + tokens)
        self.save()


def read_circuits(home: Home) -> dict[str, Any]:
    """By provider: failures in a row, until when it is left alone, and why. Raises `DocumentInvalid`."""
    try:
        circuits: dict[str, Any] = schema.read("models", home.state / "models.json")["circuits"]
    except FileNotFoundError:
        return {}
    return circuits
