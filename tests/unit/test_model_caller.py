"""Retries, withdrawn models, circuits and the budget, with a scripted model and a clock that stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_model import Scripted
from tests.support.settings import changed

from moon import config as configuration
from moon.config import Distill
from moon.model.model_caller import Caller
from moon.model.model_keys import read_key
from moon.model.model_port import (
    Answer,
    BudgetSpent,
    KeyRefused,
    ModelBroken,
    ModelBusy,
    ModelFailed,
    ModelGone,
    ModelTimeout,
    ProviderAbsent,
    Question,
    failure_of_status,
    seconds,
)
from moon.model.provider_state import ModelMemory
from moon.paths import Home
from moon.text import token_estimate

QUESTION = Question("system", "text " * 100, {}, 500)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MOON_NOW", "2026-11-22T12:00:00Z")
    return Home(tmp_path / "moon")


def settings(home: Home, **more: Any) -> Distill:
    """The distill section with its defaults, changed here and there."""
    return changed(configuration.load(home).distill, **more)


def caller_of(
    home: Home, replies: list[Any], cycle: str = "c1", waits: list[float] | None = None, **more: Any
) -> Caller:
    """A caller of a scripted model with two names."""
    config = settings(home, **more)
    memory = ModelMemory(home, cycle, "UTC")
    slept = waits if waits is not None else []
    return Caller(Scripted(replies), ["first", "second"], config, memory, slept.append)


def test_what_may_pass_is_tried_again_a_bounded_number_of_times(home: Home) -> None:
    waits: list[float] = []
    caller = caller_of(home, [ModelBroken("x"), ModelBroken("x"), "fine"], waits=waits, retries=2)
    assert caller.ask(QUESTION).text == "fine"
    assert waits == [1.0, 3.0]
    assert caller.tally.calls == 3
    with pytest.raises(ModelBroken):
        caller_of(home, [ModelBroken("x")], retries=1).ask(QUESTION)


def test_the_wait_a_server_asks_for_is_kept_unless_it_is_long(home: Home) -> None:
    waits: list[float] = []
    assert caller_of(home, [ModelBusy("x", retry_after=7), "fine"], waits=waits).ask(QUESTION).text == "fine"
    assert waits == [7]
    with pytest.raises(ModelBusy):
        caller_of(home, [ModelBusy("x", retry_after=600), "fine"], waits=waits).ask(QUESTION)
    assert waits == [7]


@pytest.mark.parametrize("failure", [KeyRefused("x"), ModelTimeout("x")])
def test_what_will_not_pass_is_not_tried_again(home: Home, failure: ModelFailed) -> None:
    waits: list[float] = []
    with pytest.raises(type(failure)):
        caller_of(home, [failure, "fine"], waits=waits).ask(QUESTION)
    assert waits == []


def test_a_withdrawn_model_is_remembered_for_days_once_another_answers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = caller_of(home, [ModelGone("x"), "fine"])
    assert caller.ask(QUESTION).text == "fine"
    assert caller.model_name == "second"
    assert caller_of(home, ["fine"]).model_name == "second"
    monkeypatch.setenv("MOON_NOW", "2026-11-30T12:00:01Z")
    assert caller_of(home, ["fine"]).model_name == "first"


def test_when_no_model_at_all_is_known_nothing_is_remembered(home: Home) -> None:
    with pytest.raises(ModelGone):
        caller_of(home, [ModelGone("x")]).ask(QUESTION)
    assert caller_of(home, ["fine"]).model_name == "first"


def test_a_circuit_opens_after_failures_in_a_row_and_closes_by_itself(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert ModelMemory(home, "c", "UTC").open_until("gemini") is None
        caller_of(home, ["x"]).note(ModelBroken("x"))
    assert ModelMemory(home, "c", "UTC").open_until("gemini") == "2026-11-22T12:15:00.000Z"
    assert ModelMemory(home, "c", "UTC").open_until("openai") is None
    monkeypatch.setenv("MOON_NOW", "2026-11-22T12:15:01Z")
    assert ModelMemory(home, "c", "UTC").open_until("gemini") is None


def test_a_success_forgets_failures_and_a_refused_key_opens_at_once(home: Home) -> None:
    caller = caller_of(home, ["x"])
    caller.note(ModelBroken("x"))
    caller.note(ModelBroken("x"))
    caller.note(None)
    caller.note(ModelBroken("x"))
    assert ModelMemory(home, "c", "UTC").open_until("gemini") is None
    caller.note(KeyRefused("x"))
    assert ModelMemory(home, "c", "UTC").open_until("gemini") is not None


def test_no_key_and_no_budget_are_no_failures_of_the_provider(home: Home) -> None:
    caller = caller_of(home, ["x"])
    for _ in range(5):
        caller.note(ProviderAbsent("x"))
        caller.note(BudgetSpent("x"))
    assert ModelMemory(home, "c", "UTC").open_until("gemini") is None


def budget(home: Home, **limits: int) -> Any:
    """A budget with these limits."""
    return changed(settings(home).budget, **limits)


def test_calls_and_tokens_are_counted_before_they_are_sent_and_corrected_after(home: Home) -> None:
    caller = caller_of(home, [Answer("fine", 120, 30)])
    caller.ask(QUESTION)
    memory = ModelMemory(home, "c1", "UTC")
    memory.check_budget(budget(home, tokens_per_day=150 + 1), 0, 1)
    with pytest.raises(BudgetSpent, match="150 used, 2 more needed"):
        memory.check_budget(budget(home, tokens_per_day=150 + 1), 0, 2)


def test_a_call_that_was_cut_short_stays_counted(home: Home) -> None:
    def stop(question: Question) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caller_of(home, [stop]).ask(QUESTION)
    with pytest.raises(BudgetSpent, match="1 used"):
        ModelMemory(home, "c1", "UTC").check_budget(budget(home, calls_per_day=1), 1, 0)


def test_a_day_and_a_cycle_begin_anew(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = budget(home, calls_per_day=2, calls_per_cycle=1)
    caller_of(home, ["fine"], budget=limits).ask(QUESTION)
    with pytest.raises(BudgetSpent, match="calls a cycle"):
        caller_of(home, ["fine"], budget=limits).ask(QUESTION)
    caller_of(home, ["fine"], cycle="c2", budget=limits).ask(QUESTION)
    with pytest.raises(BudgetSpent, match="calls a day"):
        caller_of(home, ["fine"], cycle="c3", budget=limits).ask(QUESTION)
    monkeypatch.setenv("MOON_NOW", "2026-11-23T00:00:01Z")
    assert caller_of(home, ["fine"], cycle="c3", budget=limits).ask(QUESTION).text == "fine"


def test_a_reason_is_news_once_until_it_changes_or_the_provider_works(home: Home) -> None:
    memory = ModelMemory(home, "c", "UTC")
    told = [memory.is_news("gemini", reason) for reason in ("no key", "no key", "HTTP 500", "no key")]
    assert told == [True, False, True, True]
    memory.note_success("gemini")
    assert ModelMemory(home, "c", "UTC").is_news("gemini", "no key")


def test_a_damaged_memory_is_begun_anew(home: Home) -> None:
    ModelMemory(home, "c", "UTC").spend(1, 1)
    (home.state / "models.json").write_text("{")
    ModelMemory(home, "c", "UTC").check_budget(budget(home, calls_per_day=1), 1, 0)


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (400, "", "model_request_refused"),
        (400, "API key not valid. Please pass a valid API key.", "model_key_refused"),
        (400, "The model x has been retired", "model_gone"),
        (401, "", "model_key_refused"),
        (403, "", "model_key_refused"),
        (404, "", "model_gone"),
        (408, "", "model_broken"),
        (410, "", "model_gone"),
        (422, "", "model_request_refused"),
        (429, "", "model_busy"),
        (500, "", "model_broken"),
        (529, "", "model_broken"),
    ],
)
def test_a_status_means_one_failure_and_never_repeats_what_was_told(status: int, told: str, code: str) -> None:
    failure = failure_of_status(status, None, told)
    assert failure.code == code
    assert str(status) in failure.message
    assert not told or told not in failure.message


def test_retry_after_is_read_as_number_and_as_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOON_NOW", "2026-11-22T12:00:00Z")
    values = [seconds(text) for text in ("3", "0.5", "Sun, 22 Nov 2026 12:00:09 GMT", "soon", "", None)]
    assert values == [3.0, 0.5, 9.0, None, None, None]


def test_keys_come_from_the_environment_or_a_command(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    section = settings(home).gemini
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    assert read_key(section) == ""
    assert read_key(changed(section, api_key_command=["printf", "from-a-vault\\n"])) == "from-a-vault"
    monkeypatch.setenv("GEMINI_API_KEY", " from-the-environment ")
    assert read_key(changed(section, api_key_command=["false"])) == "from-the-environment"


@pytest.mark.parametrize("command", [["false"], ["printf", "two\\nlines"], ["true"], ["/nowhere/program"]])
def test_a_command_that_gives_no_key_says_so_and_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    with pytest.raises(ProviderAbsent) as caught:
        read_key(changed(settings(home).gemini, api_key_command=command))
    assert "two" not in caught.value.message


def test_tokens_are_rather_overestimated() -> None:
    assert token_estimate("The quick brown fox jumps over the lazy dog. " * 100) > 900
    assert token_estimate("我们决定用缓存方案" * 100) >= 700
