"""The attack on the real OpenClaw counts a message as lost only when it was: its model, and its count of answers."""

import pytest
from tests.attack.real_soak import CUT_BY_RESTART, OTHER_WORDS, UNANSWERED, Sent, fates, words_of
from tests.attack.rollover import asked

# A map, as the real program puts it into a prompt, and as it comes before the next message when its run was lost.
MAP = (
    "# Continuity map 20261124T192616478Z-370232\n\n## How it ended\n- user: token-old the register [fill 0.96]\n\n"
    "## Where it is\n- archive archives/raw/main/a.00003.jsonl (6 events)"
)
RUNTIME = "\n\nRuntime: agent=main | session=agent:main:one"
QUEUED = "[Queued user message from a previous turn; preserved as context only. Continue with the prompt below.]\n"


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        (f"[Tue 2026-11-24 19:26 UTC] {MAP}{RUNTIME}", ""),
        (f"{QUEUED}{MAP}\n\ntoken-new the register [fill 0.70]", "token-new the register [fill 0.70]"),
        (f"{QUEUED}token-cut the register\n\n{MAP}{RUNTIME}", ""),
        ("token-new the register", "token-new the register"),
    ],
)
def test_the_model_answers_the_message_and_not_the_map_before_it(prompt: str, meant: str) -> None:
    assert asked(prompt) == meant


@pytest.mark.parametrize(
    ("sent", "events", "fate"),
    [
        (Sent("t1", "answer-to-t1"), b'"say-t1:user" answer-to-t1', None),
        (Sent("t1", "Noted."), b'"say-t1:user" Noted.', OTHER_WORDS),
        (Sent("t1", None, died=True), b'"say-t1:user"', CUT_BY_RESTART),
        (Sent("t1", None, died=True), b'"say-t1:user" answer-to-t1', None),
        (Sent("t1", None), b'"say-t1:user"', UNANSWERED),
        (Sent("t1", ""), b"a run that ended without words", UNANSWERED),
        (Sent("t1", None), b"refused, and its sender was told so", None),
    ],
)
def test_what_became_of_a_message(sent: Sent, events: bytes, fate: str | None) -> None:
    assert {name for name, each in fates([sent], events).items() if each} == ({fate} if fate else set())


def test_a_run_that_ended_without_words_has_no_answer() -> None:
    assert words_of({"status": "ok", "result": {"payloads": [{"text": "Noted."}]}}) == "Noted."
    assert words_of({"status": "error", "result": {"payloads": [{"text": "it failed", "isError": True}]}}) == ""
    assert words_of({"status": "ok", "summary": "completed"}) == ""
