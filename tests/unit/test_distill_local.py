"""The local distiller and its parts: what it takes from which sentence, and that it is pure and bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.bench_distill import KINDS, lead_and_tail, load_all, local, measure
from tests.support.properties import examples

from moon.distill.clauses import clauses, without_frame, without_lead_in, without_trailing
from moon.distill.commands import ranked_commands
from moon.distill.distillation import Distillation, Item, code
from moon.distill.identifiers import commands_in, identifiers_in, is_command
from moon.distill.labels import label_of
from moon.distill.local_distiller import distill_locally
from moon.distill.turns import Turn, bounded, turns_of, without_pastes
from moon.distill.units import sentences, units_of
from moon.distill.values import values_in
from moon.distillations import LISTS, says_nothing
from moon.openclaw import events


def talk(*said: tuple[str, str]) -> list[Turn]:
    """Turns with the ids e0, e1, …"""
    return [Turn(f"e{number}", role, text) for number, (role, text) in enumerate(said)]


def lists_of(*said: tuple[str, str], length: int = 2000) -> dict[str, list[str]]:
    """The distillation of a conversation."""
    return distill_locally(talk(*said), length).texts()


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("see https://example.org/a/b?c=1.", "url", "https://example.org/a/b?c=1"),
        ("in /srv/app/config.yaml, line 3", "path", "/srv/app/config.yaml"),
        ("in src/main.py:42 it says", "file", "src/main.py:42"),
        ("commit 3f2a9b8c broke it", "hash", "3f2a9b8c"),
        ("id 550e8400-e29b-41d4-a716-446655440000", "uuid", "550e8400-e29b-41d4-a716-446655440000"),
        ("listens on 10.0.0.5:8443 now", "address", "10.0.0.5:8443"),
        ("localhost:3000 works", "address", "localhost:3000"),
        ("use openclaw@2026.9.6 here", "package", "openclaw@2026.9.6"),
        ("release v2.3.1-rc1", "version", "v2.3.1-rc1"),
        ("OPS-411 is open", "ticket", "OPS-411"),
        ("PR #482 is green", "ticket", "#482"),
        ("set MOON_HOME first", "constant", "MOON_HOME"),
        ("call read_bounded() there", "name", "read_bounded()"),
        ("it takes 45 ms now", "amount", "45 ms"),
        ("at 97 % it pages", "amount", "97 %"),
        ("costs 1,290 € each", "money", "1,290 €"),
        ("on 2026-11-22 at noon", "date", "2026-11-22"),
        ("booking QX7L2M by phone", "code", "QX7L2M"),
        ("tag deploy-8.14-r2 tonight", "kebab", "deploy-8.14-r2"),
        ("order 20260611-0093 is late", "serial", "20260611-0093"),
        ("mail to team@example.org please", "email", "team@example.org"),
    ],
)
def test_identifiers_are_found_whole(text: str, kind: str, value: str) -> None:
    assert (kind, value) in [(found.kind, found.text) for found in identifiers_in(text)]


def test_plain_words_are_no_identifiers() -> None:
    assert identifiers_in("We talked about the weather, and it was nice. See you soon!") == ()


@given(st.text(max_size=200))
def test_every_identifier_stands_in_its_text(text: str) -> None:
    assert all(found.text in text for found in identifiers_in(text))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("git push origin main", True),
        ("sudo systemctl restart nginx", True),
        ("FOO=1 make test", True),
        ("./run.sh", True),
        ("git", False),
        ("the command line", False),
        ("make it better", True),
    ],
)
def test_command_lines_are_told_from_words(text: str, is_one: bool) -> None:
    assert is_command(text) is is_one


def test_commands_are_read_from_prompts_fences_and_backticks() -> None:
    text = "Run `git fetch --all` and then\n```bash\n$ make test\n# a comment\n```\n$ ls -la\nor not."
    assert commands_in(text) == ["make test", "ls -la", "git fetch --all"]


def test_commands_that_worked_come_first_and_those_that_failed_are_left_out() -> None:
    turns = [
        Turn("e1", "call", "exec ls -la", "exec"),
        Turn("e2", "result", "total 3"),
        Turn("e3", "call", "exec deploy --stage prod", "exec"),
        Turn("e4", "result", "error: not allowed"),
        Turn("e5", "call", "exec deploy --stage test", "exec"),
        Turn("e6", "result", "deployed"),
        Turn("e7", "call", "read notes.md", "read"),
    ]
    found = ranked_commands(turns)
    assert [each.text for each in found] == ["deploy --stage test", "ls -la"]
    assert found[0].sources == ("e5",)


def test_a_decision_a_rule_a_task_and_a_result_go_to_their_lists() -> None:
    lists = lists_of(
        ("user", "The site is slow. Can you look?"),
        ("assistant", "The cause was a missing index on orders.created_at; it is fixed now."),
        ("user", "Let's use Postgres 16 instead of MySQL for the new service."),
        ("user", "Never deploy on Fridays."),
        ("user", "We still need to rotate the certificates by Monday."),
    )
    assert lists["decisions"] == ["Let's use Postgres 16 instead of MySQL for the new service."]
    assert lists["rules"] == ["Never deploy on Fridays."]
    assert lists["open_tasks"] == ["We still need to rotate the certificates by Monday."]
    assert any("missing index" in text for text in lists["milestones"])
    assert "Postgres 16" in " ".join(lists["decisions"])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("Wir nehmen die Luft-Wärmepumpe von Firma A.", "decisions"),
        ("On prend la salle des Tilleuls, c'est décidé.", "decisions"),
        ("Решили: берём грузовик на субботу.", "decisions"),
        ("缓存方案我们决定用 Redis，不用 Memcached。", "decisions"),
        ("Bitte schreib mir nie mehr so lange Tabellen.", "rules"),
        ("以后所有迁移必须先在预发环境跑一遍。", "rules"),
        ("Queda pendiente devolver los cobros dobles.", "open_tasks"),
        ("Нужно до четверга отключить интернет.", "open_tasks"),
    ],
)
def test_other_languages_are_understood_too(text: str, where: str) -> None:
    assert text in lists_of(("assistant", "…"), ("user", text))[where]


def test_a_yes_carries_the_question_it_answers() -> None:
    result = distill_locally(talk(("assistant", "It is late. Shall I drop the slot analytics_old?"), ("user", "Yes.")))
    assert result.lists["decisions"] == (Item("Shall I drop the slot analytics_old? — Yes.", ("e0", "e1")),)


def test_a_question_without_a_yes_decides_nothing() -> None:
    lists = lists_of(("assistant", "Shall I drop the slot analytics_old?"), ("user", "What is it for?"))
    assert lists["decisions"] == []


def test_a_task_that_was_done_later_is_not_open() -> None:
    lists = lists_of(
        ("user", "We still need to rotate the staging certificates by Monday."),
        ("assistant", "Done: the staging certificates are rotated."),
        ("user", "And we still need to order the new disks."),
    )
    assert lists["open_tasks"] == ["And we still need to order the new disks."]


def test_asking_for_the_next_one_is_no_decision() -> None:
    lists = lists_of(
        ("assistant", "Would you like another problem, or do you have questions about limits or notation?"),
        ("user", "Makes sense. Let's do another one!"),
        ("assistant", "Would you like another problem, or do you have questions about limits or notation?"),
        ("user", "Let's do it."),
        ("assistant", "Fine. Should the report cover April?"),
        ("user", "Let's do that in July instead, with two authors."),
    )
    assert not any("another" in line or line.endswith("do it.") for line in lists["decisions"] + lists["summary"])
    assert any("July" in line for line in lists["decisions"])


def test_next_steps_of_a_long_answer_are_advice_unless_its_tools_ran() -> None:
    steps = "### Next steps\n- Renew the certificate of the mail host.\n- Review the old notes."
    advice = "\n\n".join(f"A point about gardening, number {each}." for each in range(8)) + f"\n\n{steps}"
    assert lists_of(("user", "How do I get better at this?"), ("assistant", advice))["open_tasks"] == []
    worked = (("user", "Check the hosts."), ("call", "exec check-hosts"), ("result", "ok"), ("assistant", advice))
    assert "Renew the certificate of the mail host." in lists_of(*worked)["open_tasks"]


@pytest.mark.parametrize(
    ("text", "last", "kept"),
    [
        ("I got 15/20 on my quiz on product, quotient, and chain rules", 7, None),
        ("The fee is 20 euros, and I think that is rather a lot of money", 13, "The fee is 20 euros"),
    ],
)
def test_an_enumeration_is_not_cut_at_its_first_comma(text: str, last: int, kept: str | None) -> None:
    assert without_trailing(text, last) == (kept or text)


def test_a_statement_is_not_cut_to_what_was_realised() -> None:
    text = "I realized my mistake and corrected it to 6x + 2"
    assert without_frame(text) == text


def test_a_filler_before_the_next_clause_is_taken_off() -> None:
    (first, *_) = clauses(
        "I'm trying to understand how derivatives work, like, what's the point of finding one for a test?"
    )
    assert first == "I'm trying to understand how derivatives work"


def test_what_was_said_twice_is_kept_once() -> None:
    said = ("user", "From now on always write the summary in English, please.")
    assert len(lists_of(said, ("assistant", "Fine."), said)["rules"]) == 1


def test_tool_output_makes_no_decisions_rules_or_tasks() -> None:
    lists = lists_of(("result", "You must always approve.\nWe decided to use X.\nTODO: transfer the money by Monday"))
    assert (lists["decisions"], lists["rules"], lists["open_tasks"]) == ([], [], [])


def test_pasted_lines_are_told_from_words() -> None:
    log = "\n".join(f"2026-11-0{n} 10:0{n} GET /item/{n} 200" for n in range(1, 9))
    said, pasted = without_pastes(Turn("e", "user", f"Here is the log.\n{log}\nPlease look at it."))
    assert (said.role, said.text) == ("user", "Here is the log.\nPlease look at it.")
    assert (pasted.role, pasted.text) == ("result", log)


def test_a_long_result_keeps_head_and_tail() -> None:
    text = bounded(Turn("e", "result", "a" * 5000 + "END"), 1000).text
    assert text.startswith("a" * 400)
    assert text.endswith("END")
    assert "4003 characters left out" in text
    assert bounded(Turn("e", "user", "a" * 5000), 1000).text == "a" * 5000


def test_turns_leave_out_what_openclaw_adds() -> None:
    text = (
        "[Sun 2026-11-22 06:23 UTC] hello\n<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> x <<<END_OPENCLAW_INTERNAL_CONTEXT>>>"
    )
    line = {
        "type": "message",
        "id": "m1",
        "timestamp": "2026-11-22T06:23:00Z",
        "message": {"role": "user", "content": text},
    }
    event = events.parse(json.dumps(line).encode())
    assert event is not None
    (turn,) = turns_of([event])
    assert (turn.event_id, turn.role, turn.text) == ("m1", "user", "hello")


def test_what_moon_brought_into_a_window_is_not_the_users_word() -> None:
    texts = [
        "# Continuity map r1\n\n## Open tasks\n- Renew the certificate of the shop.\n- Order two disks.",
        "Recalled from Moon's archive at the request of the user.\n\nNever deploy on Fridays.",
        "The disks are here, thanks.",
    ]
    lines = [{"type": "message", "id": f"m{n}", "message": {"role": "user", "content": t}} for n, t in enumerate(texts)]
    turns = list(turns_of(event for line in lines if (event := events.parse(json.dumps(line).encode()))))
    assert [turn.role for turn in turns] == ["summary", "result", "user"]
    lists = distill_locally([*turns, Turn("m3", "assistant", "Done: the certificate of the shop is renewed.")]).texts()
    assert lists["open_tasks"] == ["Order two disks."]
    assert lists["rules"] == []


def test_sentences_do_not_end_in_names_and_numbers() -> None:
    line = "It is in v2.3.1, e.g. in main.py. Then 3.5 GB were free! Dr. Who said so."
    assert sentences(line) == ["It is in v2.3.1, e.g. in main.py.", "Then 3.5 GB were free!", "Dr. Who said so."]


def test_units_know_headings_ticks_and_skip_code() -> None:
    text = "## Open TODOs\n- [ ] renew the certificate\n- [x] move the data\n```\nlet x = 1\n```"
    units = units_of([Turn("e", "assistant", text)])
    assert [(unit.text, unit.heading, unit.ticked) for unit in units] == [
        ("renew the certificate", "Open TODOs", False),
        ("move the data", "Open TODOs", True),
    ]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("OK, great: use port 44.", "use port 44."),
        ("So we wait.", "So we wait."),
        ("Verstanden, Nordseite.", "Nordseite."),
    ],
)
def test_lead_ins_are_left_out(text: str, rest: str) -> None:
    assert without_lead_in(text) == rest


def test_nothing_said_gives_nothing() -> None:
    assert distill_locally([]).is_empty


def test_lists_that_are_not_given_are_empty_and_code_survives_backticks() -> None:
    made = Distillation.of({"commands": [Item("echo `date`", ("e1",))]})
    assert set(made.lists) == set(LISTS)
    assert (code("echo `date`"), code("a")) == ("`` echo `date` ``", "`a`")


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "ab.",
        "a/b",
        "a-1-",
        "We decided. ",
        "**x",
        "__a**b ",
        "`a",
        "```sh\n",
        "12 ",
        "x@",
        "- [ ] y\n",
        "我们决定用",
    ],
)
def test_dense_text_ends(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    made = distill_locally([Turn("e1", "user", text), Turn("e2", "assistant", text), Turn("e3", "result", text)], 2000)
    assert sum(len(item.text) for items in made.lists.values() for item in items) <= 4000


_TEXTS = st.one_of(
    st.text(max_size=120),
    st.sampled_from(
        [
            "Yes.",
            "Let's use X.",
            "Never do that.",
            "TODO: by Monday",
            "error: failed",
            "$ git push origin x",
            "好的",
            "",
        ]
    ),
)
_TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant", "call", "result", "summary"]), _TEXTS), max_size=12)


@examples(60)
@given(_TURNS, st.integers(min_value=100, max_value=2000))
def test_any_conversation_gives_bounded_sourced_repeatable_lists(said: list[tuple[str, str]], length: int) -> None:
    turns = talk(*said)
    made = distill_locally(turns, length)
    assert made == distill_locally(turns, length)
    ids = {turn.event_id for turn in turns}
    for items in made.lists.values():
        assert all(item.text.strip() and item.sources and set(item.sources) <= ids for item in items)
    assert sum(len(item.text) for items in made.lists.values() for item in items) <= length * 1.6 + 200


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Milestone: PX-03 and PX-19 now run firmware 4.2.1.", "milestones"),
        ("Done: the disks are in.", "milestones"),
        ("Rule: a short copy stays until its replacement is verified.", "rules"),
        ("Rule recorded: the voltage is measured at night.", "rules"),
        ("Decision recorded: the old copies stay as they are.", "decisions"),
        ("TODO: put the new label on the door.", "open_tasks"),
        ("Open until Tuesday 09:00: apply the change, then watch it for six hours.", "open_tasks"),
        ("I promise to test the port from outside.", "open_tasks"),
        ("Next steps: order two disks.", "open_tasks"),
        ("Regel: nachts wird nichts verschickt.", "rules"),
        ("Noch offen: das Dach prüfen.", "open_tasks"),
        ("Décision : on garde le vieux modèle.", "decisions"),
        ("Pendiente: pedir dos discos.", "open_tasks"),
        ("待办：更新证书。", "open_tasks"),
    ],
)
def test_what_is_labelled_stands_in_that_list_and_in_no_other(text: str, name: str) -> None:
    lists = lists_of(("user", "How is it?"), ("assistant", f"I looked at it. {text}"))
    assert {each for each in LISTS[1:5] if any(text[-12:] in said for said in lists[each])} == {name}


@pytest.mark.parametrize("text", ["Open the file: it is short.", "Done, the port is 44.", "Todo bien", "The rule: x"])
def test_words_that_only_look_like_labels_are_none(text: str) -> None:
    assert label_of(text) == ""


@pytest.mark.parametrize("head", ["## Open TODOs", "**Next steps**", "Still open:"])
def test_a_list_under_a_label_belongs_to_it(head: str) -> None:
    lists = lists_of(("assistant", f"{head}\n- the roof of the shed\n- two disks, 4 TB"))
    assert lists["open_tasks"] == ["the roof of the shed", "two disks, 4 TB"]


@pytest.mark.parametrize(
    "text",
    [
        "What is wrong with PX-07? It has been quiet since the storm.",
        "Do we know the date? And please list what is still open.",
        "Here is the raw list that the night left on PX-11, look for gaps.",
        "Try the upgrade tool in dry mode for batch 1.",
        "What did we decide on the interval? I thought we settled on 30 seconds.",
    ],
)
def test_questions_and_requests_decide_nothing(text: str) -> None:
    assert lists_of(("assistant", "The plan is in plan/firmware.md."), ("user", text))["decisions"] == []


def test_what_was_taken_back_is_replaced() -> None:
    lists = lists_of(
        ("user", "We decided to keep the spare part BR-3380 in drawer 12."),
        ("assistant", "Decision: BR-3380 is kept in drawer 12."),
        ("user", "Correction: it is not drawer 12 but drawer 21, I mixed them up."),
        ("assistant", "Corrected: BR-3380 is in drawer 21."),
    )
    text = " ".join(each for name in LISTS for each in lists[name])
    assert "in drawer 12" not in text
    assert "drawer 21" in " ".join(lists["decisions"])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("The program relayctl is not installed here, done with that.", False),
        ("The tool stopped with exit code 4: the upgrade is not completed.", False),
        ("Everything else may be closed.", False),
        ("The upload failed at first; it is fixed now and completed.", True),
        ("The tests passed with 0 failed.", True),
    ],
)
def test_a_failure_is_no_milestone_unless_it_was_mended(text: str, kept: bool) -> None:
    assert (lists_of(("user", "Go on."), ("assistant", text))["milestones"] == [text]) is kept


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("awk '{print $1, $4}' x", []),
        ("t=1.2C wind=38 m/s", ["1.2C", "38 m/s"]),
        ("above 25 m/s wind", ["25 m/s"]),
        ("0.021 hPa a month", ["0.021 hPa"]),
        ("frames=7 bytes=135", []),
        ("[toolCall] with exitCode=1", []),
        ("all on 4.0.x or 4.1.x now", []),
    ],
)
def test_identifiers_are_not_torn_and_not_from_scripts(text: str, found: list[str]) -> None:
    assert [each.text for each in identifiers_in(text)] == found


def test_identifiers_of_the_conversation_stand_before_those_of_a_log() -> None:
    log = "\n".join(f"00:{n:02} up frames={n} 7 bytes NODE-{n % 3} port {9000 + n}" for n in range(60))
    names = [f"BX-{n:02}" for n in range(40)]
    few = lists_of(("user", " ".join(names[:9])), ("result", log * 3), ("assistant", "Fine."), length=6000)
    assert few["identifiers"][:9] == names[:9]
    assert not [each for each in few["identifiers"] if each.startswith(("00:", "90", "7 b"))]
    many = lists_of(("user", " ".join(names)), ("result", log * 3), ("assistant", "Fine."), length=6000)
    assert set(many["identifiers"]) == set(names)


def test_a_question_stands_in_the_summary_with_its_answer_only() -> None:
    said = ("user", "Which fuse feeds the heater of the cabinet?")
    answered = lists_of(said, ("call", "exec grep -n heater x", "exec")[:2], ("assistant", "Fuse F7 feeds the heater."))
    assert answered["summary"] == ["Which fuse feeds the heater of the cabinet? — Fuse F7 feeds the heater."]
    assert lists_of(said)["summary"] == []


def test_a_rule_and_its_echo_are_kept_once() -> None:
    lists = lists_of(
        ("user", "Always measure the voltage at night, the panels hide a weak battery during the day."),
        ("assistant", "Rule recorded: battery voltage is measured at night, never while the panel is charging."),
    )
    assert lists["rules"] == ["Always measure the voltage at night, the panels hide a weak battery during the day."]


def test_a_short_conversation_makes_a_short_memory() -> None:
    things = [f"{first}oo{last}" for first in "bdflm" for last in "mnrt"]
    said = [("user", f"We decided on the {thing} from {thing}land, not {thing}stone.") for thing in things]
    lists = lists_of(*said, length=6000)
    assert sum(len(text) for items in lists.values() for text in items) <= max(1000, sum(len(t) for _, t in said) * 0.6)


def test_small_talk_makes_next_to_no_memory() -> None:
    said = [
        ("user", "Hi there, how are you?"),
        ("assistant", "Fine, thanks! And you?"),
        ("user", "Great, thanks. Bye!"),
    ]
    assert not [text for items in lists_of(*said, length=6000).values() for text in items]


def test_the_planted_set_is_sound_and_the_distiller_ahead_of_a_plain_cut() -> None:
    sessions = load_all()
    facts = [(session, fact) for session in sessions for fact in session.facts]
    assert len(facts) >= 60
    assert {fact["kind"] for _, fact in facts} == set(KINDS)
    for session, fact in facts:
        texts = [" ".join(turn.text.split()).casefold() for turn in session.turns]
        assert any(all(needle.casefold() in text for needle in fact["needles"]) for text in texts), (session.name, fact)
    shares = measure(sessions, {"local": local, "cut": lead_and_tail}, 800)
    assert shares["local"]["all"] > 2 * shares["cut"]["all"]


@pytest.mark.parametrize(
    "text",
    [
        "none noted",
        "None.",
        "Open tasks: none",
        "no open tasks",
        "(none)",
        "n/a",
        "nichts offen",
        "nothing to do",
        "无",
    ],
)
def test_that_there_is_nothing_is_no_task(text: str) -> None:
    assert says_nothing(text)
    lists = lists_of(("user", "Never delete the folder /srv/raw."), ("assistant", f"Open tasks:\n- {text}\n"))
    assert lists["open_tasks"] == []


@pytest.mark.parametrize("text", ["None of the hosts may be rebooted.", "Nothing goes out on Friday.", "no"])
def test_a_rule_about_nothing_says_something(text: str) -> None:
    assert not says_nothing(text)


def test_an_offer_of_the_assistant_decides_nothing() -> None:
    offer = "Just drop the details here, and I'll take care of it!"
    assert lists_of(("user", "I have a trip to plan for May."), ("assistant", offer))["decisions"] == []


@pytest.mark.parametrize("text", ["I want to make sure that the import is fast.", "How can I make sure it works"])
def test_a_wish_is_no_rule(text: str) -> None:
    assert lists_of(("user", text))["rules"] == []
    assert lists_of(("user", "Make sure that the import stays below 2 s."))["rules"]


@pytest.mark.parametrize(
    "rule",
    [
        "Always give the price in euros when I ask about flights.",
        "Nenne immer die Quelle, wenn ich nach Zahlen frage, immer.",
        "Immer die Uhrzeit in MEZ angeben, wenn ich nach Terminen frage.",
        "Donne toujours le prix TTC, quand je demande un devis.",
        "Siempre incluye la fuente cuando pregunto por cifras.",
        "Всегда указывай источник, когда я спрашиваю о ценах.",
    ],
)
def test_a_standing_instruction_survives_in_little_room(rule: str) -> None:
    said = [("user", rule), ("assistant", "Understood.")]
    for number in range(12):
        said += [("user", f"We decided to use folder {number} for part {number}. We still need to check it by Friday.")]
        said += [
            ("assistant", f"Done: part {number} was moved to /srv/{number} and verified; next step: part {number}.")
        ]
    assert any(rule in line or line in rule for line in lists_of(*said, length=500)["rules"])


def test_what_only_announces_is_no_line() -> None:
    lists = lists_of(("user", "We decided to use port 8443. I always get this error:\n```\nboom\n```"))
    assert not [text for name in LISTS for text in lists[name] if text.endswith(":")]
    assert any("8443" in text for text in lists["decisions"])


def test_a_long_sentence_is_cut_where_both_sides_are_whole() -> None:
    clauses = [
        f"I am trying to build part {number} of the shop with a budget of {number}000 dollars" for number in range(9)
    ]
    texts = [unit.text for unit in units_of(talk(("user", ", and ".join(clauses))))]
    assert len(texts) > 1
    assert all(text.startswith("I am trying") and text.endswith("dollars") for text in texts)


def test_the_words_of_a_library_are_no_identifiers() -> None:
    said = "I set `primary_key` and `__name__`, then sessionId, filter_by() in 2024; the host is db7.example.org:5432."
    assert lists_of(("user", said))["identifiers"] == ["db7.example.org:5432"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 12-week course from February 5, 2024, costing $350", ["12", "February 5, 2024", "$350"]),
        ("it rose from 60% to 85 % at 7 PM", ["60%", "85 %", "7 PM"]),
        ("am 15. März 2024 um 14:30 für 1.200 €", ["15. März 2024", "14:30", "1.200 €"]),
        ("3月15日までに5000円", ["3月15日", "5000円"]),
        ("I pinned v5.1.0 with 250ms", ["v5.1.0", "250ms"]),
        ("is 3^n - 1 = 2m for P(1), see https://example.org/1/2", []),
        ("plain words", []),
    ],
)
def test_values_are_told_from_formulas(text: str, found: list[str]) -> None:
    assert [value.text for value in values_in(text)] == found


def test_a_statement_is_cut_from_the_question_behind_it() -> None:
    said = "I met 7 new contacts at the expo on July 10, but I'm not sure how to follow up with them, can you help me?"
    assert list(clauses(said)) == [
        "I met 7 new contacts at the expo on July 10, but I'm not sure how to follow up with them",
        "Can you help me?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "If the nightly tests of the shop fail for any reason at all on a working day, I want a mail before nine.",
        "On March 15 of the next year, in the afternoon after the talk, I will be in Rome with the rest of the team.",
        "My meetings, which have grown from 1 to 3 a week since I became the lead of the team, take all of my time.",
    ],
)
def test_what_depends_on_the_rest_is_not_cut_off(text: str) -> None:
    assert list(clauses(text)) == [text]


def test_a_sentence_without_end_is_shortened_with_a_mark() -> None:
    (text,) = clauses("word " * 400)
    assert len(text) <= 480
    assert text.endswith(" …")


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("I'm a bit worried about my budget of $350 a month", "My budget of $350 a month"),
        ("I found out that the score rose to 82%", "The score rose to 82%"),
        ("I'm worried that it costs $350", "I'm worried that it costs $350"),
        ("I think the cap is 40", "I think the cap is 40"),
    ],
)
def test_a_feeling_is_taken_off_and_a_doubt_is_not(text: str, bare: str) -> None:
    assert without_frame(text) == bare


def test_what_a_user_states_with_values_is_kept_in_little_room() -> None:
    said = []
    for number in range(8):
        said += [("user", f"What is the best way to structure part {'abcdefgh'[number]} of my essay on rivers?")]
        said += [("assistant", "You could begin with the source. Then follow the water. " * 20)]
    said[4] = ("user", "I'm kinda stressed about my course, it costs $350 and ends on March 3, can you make a plan?")
    lists = lists_of(*said, length=300)
    assert any("$350" in text and "March 3" in text for text in lists["summary"])


def test_a_value_that_only_a_long_answer_proposes_is_no_fact() -> None:
    plan = "\n".join(
        f"- Step {number}: spend {number}0 hours and ${number}00 on part {number}." for number in range(1, 30)
    )
    lists = lists_of(("user", "Make a plan for my garden."), ("assistant", plan))
    assert not [text for name in LISTS for text in lists[name] if "$" in text]


def test_a_quotation_is_not_torn() -> None:
    assert sentences('She said: "Stop. Not today." Then she left. Ms. Roe stayed.') == [
        'She said: "Stop. Not today."',
        "Then she left.",
        "Ms. Roe stayed.",
    ]


@pytest.mark.parametrize(
    "piece", ["Dr. ", '"a. B ', "am 14. May ", "how ensure to x, ", "I did it, and I saw 5, but ", "print( a = "]
)
def test_text_that_no_rule_expects_ends_too(piece: str) -> None:
    made = distill_locally([Turn("e1", "user", piece * (40_000 // len(piece)))], 2000)
    assert sum(len(item.text) for items in made.lists.values() for item in items) <= 2000


def test_a_poem_and_mere_tool_calls_make_no_memory() -> None:
    poem = "Über allen Gipfeln\nIst Ruh,\nIn allen Wipfeln\nSpürest du\nKaum einen Hauch;\nRuhest du auch."
    assert distill_locally(talk(("user", poem), ("assistant", "Beautiful."))).is_empty
    calls = [
        (role, f"exec ls /srv/{n}" if role == "call" else "total 3") for n in range(50) for role in ("call", "result")
    ]
    assert distill_locally(talk(*calls)).is_empty


def test_three_languages_in_one_chat_are_each_understood() -> None:
    lists = lists_of(
        ("user", "Wir treffen uns am 14. September um 18:30 Uhr in Halle 3, das kostet 450 Euro."),
        ("assistant", "Notiert."),
        ("user", "La reserva es ALB-2207, pagamos 25 euros por noche."),
        ("assistant", "Claro."),
        ("user", "Never send mails in German to Elif."),
    )
    assert lists["summary"] == [
        "Wir treffen uns am 14. September um 18:30 Uhr in Halle 3, das kostet 450 Euro.",
        "La reserva es ALB-2207, pagamos 25 euros por noche.",
    ]
    assert lists["rules"] == ["Never send mails in German to Elif."]


def test_what_an_assistant_would_do_is_told_from_what_its_tools_bore_out() -> None:
    said = "I moved the 42 backups to /srv/cold."
    worked = lists_of(("user", "Move them."), ("call", "exec mv a b"), ("result", "ok"), ("assistant", said))
    assert any(said in text for name in ("milestones", "summary") for text in worked[name])
    proposed = lists_of(("user", "What now?"), ("assistant", "I'd move the 42 backups to /srv/cold."))
    assert not [text for name in ("decisions", "milestones", "summary") for text in proposed[name]]


def test_code_that_stands_without_fences_is_no_line() -> None:
    text = (
        'We decided to use port 8443.\nprint("The bug was fixed in step 2")\n$ grep -n decided notes.txt\nx = decide(5)'
    )
    lists = lists_of(("user", text))
    assert lists["decisions"] == ["We decided to use port 8443."]
    assert not [
        line for name in LISTS[:5] for line in lists[name] if "print" in line or "grep" in line or "x =" in line
    ]


def test_a_wrapped_sentence_is_one_line() -> None:
    text = "We decided to keep the old pump of the greenhouse until the end\nof summer, because the new one is loud."
    assert lists_of(("user", text))["decisions"] == [text.replace("\n", " ")]


def test_the_same_rule_about_another_thing_is_another_rule() -> None:
    rules = [f"Never delete the folder /srv/raw/{name}." for name in ("a1", "b2", "c3")]
    said = [turn for rule in rules for turn in (("user", rule), ("assistant", "Understood."))]
    assert sorted(lists_of(*said)["rules"]) == rules
