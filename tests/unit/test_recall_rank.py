"""The order of results, idea by idea: each on a small archive where only that idea can decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moon.clock import parse_ms
from moon.fulltext import Filters, MessageRow, SegmentSource, TextIndexWriter, open_writer
from moon.recall import candidates, embedded
from moon.recall.dates import Calendar
from moon.recall.question import asks
from moon.recall.rank import FEATURES, WEIGHTS

FILLER = [
    "The weather stays as it is.",
    "Somebody left the window open again.",
    "It was a long meeting with little to show for it.",
    "I will have a look at it on Monday.",
    "The train was late, as it is every day.",
    "That sounds good to me.",
]
Ask = Callable[..., list[str]]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TextIndexWriter]:
    with open_writer(tmp_path / "recall.sqlite") as opened:
        for number in range(12):
            add(opened, f"filler{number}", [f"{text} ({number})" for text in FILLER])
        yield opened


@pytest.fixture
def ask(index: TextIndexWriter) -> Ask:
    instant = parse_ms("2026-11-22T12:00:00Z")
    assert instant is not None

    def answer(question: str, limit: int = 10, **limits: str) -> list[str]:
        found = embedded.search(index, question, Filters(**limits), Calendar(instant, "UTC"))
        return [hit.row.event_id for hit in embedded.hits(index, found.scored, limit)]

    return answer


def add(index: TextIndexWriter, session: str, texts: list[str], day: str = "2026-01-05") -> None:
    """A session whose events are called `session-0`, `session-1`, …"""
    rows = [
        MessageRow(f"{session}-{at}", at + 1, ("user", "assistant")[at % 2], text, f"{day}T10:{at:02}:00Z")
        for at, text in enumerate(texts)
    ]
    index.add_segment(SegmentSource(session, "main", f"key-{session}", session, f"{session}.jsonl"), rows)


def test_there_is_a_weight_for_each_feature() -> None:
    assert set(WEIGHTS) == set(FEATURES)


def test_one_missing_word_does_not_empty_the_answer(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The heron nests on the north tower."])
    assert ask("Where does the purple heron of the baron nest?")[0] == "a-0"


def test_irregular_forms(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["We bought the copper kettle."])
    add(index, "b", ["The kettle is on the stove."])
    assert ask("buying a kettle")[0] == "a-0"


def test_a_member_answers_for_its_class(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["My violin needs new strings."])
    assert ask("Which instrument was that?")[0] == "a-0"


def test_the_reply_to_a_question_is_found_without_its_words(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["What is the combination of the harbour safe?", "Seven, two, nine."])
    assert "a-1" in ask("combination of the harbour safe")[:2]


def test_what_the_user_tells_stands_above_a_long_answer_that_says_it_again(index: TextIndexWriter, ask: Ask) -> None:
    advice = "Here is what may help with a boiler: " + "check the valves, note the pressure, ask a plumber; " * 12
    for at in range(8):
        add(index, f"talk{at}", [f"How do I keep room {at} warm?", f"{advice} ({at})"])
    add(index, "a", ["The boiler pressure is 1.4 bar now.", f"Good. The boiler pressure is fine at 1.4 bar. {advice}"])
    assert ask("What is the boiler pressure?")[0] == "a-0"


def test_a_word_tells_more_in_a_short_message(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The osprey and " + "a long list of other birds that were seen, " * 30, "Fine."])
    add(index, "b", ["The osprey is back.", "Fine."])
    assert ask("osprey")[0] == "b-0"


def test_the_best_passage_of_a_long_message_counts(index: TextIndexWriter, ask: Ask) -> None:
    rest = "nothing of interest was said here " * 12
    add(index, "spread", [f"The copper pipe. {rest} A valve. {rest} The attic."])
    add(index, "close", [f"{rest} The copper valve in the attic. {rest}"])
    assert ask("copper valve attic")[0] == "close-0"


def test_the_result_of_a_call_is_found_by_its_command(index: TextIndexWriter, ask: Ask) -> None:
    rows = [
        MessageRow("t-0", 1, "toolCall", "exec pressure --station harbour", "2026-01-05T10:00:00Z", "exec"),
        MessageRow("t-1", 2, "toolResult", "1.4 bar", "2026-01-05T10:00:01Z", "exec"),
    ]
    index.add_segment(SegmentSource("t", "main", "key-t", "t", "t.jsonl"), rows)
    assert ask("What is the pressure of the harbour station?")[0] == "t-1"
    assert ask("pressure of the harbour station")[:2] == ["t-0", "t-1"]


def test_a_question_is_no_answer(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "echo", ["Where did the heron nest again?", "Noted: where did the heron nest"])
    add(index, "fact", ["The heron did nest on the mill."])
    assert ask("Where did the heron nest?")[0] == "fact-0"


def test_words_that_begin_alike_are_found_beside_others(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The harbour has a photographic archive."])
    add(index, "b", ["The harbour has a tidal archive."])
    assert ask("photographs of the harbour archive")[0] == "a-0"


def test_the_parts_of_a_joined_word(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The crash is in readTideTable of the gauge."])
    assert ask("where is the tide table read?")[0] == "a-0"
    assert ask("readTideTable")[0] == "a-0"


def test_what_looks_like_a_speaker_in_the_output_of_a_tool_is_none(index: TextIndexWriter, ask: Ask) -> None:
    rows = [
        MessageRow("t-0", 1, "toolResult", "Heron: 12\nstork: 4", "2026-01-05T10:00:00Z", "exec"),
        MessageRow("t-1", 2, "user", "The heron count was twelve, the stork count was four.", "2026-01-05T10:09:00Z"),
    ]
    index.add_segment(SegmentSource("t", "main", "key-t", "t", "t.jsonl"), rows)
    assert ask("What was the stork count of the Heron?")[0] == "t-1"


def test_small_words_are_searched_where_nothing_else_is_found(index: TextIndexWriter, ask: Ask) -> None:
    assert ask("Who was with the xylograph?")
    assert ask("xylograph") == []


def test_a_named_time_decides_between_equals(index: TextIndexWriter, ask: Ask) -> None:
    for month in ("03", "06", "09"):
        add(index, f"m{month}", ["The boat trip was a success."], day=f"2026-{month}-10")
    assert ask("How was the boat trip in June?")[0] == "m06-0"
    assert ask("How was the boat trip on 10 September 2026?")[0] == "m09-0"


def test_a_question_for_a_time_prefers_a_text_with_one(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The boiler inspection is on the third Friday of a month."])
    add(index, "b", ["The boiler inspection is an awful nuisance for all of us."])
    assert ask("When is the boiler inspection?")[0] == "a-0"


def test_who_speaks_counts_when_named(index: TextIndexWriter, ask: Ask) -> None:
    both = [("Pilot", "Keeper"), ("Keeper", "Pilot")]
    add(index, "a", [f"{one}: after a walk by the harbour I painted a wall for the {other}." for one, other in both])
    assert ask("What did the Pilot paint?")[0] == "a-0"
    assert ask("What did the Keeper paint?")[0] == "a-1"


def test_words_side_by_side_count(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The green man opened the old door of the lamp store."])
    add(index, "b", ["The man opened the store of the old green lamp at the door."])
    assert ask("green lamp")[0] == "b-0"


def test_the_good_sessions_are_all_shown(index: TextIndexWriter, ask: Ask) -> None:
    birds = ["hawk", "heron", "crane", "stork", "swift", "finch", "raven", "eagle", "robin", "goose", "quail", "egret"]
    add(index, "loud", [f"Yesterday I saw the osprey and a {bird}." for bird in birds])
    for number, place in enumerate(["mill", "lock", "quay", "dam"]):
        add(index, f"quiet{number}", [f"The osprey was at the {place}."])
    sessions = {event.split("-")[0] for event in ask("When was the osprey there?")}
    assert sessions == {"loud", "quiet0", "quiet1", "quiet2", "quiet3"}


def test_nearly_equal_texts_are_folded(index: TextIndexWriter, ask: Ask) -> None:
    text = "Heartbeat of the tide gauge: all sensors of the northern quay answered in time, {}."
    moods = ["calm", "windy", "foggy", "clear", "wet", "dry", "mild", "cold"]
    add(index, "a", [text.format(mood) for mood in moods] + ["The tide gauge of the quay was replaced."])
    found = ask("tide gauge of the quay")
    assert len([event for event in found if event.startswith("a-")]) == 2


def test_texts_with_other_numbers_are_other_facts(index: TextIndexWriter, ask: Ask) -> None:
    text = "The spare barometers of the northern station now lie in drawer {} of the tall cabinet."
    add(index, "a", [text.format(12), text.format(21)])
    assert set(ask("spare barometers drawer")[:2]) == {"a-0", "a-1"}


def test_a_text_that_came_a_thousand_times_does_not_hide_others(index: TextIndexWriter, ask: Ask) -> None:
    for day in range(20):
        add(index, f"cron{day}", ["Check the boiler and report."] * 55)
    add(index, "a", ["The boiler was replaced by a heat pump.", "Fine."])
    found = ask("boiler")
    assert "a-0" in found
    assert len([event for event in found if event.startswith("cron")]) == 1


def test_the_parts_of_a_long_message_are_one_result(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["the cormorant log\n" * 600])
    assert ask("cormorant log") == ["a-0"]


def test_agents_are_kept_apart(index: TextIndexWriter, ask: Ask) -> None:
    index.add_segment(
        SegmentSource("o", "ops", "k", "o", "o.jsonl"), [MessageRow("o-0", 1, "user", "The heron again.")]
    )
    add(index, "a", ["The heron nests."])
    assert ask("heron", agent="ops") == ["o-0"]
    assert ask("heron", agent="main") == ["a-0"]


def test_common_words_are_only_asked_about_rows_of_rarer_ones(
    index: TextIndexWriter, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(
        index,
        "a",
        [f"The relay of station {at} is fine." for at in range(60)] + ["The relay of the heron station is broken."],
    )
    index.finish()
    monkeypatch.setattr(candidates, "POSTINGS", 20)
    looked_at: list[int] = []
    plain = index.matches
    monkeypatch.setattr(index, "matches", lambda *asked: looked_at.append(len(found := plain(*asked))) or found)
    assert ask("relay of the heron station")[0] == "a-60"
    assert sum(looked_at) <= 20


def test_typos_are_forgiven_only_when_nothing_else_is_found(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The lighthouse keeper sleeps."])
    assert ask("lighthuose") == ["a-0"]
    add(index, "b", ["A lighthuose is a mistyped one."])
    assert ask("lighthuose") == ["b-0"]


def test_a_known_word_is_not_taken_for_a_typo(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["The lighthouse keeper sleeps."])
    add(index, "b", ["The lighthouses are far away."])
    add(index, "c", ["A lightmouse is no lighthouse."])
    assert ask("lighthouse", session="filler3") == []
    assert ask("lightmouse", session="a") == []


@pytest.mark.parametrize("text", ["When did we move?", "when did we move", "いつ引っ越しましたか。", "متى انتقلنا؟"])
def test_who_asks_without_a_mark_asks_all_the_same(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize("text", ["the whole harbour was closed", "redis eviction 512MB", "Island ferry times"])
def test_words_that_are_quoted_ask_nothing(text: str) -> None:
    assert not asks(text)


def test_bare_words_find_first_the_message_that_has_them_all(index: TextIndexWriter, ask: Ask) -> None:
    padding = " ".join(f"word{at}" for at in range(90))
    add(index, "a", ["The gasket.", f"A gasket was ordered. {padding} A spindle came too. {padding} So did a flange."])
    add(index, "b", ["Is it the gasket and the spindle?", "It is the gasket, the spindle and the gasket."])
    assert ask("gasket spindle flange")[0] == "a-1"


def test_key_words_that_no_message_has_whole_are_a_question_all_the_same(index: TextIndexWriter, ask: Ask) -> None:
    for session in "abcdefgh":
        add(index, session, ["Hello again.", f"The {session} gasket. " + " ".join(f"word{at}" for at in range(300))])
    add(index, "y", ["The spindle needs a gasket of 12 mm.", " ".join(f"word{at}" for at in range(300))])
    add(index, "z", ["Hello again.", "Any spindle and any gasket: " + " ".join(f"word{at}" for at in range(300))])
    assert ask("gasket spindle millimetres")[0] == ask("which gasket for the spindle, in millimetres?")[0] == "y-0"


def test_who_asks_why_something_failed_wants_the_failure(index: TextIndexWriter, ask: Ask) -> None:
    rows = [
        MessageRow("run", 1, "toolCall", "./deploy harbour", "2026-01-05T10:00:00Z", tool="exec"),
        MessageRow("done", 2, "toolResult", "done, 3 files", "2026-01-05T10:01:00Z", tool="exec"),
        MessageRow("again", 3, "toolCall", "./deploy harbour", "2026-01-05T10:02:00Z", tool="exec"),
        MessageRow("failed", 4, "toolResult", "connect: denied by host", "2026-01-05T10:03:00Z", tool="exec"),
    ]
    index.add_segment(SegmentSource("t", "main", "key-t", "t", "t.jsonl"), rows)
    assert ask("what was wrong when the harbour was deployed?")[0] == "failed"
    assert ask("what came of it when the harbour was deployed?")[0] != "failed"


def add_calls(index: TextIndexWriter, rows: list[tuple[str, str, str]]) -> None:
    """A session of (event, role, text)."""
    source = SegmentSource("t", "main", "key-t", "t", "t.jsonl")
    index.add_segment(
        source,
        [
            MessageRow(event, at + 1, role, text, f"2026-01-05T10:{at:02}:00Z", tool="exec" if "tool" in role else "")
            for at, (event, role, text) in enumerate(rows)
        ],
    )


COPYING = [
    ("before", "user", "The harbour plans go to the archive."),
    ("said", "assistant", "I copy the harbour now."),
    ("call", "toolCall", "rsync -a plans/harbour archive/"),
    ("result", "toolResult", "harbour, 3 plans sent"),
    ("after", "assistant", "Done."),
]


@pytest.mark.parametrize("question", ["how did we copy the harbour plans?", "which command copied the harbour plans?"])
def test_who_asks_how_it_was_done_wants_the_command(index: TextIndexWriter, ask: Ask, question: str) -> None:
    add_calls(index, COPYING)
    assert ask(question)[0] == "call"


def test_who_asks_for_output_wants_what_the_tool_showed(index: TextIndexWriter, ask: Ask) -> None:
    rows = [
        ("said", "assistant", "The harbour gauge was read as usual."),
        ("call", "toolCall", "gauge --read harbour"),
        ("result", "toolResult", "harbour gauge: fair"),
        ("after", "assistant", "So the harbour gauge is fair."),
    ]
    add_calls(index, rows)
    assert ask("what did the harbour gauge print?")[0] == "result"


def test_a_listing_that_only_names_failures_is_none(index: TextIndexWriter, ask: Ask) -> None:
    rows = [
        ("call1", "toolCall", "cat harbour.py"),
        ("listing", "toolResult", "12: def harbour():\n13:     return retry or fallback(failure, denied, invalid)"),
        ("call2", "toolCall", "python harbour.py"),
        ("failed", "toolResult", "Traceback (most recent call last):\n  line 3\nValueError: harbour is closed"),
    ]
    add_calls(index, rows)
    assert ask("which error did harbour give?")[0] == "failed"


@pytest.mark.parametrize(("word", "wanted"), [("first", "round0-0"), ("latest", "round3-0")])
def test_the_first_and_the_latest_of_equals(index: TextIndexWriter, ask: Ask, word: str, wanted: str) -> None:
    for at, number in enumerate(("30", "41", "52", "63")):
        add(index, f"round{at}", [f"The harbour gauge stood at {number}.", "Thank you."], f"2026-01-0{at + 1}")
    assert ask(f"what did the {word} look at the harbour gauge give?")[0] == wanted


@pytest.mark.parametrize(
    "rule", ["Always answer harbour questions in Dutch.", "Bitte immer mit harbour-Karte antworten"]
)
def test_a_rule_of_the_user_stands_above_talk(index: TextIndexWriter, ask: Ask, rule: str) -> None:
    add(index, "rule", [rule, "I will.", "We are at the harbour, are we not.", "Yes, the harbour."])
    assert ask("how deep is the harbour?")[0] == "rule-0"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("Geschirrspülmaschine", "Die Spülmaschine ist kaputt, sagt der Monteur, und das Sieb ist es auch."),
        ("testkörningen", "Der Test ist kaputt, sagt der Monteur."),
        ("Arbeitszimmertür", "Die Arbeit in der Wohnung ist getan."),
        ("Veterinär", "Das Veterinäramt ist heute zu, sagt der Monteur."),
    ],
)
def test_parts_and_kin_of_a_word_that_the_archive_does_not_know(
    index: TextIndexWriter, ask: Ask, word: str, text: str
) -> None:
    add(index, "a", ["Das ist nicht so gut, aber es geht mir heute gut.", text])
    assert ask(word)[0] == "a-1"


def test_a_mistyped_word_is_told_with_a_word_of_the_archive(index: TextIndexWriter) -> None:
    add(index, "a", ["The lighthouses are far away."])
    found = embedded.search(index, "lighthuoses", Filters(), Calendar(0, "UTC"))
    assert found.notes == ("nothing for 'lighthuoses'; searched for words like it: lighthouses",)


def test_a_phrase_is_found_however_old_it_is_or_the_answer_says_how_far_it_looked(
    index: TextIndexWriter, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(index, "old", ["the green harbour"])
    for day in range(4):
        add(index, f"new{day}", ["green is the harbour"] * 60, f"2026-02-0{day + 1}")
    assert ask('"green harbour"') == ["old-0"]
    monkeypatch.setattr("moon.fulltext.index_reader.READ_FOR_PHRASES", 100)
    monkeypatch.setattr("moon.recall.embedded.READ_FOR_PHRASES", 100)
    notes = embedded.search(index, '"green harbour"', Filters(), Calendar(0, "UTC")).notes
    assert notes == (
        "the exact phrase is not in the newest 100 messages that have its words; its words were searched for",
    )


def test_a_piece_of_a_sentence_finds_the_sentence(index: TextIndexWriter, ask: Ask) -> None:
    add(index, "a", ["Hello.", "We could perhaps ask the harbour office for a copy of the old tide tables."])
    add(
        index,
        "b",
        ["Tide tables: the harbour office has old copies, I ask.", "Tables of the tide, harbour office, old."],
    )
    assert ask("ask the harbours for copying of the old tables and more papers")[0] == "a-1"
