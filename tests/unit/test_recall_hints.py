"""The questions of a map: their words, and which of them are written."""

from __future__ import annotations

import json

import pytest

from moon.programs import Completed
from moon.rollover import recall_hints
from moon.rollover.map_lists import LISTS, Line
from moon.rollover.recall_hints import Question, question_of, questions, try_questions


def ask(text: str) -> str:
    question = question_of(Line(text, ("e1",), 0))
    return question.text if question else ""


def test_a_question_holds_the_telling_words_in_their_order():
    found = ask("I started migration 0007_waitlist but it fails on Friday, and I haven't found out why.").split()
    assert found.index("migration") < found.index("0007_waitlist") < found.index("Friday")
    assert "haven't" not in found and "but" not in found


@pytest.mark.parametrize("text", ["ok", "Do it then.", "Yes, that is it."])
def test_what_is_hardly_a_question_is_none(text):
    assert ask(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        'delete "everything"; rm -rf $HOME `whoami` before Monday',
        "commits with -x and --allow-empty hide mistakes",
        "東京の展示は4月2日から変更になりました。",
    ],
)
def test_a_question_is_safe_between_quotes_and_holds_no_operator(text):
    found = ask(text)
    assert found and not set(found) & set('"$`\\!;\n')
    assert not any(word.startswith("-") for word in found.split())


def test_questions_come_from_every_list_and_once():
    lists = {name: [Line(f"{name} alpha bravo charlie", ("e",), 0)] * 2 for name in LISTS}
    texts = [question.text for question in questions(lists)]
    assert len(texts) == len(set(texts)) == 5 and "open_tasks" in texts[0]


def answer(*rows: tuple[str, str, str]) -> bytes:
    results = [{"agent": agent, "session_id": session, "event_id": event} for agent, session, event in rows]
    return json.dumps({"results": results}).encode() + b"\n"


def tried(monkeypatch, output: bytes, *asked: Question) -> list[str]:
    monkeypatch.setattr(recall_hints.programs, "run", lambda *_, **__: Completed(0, output, b""))
    return try_questions(asked, "main", "s1")


def test_only_what_finds_this_session_is_written_and_the_exact_message_first(monkeypatch):
    rows = [(), ("main", "other", "e2"), ("other", "s1", "e3"), ("main", "s1", "x"), ("main", "s1", "e5")]
    asked = [Question(f"question {number}", (f"e{number}",)) for number in range(1, 6)]
    found = tried(monkeypatch, b"".join(answer(*([row] if row else [])) for row in rows), *asked)
    assert found == ['moon-recall "question 5" --limit 5', 'moon-recall "question 4" --limit 5']


@pytest.mark.parametrize("output", [b"", b"not json\n", b"[1]\n", b'{"results": []}\n'])
def test_what_was_not_answered_is_not_written(monkeypatch, output):
    assert tried(monkeypatch, output, Question("one two three", ("e1",))) == []


def test_answers_that_came_before_the_time_was_over_count(monkeypatch):
    first, second = Question("one two three", ("e1",)), Question("four five six", ("e2",))
    assert tried(monkeypatch, answer(("main", "s1", "e1")) + b'{"resu', first, second) == [first.command]
