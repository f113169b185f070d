"""Which list a line surely belongs to: who speaks, to whom, of which time."""

from __future__ import annotations

import pytest

from moon.distill.local_distiller import distill_locally
from moon.distill.turns import Turn

QUESTION = ("assistant", "Should the worksheet have 8 or 12 tasks?")


def lists_of(*said: tuple[str, str]) -> dict[str, list[str]]:
    turns = [Turn(f"e{number}", role, text) for number, (role, text) in enumerate(said)]
    return distill_locally(turns).texts()


def test_what_was_picked_stands_beside_what_was_asked() -> None:
    decisions = lists_of(QUESTION, ("user", "8, they are slow writers"))["decisions"]
    assert decisions == ["Should the worksheet have 8 or 12 tasks? — 8, they are slow writers"]


@pytest.mark.parametrize(
    "text",
    [
        "Next week I want to bake bread with 500 g of flour.",
        "No, we moved! It is 14 Larch Close in Leeds now.",
    ],
)
def test_nobody_decides_there(text: str) -> None:
    assert lists_of(("assistant", "Is the address on your order still correct?"), ("user", text))["decisions"] == []


def test_a_yes_to_an_offer_of_work_decides_nothing() -> None:
    lists = lists_of(("assistant", "Would you like me to draft the letter?"), ("user", "yes please"))
    assert lists["decisions"] == []


def test_what_comes_after_a_decision_is_a_line_of_its_own() -> None:
    lists = lists_of(
        ("assistant", "The pension has 12 rooms, the hostel 40 beds. Which do you prefer, the pension or the hostel?"),
        ("user", "I'll take the pension. Tess is not coming, her exams are on May 14."),
    )
    assert lists["decisions"] == ["I'll take the pension."]
    assert any("May 14" in line for line in lists["summary"])


@pytest.mark.parametrize(
    "text",
    [
        "A section 21 notice cannot end the tenancy before the fixed term is completed.",
        "Once the import is done, the report is sent.",
        "You could have the contract signed by the treasurer.",
    ],
)
def test_what_is_so_in_general_or_still_to_come_has_not_happened(text: str) -> None:
    assert lists_of(("user", "How does that work?"), ("assistant", text))["milestones"] == []
    assert lists_of(("user", text))["milestones"] == []


@pytest.mark.parametrize(
    "text", ["I've booked room 6 at the Lund.", "Booked! SK 1472, leaves at 14:20.", "The import of May 3 is done."]
)
def test_who_did_it_tells_a_milestone(text: str) -> None:
    assert lists_of(("user", text))["milestones"] == [text]


def test_a_tool_alone_tells_no_milestone() -> None:
    lists = lists_of(
        ("user", "install it"), ("call", "exec pip install lume"), ("result", "Successfully installed lume")
    )
    assert lists["milestones"] == []


@pytest.mark.parametrize(
    "text",
    ["I'll buy the tickets on Friday.", "Petra will send the German text by Monday.", "I still have to ask Kim."],
)
def test_what_somebody_will_do_is_open(text: str) -> None:
    assert lists_of(("user", "Hello there, what a week."), ("assistant", "Indeed."), ("user", text))["open_tasks"]


def test_advice_is_nobodys_task() -> None:
    text = "You should receive it by Friday, and I'd still watch the pending sectors."
    assert lists_of(("user", "Where is my disk?"), ("assistant", text))["open_tasks"] == []


@pytest.mark.parametrize(
    "text",
    [
        "I never got anything about the deposit of 900 pounds.",
        "I've never done a sourdough of 500 g.",
        'Clause 7.3 says: "The rent may never be raised by more than 3 %."',
    ],
)
def test_what_somebody_lived_through_or_quotes_is_no_rule(text: str) -> None:
    assert lists_of(("user", text))["rules"] == []


def test_what_a_question_tells_is_told_apart_from_it() -> None:
    question = "What is the best way to ask for more, since I got a signing bonus of $3,000 in May?"
    summary = lists_of(("user", "Hello there."), ("assistant", "Hello."), ("user", question))["summary"]
    assert "I got a signing bonus of $3,000 in May" in summary


def test_the_same_finding_is_told_once() -> None:
    said = [
        ("user", "The nightly import fails since Tuesday, can you look?"),
        ("call", "exec systemctl status import.timer"),
        ("result", "Failed with result exit-code"),
        ("assistant", "The cause was a full disk on /srv/import."),
    ]
    lines = [line for lines in lists_of(*said).values() for line in lines]
    assert sum("full disk on /srv/import" in line for line in lines) == 1


def test_data_on_one_line_says_nothing() -> None:
    data = '[{"id": 1, "price": 15.5, "note": "done, we decided"}, {"id": 2, "price": 17.5, "note": "always"}]'
    lists = lists_of(("user", f"Here is the export of March 3:\n{data}"))
    assert not any('"id"' in line for lines in lists.values() for line in lines)
