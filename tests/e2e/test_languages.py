"""Conversations in German, Hindi and Arabic go all the way, and what was said in them is found again by other forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from tests.e2e.loopback_model import Answer
from tests.e2e.moon_home import Moon
from tests.e2e.talk import BUDGET, Talk, rest

# OpenClaw summarises only what is older than its newest part, so there has to be enough.
NOTE_CHARS = 40_000


class Told(NamedTuple):
    """A fact as it is told, and a question that holds its words in other forms."""

    fact: str
    question: str


class Spoken(NamedTuple):
    """What is said in one language; `small_talk` over and over, with a number."""

    told: tuple[Told, ...]
    small_talk: str


LANGUAGES = {
    "german": Spoken(
        told=(
            Told(
                "Die Schlüssel der Werkstatt liegen in einer blauen Blechdose neben dem Heizkessel.",
                "Wo liegt der Schlüssel für die Werkstätten?",
            ),
            Told(
                "Die alten Fensterläden streicht der Maler erst nach der Weinlese.",
                "Wann wird ein alter Fensterladen gestrichen?",
            ),
        ),
        small_talk="Heute war das Wetter ruhig und wir haben im Garten nach den Bäumen gesehen, Notiz {}.",
    ),
    "hindi": Spoken(
        told=(
            Told(
                "कार्यशाला की चाबियाँ सीढ़ियों के नीचे नीले डिब्बे में रखी हैं।",
                "कार्यशाला की चाबी किस डिब्बे में रखी है?",
            ),
            Told(
                "पुरानी खिड़कियों की रंगाई दिवाली के बाद होगी।",
                "पुरानी खिड़की की रंगाई कब होगी?",
            ),
        ),
        small_talk="आज मौसम शांत था और हमने बगीचे में पेड़ों को देखा, टिप्पणी {}।",
    ),
    "arabic": Spoken(
        told=(
            Told(
                "مفاتيح الورشة موجودة في صندوق أزرق تحت السلم.",
                "أين توجد مفاتيح ورشتنا؟",
            ),
            Told(
                "النوافذ القديمة سيطليها الدهان بعد موسم الحصاد.",
                "متى تُطلى نوافذنا القديمة؟",
            ),
        ),
        small_talk="كان الطقس اليوم هادئا ونظرنا إلى الأشجار في الحديقة، ملاحظة {}.",
    ),
}


@pytest.fixture
def talks(talk: Talk) -> Iterator[dict[str, Talk]]:
    """A session for each language, all of one agent: words of one language must not get into another's way."""
    found = {name: Talk(talk.openclaw, talk.model, f"agent:{talk.agent}:{name}") for name in LANGUAGES}
    yield found
    at_once(found, lambda name, talk: talk.delete())


def test_conversations_in_three_languages_roll_over_and_are_found_again(talks: dict[str, Talk], moon: Moon) -> None:
    at_once(talks, tell)
    fill(talks, 0.81)
    assert moon.tick().code == 0
    for name, talk in talks.items():
        assert moon.actions(talk.key) == ["archive", "index"], name
    assert_found(moon)

    fill(talks, 0.86)
    assert moon.tick().code == 0
    for name, talk in talks.items():
        assert moon.actions(talk.key)[2:] == ["archive", "index", "prune"], name
        assert talk.types()[-1] == "compaction"

    fill(talks, 0.91)
    asked = len(talks["hindi"].model.requests())
    done = moon.tick()
    assert done.code == 0, done.stderr
    maps = {link["session_key"]: link["rollover_id"] for link in moon.ledger("link")}
    for name, talk in talks.items():
        assert moon.actions(talk.key)[5:] == ["archive", "index", "distill", "rollover"], name
        [window] = talk.requests_since(asked)
        assert maps[talk.key] in str(window["messages"])
        assert note(name) not in str(window["messages"]), "the new window is fresh"
    rest([*talks.values()])
    assert all(talk.seen <= set(talk.lines()) | moon.archived() for talk in talks.values())
    assert_found(moon)


def at_once(talks: dict[str, Talk], act: Callable[[str, Talk], object]) -> None:
    """Do something in every session at the same time."""
    with ThreadPoolExecutor(len(talks)) as pool:
        for done in [pool.submit(act, name, talk) for name, talk in talks.items()]:
            done.result()


def tell(name: str, talk: Talk) -> None:
    """Tell the facts, each in a message of its own, then much else."""
    for text in (*(told.fact for told in LANGUAGES[name].told), note(name)):
        talk.openclaw.turn(text, talk.key)


def note(name: str) -> str:
    """A long message in which nothing is said that is asked for."""
    small_talk = LANGUAGES[name].small_talk
    return " ".join(small_talk.format(at) for at in range(NOTE_CHARS // len(small_talk)))


def fill(talks: dict[str, Talk], ratio: float) -> None:
    """A turn in each session after which so much of its budget is used."""
    full = Answer(text="OK.", prompt_tokens=round(ratio * BUDGET) + 60)
    talks["hindi"].model.script(*[full] * len(talks))
    at_once(talks, lambda name, talk: talk.openclaw.turn(LANGUAGES[name].small_talk.format(ratio), talk.key))
    rest([*talks.values()])


def assert_found(moon: Moon) -> None:
    """Each fact stands first among what is found for its question."""
    for spoken in LANGUAGES.values():
        for told in spoken.told:
            answer = moon.run("moon-recall", told.question).json()
            assert answer["degraded"] == []
            shown = [result["snippet"].replace("**", "") for result in answer["results"]]
            assert told.fact in shown[0], (told.question, shown[:3])
