"""The end of a window: its last words and calls, and what waits for whom."""

from __future__ import annotations

import pytest

from moon.rollover.window_end import ASSISTANT, CALL, RESULT, USER, Said, end_of
from moon.text import token_estimate

ROOM = 600


def said(*pairs: tuple[str, str]) -> list[Said]:
    return [Said(f"e{number}", role, text) for number, (role, text) in enumerate(pairs)]


def test_the_last_words_stand_in_their_order_with_who_said_them():
    end = end_of(said((USER, "Move it to ops-5."), (ASSISTANT, "Moved.\nNext is the firewall.")), ROOM)
    assert end.now == ["user: Move it to ops-5.", "you: Moved. Next is the firewall."]
    assert end.waiting == []


def test_a_call_stands_with_the_end_of_its_result():
    end = end_of(said((CALL, "exec make test"), (RESULT, "collecting\n" * 50 + "3 failed\n\nexit 1\n")), ROOM)
    assert end.now == ["you ran: exec make test → 3 failed / exit 1"]
    assert end.waiting == []


def test_a_call_without_a_result_waits():
    end = end_of(said((USER, "Deploy it."), (CALL, "exec make deploy")), ROOM)
    assert end.now[-1] == "you ran: exec make deploy → no result"
    assert any(line.startswith("no result of: exec make deploy") for line in end.waiting)


def test_results_go_to_their_calls_in_order_and_not_across_a_users_message():
    end = end_of(
        said((CALL, "exec lost"), (USER, "And?"), (CALL, "exec a"), (CALL, "exec b"), (RESULT, "one"), (RESULT, "two")),
        ROOM,
    )
    assert end.now == ["you ran: exec lost → no result", "user: And?", "you ran: exec a → one", "you ran: exec b → two"]


def test_a_users_message_without_an_answer_waits():
    end = end_of(said((ASSISTANT, "Done."), (USER, "Who pays for it?")), ROOM)
    assert end.waiting == ["no answer yet to the user's last words: Who pays for it?"]


@pytest.mark.parametrize(
    ("text", "waits"), [("ok good night", 0), ("danke!", 0), ("why?", 1), ("再起動してください", 1)]
)
def test_a_farewell_waits_for_nothing(text, waits):
    assert len(end_of(said((ASSISTANT, "Done."), (USER, text)), ROOM).waiting) == waits


@pytest.mark.parametrize(
    "answer",
    [
        "I need one thing. Do we keep the lease?",
        "Do we keep the **lease?**",
        "Do we keep the lease? Let me know.",
        "賃貸契約は続けますか？",
        "هل نبقي العقد؟",
    ],
)
def test_what_the_agent_asked_last_waits_for_the_user(answer):
    (waiting,) = end_of(said((USER, "Go on."), (ASSISTANT, answer)), ROOM).waiting
    assert waiting.startswith("waits for the user, who has not answered: ")


@pytest.mark.parametrize("answer", ["Done.", "You asked: why? I looked it up. It is the cache.", "`curl x?y=1` works."])
def test_an_answer_that_asks_nothing_waits_for_nobody(answer):
    assert end_of(said((USER, "Go on."), (ASSISTANT, answer)), ROOM).waiting == []


def test_a_question_that_was_answered_waits_no_more():
    end = end_of(said((ASSISTANT, "Renew the lease?"), (USER, "Yes."), (ASSISTANT, "Renewed.")), ROOM)
    assert end.waiting == []


@pytest.mark.parametrize("text", ["word " * 50_000, "x" * 200_000, "言葉" * 100_000, "a\n" * 100_000])
def test_the_room_is_kept_whatever_is_pasted(text):
    end = end_of(said(*[(role, text) for _ in range(20) for role in (USER, ASSISTANT, CALL, RESULT)]), 200)
    assert end.now and token_estimate("\n".join(end.now)) <= 220


def test_of_a_pasted_log_stand_its_first_lines_and_the_last():
    log = "\n".join(f"10:{at:02} GET /part/{at} 200" for at in range(60))
    (line,) = end_of(said((USER, f"What did the crawler do?\n{log}\nAny failure?")), ROOM).now
    assert line == (
        "user: What did the crawler do? 10:00 GET /part/0 200 10:01 GET /part/1 200 [… 58 lines …] Any failure?"
    )


def test_code_in_an_answer_is_named_only():
    end = end_of(said((ASSISTANT, "Like this:\n```python\nx = 1\n```\nThen restart it.")), ROOM)
    assert end.now == ["you: Like this: [code] Then restart it."]


def test_nothing_said_is_nothing():
    assert end_of([], ROOM) == ([], [])
