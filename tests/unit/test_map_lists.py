"""Which lines a map takes from the distillations of several days."""

from __future__ import annotations

from moon.documents import DistillationRecord
from moon.rollover.map_lists import LISTS, Line, choose, gather, not_in
from moon.text import token_estimate

JANUARY, FEBRUARY = "2024-01-08", "2024-02-05"


def record(day: str, **lists: list[str]) -> DistillationRecord:
    every = {name: lists.get(name, []) for name in LISTS}
    return {
        "schema": "moon.distillation/1",
        "archive_sha256": "0" * 64,
        "provider": "local",
        "model": "extractive-1",
        "sources": {name: [[f"{day}-{at}"] for at in range(len(texts))] for name, texts in every.items()},
        "created_at": f"{day}T08:00:00Z",
        "memory_file": f"/home/agent/memory/{day}.md",
        **every,
    }


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_the_newest_comes_first_once_and_with_its_day():
    january = record(JANUARY, decisions=["Soft delete it is.", "Plain text mails."])
    lists = gather([january, record(FEBRUARY, decisions=["Plain text mails."])])
    assert [(line.text, line.day, line.sources) for line in lists["decisions"]] == [
        ("Plain text mails.", "", ("2024-02-05-0",)),
        ("Soft delete it is.", JANUARY, ("2024-01-08-0",)),
    ]


def test_a_later_line_that_says_the_same_with_another_value_takes_its_place():
    january = record(JANUARY, summary=["The fee is 20 euros a year."])
    lists = gather([january, record(FEBRUARY, summary=["The fee is 25 euros a year."])])
    assert texts(lists["summary"]) == ["The fee is 25 euros a year."]


def test_a_later_line_that_takes_a_value_back_replaces_the_earlier_one_in_any_list():
    deadline = "The deadline is March 15, when the season opens."
    january = record(JANUARY, open_tasks=[deadline], rules=["At most 5 slots."])
    february = record(FEBRUARY, summary=["They moved the deadline: March 31 now, not March 15."])
    lists = gather([january, february])
    assert lists["open_tasks"] == [] and texts(lists["rules"]) == ["At most 5 slots."]


def test_within_one_day_both_lines_stay():
    lists = gather([record(JANUARY, decisions=["KT-118 becomes KT-1180.", "KT-119 becomes KT-1190."])])
    assert len(lists["decisions"]) == 2


def test_a_task_is_done_in_other_forms_of_its_words_but_not_with_other_values():
    january = record(JANUARY, open_tasks=["Flights: I still have to book them.", "I have to pay the 602 EUR bill."])
    february = record(FEBRUARY, milestones=["Flights are booked, leaving at 11:05.", "The 105 EUR bill is paid."])
    assert texts(gather([january, february])["open_tasks"]) == ["I have to pay the 602 EUR bill."]


def test_a_task_that_a_later_day_reports_as_done_is_left_out():
    task, done = "Order two disks for the vault.", "The two disks for the vault are ordered."
    january = record(JANUARY, open_tasks=[task, "Write the report."])
    lists = gather([january, record(FEBRUARY, milestones=[done])])
    assert texts(lists["open_tasks"]) == ["Write the report."]
    same_day = gather([record(JANUARY, open_tasks=[task], milestones=[done])])
    assert texts(same_day["open_tasks"]) == [task], "within a day the distiller has the say"


def test_rules_of_earlier_windows_go_on_until_something_else_is_said():
    standing = ["Keep logs for 90 days.", "Never push."]
    lists = gather([record(JANUARY, rules=["Keep logs for 30 days."])], standing)
    assert texts(lists["rules"]) == ["Keep logs for 30 days.", "Never push."]
    assert texts(gather([], standing=["Never push."])["rules"]) == ["Never push."]


def test_what_only_says_that_there_is_nothing_is_left_out():
    assert gather([record(JANUARY, open_tasks=["none noted", "Renew it."])])["open_tasks"][0].text == "Renew it."


def full(**lists: list[str]) -> dict[str, list[Line]]:
    return {name: [Line(text, (), 0) for text in lists.get(name, [])] for name in LISTS}


def test_no_list_crowds_out_the_others_and_the_room_is_kept():
    lists = full(**{name: [f"{name} number {at} with some words" for at in range(50)] for name in LISTS})
    kept, left_out = choose(lists, 400)
    assert all(kept.values())
    assert sum(token_estimate(f"- {line.text}\n") for lines in kept.values() for line in lines) <= 400
    assert left_out == sum(
        len(lists[name]) - len(kept[name]) for name in LISTS if name not in ("identifiers", "commands")
    )


def test_room_that_a_list_does_not_need_goes_to_the_others():
    kept, left_out = choose(full(milestones=[f"step {at} is done" for at in range(20)]), 300)
    assert len(kept["milestones"]) == 20 and left_out == 0


def test_identifiers_that_stand_in_a_line_are_not_repeated():
    kept, _ = choose(full(decisions=["The collector runs on ops-5."], identifiers=["ops-5", "5514"]), 300)
    assert texts(kept["identifiers"]) == ["5514"]


def test_what_the_last_words_say_already_is_said_once_but_for_rules_and_tasks():
    lists = full(decisions=["Take ops-5.", "Plain text."], rules=["Never push."], open_tasks=["Renew it."])
    left = not_in("user: Take ops-5. Never push. Renew it.", lists)
    assert (texts(left["decisions"]), len(left["rules"]), len(left["open_tasks"])) == (["Plain text."], 1, 1)
