"""Which messages lost their answer when a window was opened."""

from __future__ import annotations

from moon.openclaw.pending_inputs import PendingInput
from moon.rollover.cut_messages import MARK, SLACK_MS, collided, cut_messages, interrupted

OPENED = 1_795_000_000_000


def user(name, taken=OPENED - 10, **more):
    message = {"role": "user", "content": name, "timestamp": taken, **more}
    return {"type": "message", "id": name, "message": message}


def assistant(text="fine", stop="stop"):
    content = [{"type": "text", "text": text}] if text else []
    return {"type": "message", "id": "a", "message": {"role": "assistant", "content": content, "stopReason": stop}}


RESET = {"type": "reset", "id": "r"}


def texts(old=(), new=(), pending=()):
    return [each.text for each in cut_messages("r1", list(old), [RESET, *new], OPENED, list(pending))]


def test_what_was_answered_is_not_cut():
    assert texts(old=[user("q1"), assistant()]) == []
    assert texts(new=[user("q1"), assistant()]) == []
    assert texts() == []


def test_a_message_in_the_old_window_without_an_answer():
    assert texts(old=[user("q1"), assistant(), user("q2")]) == ["q2"]
    assert texts(old=[user("q1"), user("q2")]) == ["q1", "q2"]


def test_a_tool_call_an_abort_and_an_error_are_no_answer():
    for stop in ("toolUse", "aborted", "error"):
        assert texts(old=[user("q1"), assistant("half a word", stop)]) == ["q1"]
    assert texts(old=[user("q1"), assistant("")]) == ["q1"]
    assert texts(old=[user("q1"), assistant("calls", "toolUse"), assistant("done")]) == []


def test_a_message_behind_the_reset_counts_only_if_it_was_taken_before():
    assert texts(new=[user("q1"), assistant("", "error")]) == ["q1"]
    assert texts(new=[user("q1", taken=OPENED + 1), assistant("", "error")]) == []


def test_an_answer_behind_the_reset_does_not_answer_the_old_window():
    assert texts(old=[user("q1")], new=[user("q2"), assistant()]) == ["q1"]


def test_a_run_that_openclaw_names_as_failed_is_cut_whatever_stands_between():
    failed = assistant("", "error")
    failed["message"]["idempotencyKey"] = "k1:terminal-error"
    lines = [user("q1", idempotencyKey="k1:user"), assistant("to the map"), failed]
    assert texts(old=lines) == ["q1"]
    assert [each.text for each in collided("r1", lines, OPENED)] == ["q1"]
    assert collided("r1", lines, OPENED - 11) == [] and collided("r1", lines[:2], OPENED) == []


def test_an_interrupted_input_counts_once_even_if_it_reached_a_transcript():
    held = PendingInput("i1", "interrupted", OPENED, {"role": "user", "content": "q1", "idempotencyKey": "k:user"})
    assert texts(pending=[held]) == ["q1"]
    assert texts(old=[user("q1", idempotencyKey="k:user")], pending=[held]) == ["q1"]
    assert texts(new=[user("q1", idempotencyKey="k:user"), assistant()], pending=[held]) == []


def test_only_inputs_interrupted_by_this_rollover_count():
    def held(state="interrupted", at=OPENED):
        return PendingInput("i", state, at, {})

    late, early = held(at=OPENED + SLACK_MS + 1), held(at=OPENED - 100 - SLACK_MS - 1)
    mine = held()
    assert interrupted([mine, held("queued"), held("cancelled"), late, early], OPENED - 100, OPENED) == [mine]


def test_blocks_of_text_are_joined_and_what_has_no_text_is_left_out():
    blocks = [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}]
    assert texts(old=[user("x", content=blocks)]) == ["one\ntwo"]
    assert texts(old=[user("x", content=[{"type": "image"}])]) == []


def test_a_stranger_in_a_group_is_known():
    (cut,) = cut_messages("r1", [user("q1", __openclaw={"senderIsOwner": False})], [RESET], OPENED, [])
    assert not cut.is_owner


def test_each_has_a_key_of_its_own_that_stays_and_is_never_a_command():
    first = cut_messages("r1", [user("/new"), user("q2")], [RESET], OPENED, [])
    assert first == cut_messages("r1", [user("/new"), user("q2")], [RESET], OPENED, [])
    keys = {each.key for each in [*first, *cut_messages("r2", [user("/new")], [RESET], OPENED, [])]}
    assert len(keys) == 3 and not any("r1" in key for key in keys)
    assert first[0].turn == f"{MARK}\n\n/new"
