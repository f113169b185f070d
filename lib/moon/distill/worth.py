"""What each line of a conversation is worth: which list it fits, what values it states, whose word it is.

A line is what may stand in a distillation: a unit of what was said, a command, an identifier. `choosing.py` fills the
room with them by what each adds to those that are there already.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moon.distill.clauses import told, without_frame, without_lead_in, without_trailing
from moon.distill.commands import ranked_commands
from moon.distill.conversation import Session
from moon.distill.cues import cue
from moon.distill.distillation import Item
from moon.distill.identifiers import WEIGHT, Identifier, identifiers_in, is_searched_for, names_in, quoted_in
from moon.distill.judging import LABELLED, LEAST_BACKED, Judged, backed, is_standing, judge, judge_for_summary
from moon.distill.turns import ASSISTANT, CALL, RESULT, SUMMARY, USER, Turn
from moon.distill.units import Unit, dangles, terms, without_code
from moon.distill.values import WEIGHT as VALUE_WEIGHT
from moon.distill.values import Value, values_in

# How much a value counts by whose word it is. What an assistant lays out for others are examples and plans.
SPEAKERS = {USER: 1.0, SUMMARY: 0.8, ASSISTANT: 0.4}
REPORTED = 1.0
# A value that was named before is known; one that only a reply takes up is the other's.
SEEN, TAKEN_UP, ASKED, SUPPOSED, IMPERSONAL, HAPPENS, NEWER = 0.35, 0.2, 0.8, 0.4, 0.8, 1.2, 1.5
NAME, HAPPENED = 0.25, 0.5
NAMES_COUNTED = 2
MOST_VALUES = 3.0
GIST, FEELING = 0.5, 0.4
# What a line that only may belong into a list is worth in the summary.
UNSURE = {"decisions": 0.7}
UNSURE_OTHER = 0.35
DANGLING = 0.5
# So short an answer to "this or that?" is read beside the question.
PICKED = 60
# An assistant that says no more than so many lines answers; one that says more explains.
BRIEF = 3
FEW_WORDS = 2
LEAST_GIST = 0.2
GISTS = 60
EXCLAMATION = 90
GIST_WORDS, VALUE_WORDS = 4, 2
COMMAND = 1.6
IDENTIFIER = 0.7
IDENTIFIERS_RANKED = 300
# An identifier that only a tool printed, and only once or twice, is left out.
LEAST_IDENTIFIER = 0.2
MOST_PRINTED = 0.3
LONGEST_ANSWER = 160


@dataclass(frozen=True)
class Line:
    """Something that may stand in a list. `fit`: what it is worth there; `values`: what each value in it adds."""

    name: str
    item: Item
    fit: float
    words: frozenset[str]
    values: tuple[tuple[str, float], ...] = ()
    standing: bool = False
    """What a user laid down for good."""
    labelled: bool = False
    """What its writer put under a label."""


class Known:
    """Which values were named before a turn."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        # What only a tool printed is not told yet.
        said = ["" if turn.role in (CALL, RESULT) else turn.text for turn in turns]
        self._text = "\n".join(said)
        ends = itertools.accumulate(len(text) + 1 for text in said)
        self._starts = [0, *ends]

    def before(self, turn: int, value: Value) -> bool:
        """Whether this value stands in an earlier turn."""
        at = self._text.find(value.text, 0, self._starts[turn])
        while at >= 0 and self._goes_on(at, at + len(value.text)):
            at = self._text.find(value.text, at + 1, self._starts[turn])
        return at >= 0

    def _goes_on(self, start: int, end: int) -> bool:
        """Whether what was found is a part of a longer figure: 5 of 150, or of 1.5."""
        left, right = self._text[max(0, start - 2) : start], self._text[end : end + 2]
        return bool(re.search(r"\d[.,]?$", left) or re.match(r"[.,]?\d", right))


def lines_of(session: Session) -> list[Line]:
    """Everything that is worth a line at all, for its best list."""
    return [*_said(session), *_commands(session), *_identifiers(session)]


def _said(session: Session) -> Iterator[Line]:
    """The units that fit a list, state a value, or say what it was about."""
    best: dict[tuple[int, int], tuple[str, Judged]] = {}
    for name, judged in judge(session).items():
        for each in judged:
            key = (each.unit.turn, each.unit.position)
            if key not in best or (each.sure, each.score) > (best[key][1].sure, best[key][1].score):
                best[key] = (name, each)
    gists = {(each.unit.turn, each.unit.position): each for each in judge_for_summary(session)[:GISTS]}
    known = Known(session.turns)
    for unit, words in zip(session.units, session.words, strict=True):
        key = (unit.turn, unit.position)
        line = _line(unit, words, session, best.get(key), gists.get(key), known)
        if line:
            yield line


def _line(
    unit: Unit,
    words: frozenset[str],
    session: Session,
    judged: tuple[str, Judged] | None,
    gist: Judged | None,
    known: Known,
) -> Line | None:
    if judged and judged[1].sure:
        return _listed(judged[0], judged[1], _values(unit, unit.text, session, known), session)
    if session.is_revoked(unit.turn, unit.text):
        return None
    gist = gist if gist and _tells(gist) else None
    question = session.question_before(unit) if _needs(unit, words) else None
    words = words | terms(question.text) if question else words
    values = _values(unit, unit.text, session, known) if len(words) >= VALUE_WORDS else ()
    fit = 0.0 if unit.is_question else _fit(unit, judged, gist)
    if not values and (not fit or (unit.role == ASSISTANT and unit.turn not in session.reports)):
        return _found_out(unit, words, gist, session)
    if question is None and dangles(unit.text):
        if not values and not judged:
            return None
        fit *= DANGLING
    text = unit.text if unit.is_question else _bare(unit.text) if values else told(unit.text)
    return Line("summary", _answer(question, text, unit), fit, words, values)


def _listed(name: str, judged: Judged, values: tuple[tuple[str, float], ...], session: Session) -> Line:
    """A line of the list that it surely belongs to."""
    unit = judged.unit
    item = _item(judged, session)
    if values and unit.role == USER and name == "milestones" and not unit.label and not unit.is_question:
        item = Item(_bare(item.text), item.sources)
    picked = session.is_choice(unit) and len(item.text) <= PICKED and not cue("decides").search(item.text)
    question = session.question_before(unit) if name == "decisions" and (picked or _needs(unit, judged.words)) else None
    item = _answer(question, item.text, unit) if question else item
    return Line(name, item, judged.score, judged.words, values, is_standing(unit), judged.score >= LABELLED)


def _fit(unit: Unit, judged: tuple[str, Judged] | None, gist: Judged | None) -> float:
    """What a line is worth in the summary, but for its values."""
    fit = GIST * gist.score if gist else 0.0
    if judged:
        fit = max(fit, UNSURE.get(judged[0], UNSURE_OTHER) * judged[1].score)
    return fit * (FEELING if cue("feeling").match(without_lead_in(unit.text)) else 1.0)


def _needs(unit: Unit, words: frozenset[str]) -> bool:
    """Whether a user's words say little without what they answer."""
    return unit.role == USER and (len(words) <= FEW_WORDS or dangles(unit.text))


def _answer(question: Unit | None, text: str, unit: Unit) -> Item:
    """A line, behind the question that it answers where it needs that."""
    if question is None:
        return Item(text, (unit.event_id,))
    return Item(f"{question.text} — {text}", (question.event_id, unit.event_id))


def _found_out(unit: Unit, words: frozenset[str], gist: Judged | None, session: Session) -> Line | None:
    """A question with what was found out when it was looked into."""
    answer = session.answer_to(unit) if gist else None
    if answer is None or gist is None or answer.turn not in session.reports:
        return None
    item = Item(f"{told(unit.text)} — {answer.text}", (unit.event_id, answer.event_id))
    return Line("summary", item, gist.score, words | terms(answer.text))


def _tells(gist: Judged) -> bool:
    """Whether a line says enough of what it was about to stand without its neighbours."""
    if gist.score <= LEAST_GIST or len(gist.words) < GIST_WORDS or cue("chatter").search(gist.unit.text):
        return False
    if cue("takes_up").match(without_lead_in(gist.unit.text)):
        return False
    return not (gist.unit.text.endswith(("!", "！")) and len(gist.unit.text) < EXCLAMATION)


def _bare(text: str) -> str:
    """A statement without what is said around its values."""
    text = without_frame(told(text))
    last = max((text.rfind(value.text) + len(value.text) for value in values_in(text)), default=len(text))
    return without_trailing(text, last)


def _item(judged: Judged, session: Session) -> Item:
    if session.is_answered_question(judged.unit):
        answer = " ".join(session.assented[judged.unit.turn].text.split())
        return Item(f"{judged.unit.text} — {answer}", judged.sources)
    return Item(told(judged.unit.text), judged.sources)


def _values(unit: Unit, text: str, session: Session, known: Known) -> tuple[tuple[str, float], ...]:
    """The values that a unit states, each with what it adds."""
    weight = SPEAKERS.get(unit.role, 0.0) * _stated(unit, session)
    if weight <= 0.0:
        return ()
    found: dict[str, float] = {}
    for value in values_in(text):
        found.setdefault(value.text, VALUE_WEIGHT[value.kind] * (SEEN if known.before(unit.turn, value) else 1.0))
    if unit.role != RESULT and not found:
        found.update(_happened(text))
    if not found:
        return ()
    for name in [name for name in names_in(text) if not any(name in value for value in found)][:NAMES_COUNTED]:
        found.setdefault(name, NAME)
    share = weight * min(1.0, MOST_VALUES / sum(found.values()))
    return tuple((each, worth * share) for each, worth in found.items())


def _vouches(unit: Unit, speaks: bool, session: Session) -> bool:
    """Whether an assistant tells what is so: of itself, or after its tools ran. What it would do is not so."""
    return (speaks or unit.turn in session.reports) and not cue("proposal").search(unit.text)


def _happened(text: str) -> dict[str, float]:
    """When something was that somebody tells of themselves: "I joined a group last week"."""
    if not cue("speaker").match(without_lead_in(text)):
        return {}
    when = cue("happened").search(text) or cue("when").search(text)
    return {f"{when.group(0)} {len(text)}": HAPPENED} if when else {}


def _stated(unit: Unit, session: Session) -> float:
    """How far somebody states what they say as so: not asked, supposed, or only taken up from the other."""
    factor = backed(unit, session)
    spoken = without_lead_in(unit.text)
    explains = unit.role == ASSISTANT and session.ends[unit.turn] > BRIEF
    speaks = bool(cue("speaker").match(spoken) if explains else cue("speaker").search(spoken))
    if factor < LEAST_BACKED or (unit.role == ASSISTANT and not _vouches(unit, speaks, session)):
        return 0.0
    factor *= REPORTED if unit.turn in session.reports else 1.0 if speaks else IMPERSONAL
    factor *= NEWER if cue("newer").search(unit.text) else HAPPENS if cue("change").search(unit.text) else 1.0
    factor *= ASKED if unit.is_question else 1.0
    factor *= SUPPOSED if cue("supposed").search(unit.text) else 1.0
    return factor * (TAKEN_UP if session.takes_up(unit.turn) else 1.0)


def _commands(session: Session) -> Iterator[Line]:
    for text, sources, worth in ranked_commands(session.turns):
        yield Line("commands", Item(text, sources), COMMAND * worth, frozenset())


def _identifiers(session: Session) -> Iterator[Line]:
    """Identifiers by how much is lost with them."""
    value: dict[str, float] = defaultdict(float)
    printed: dict[str, float] = defaultdict(float)
    first: dict[str, str] = {}
    for number, turn in enumerate(session.turns):
        text = without_code(turn.text) if turn.role == ASSISTANT else turn.text
        for found in (*identifiers_in(text), *quoted_in(text)):
            if session.is_revoked(number, found.text) or not is_searched_for(found):
                continue
            (printed if turn.role in (CALL, RESULT) else value)[found.text] += _worth(found, turn)
            first.setdefault(found.text, turn.event_id)
    for text, worth_printed in printed.items():
        # A tool prints the same line a hundred times; that makes nothing in it more important.
        value[text] += min(worth_printed, MOST_PRINTED)
    worth = {text: min(total, 4.0) for text, total in value.items() if total >= LEAST_IDENTIFIER}
    ordered = sorted(worth, key=lambda text: (-worth[text], -value[text], text))[:IDENTIFIERS_RANKED]
    for text in _without_parts(ordered):
        yield Line("identifiers", Item(text, (first[text],)), IDENTIFIER * worth[text], frozenset())


# What these name is a figure among figures in a tool's output: `$1` of a script, the clock of a log.
ONLY_SPOKEN = frozenset({"amount", "time", "money", "number", "decimal", "name", "flag"})
# A figure without its sentence says little, and one that only the model named says nothing.
FIGURES = frozenset({"amount", "time", "decimal"})
SUMS = frozenset({"money", "number", "date"})
SUM = 0.4


def _worth(found: Identifier, turn: Turn) -> float:
    """What people and the model spoke of counts far more than what a tool printed."""
    if turn.role in (CALL, RESULT) and found.kind in ONLY_SPOKEN:
        return 0.0
    if found.kind in FIGURES or (found.kind in SUMS and turn.role == ASSISTANT):
        return 0.0
    by = {USER: 2.0, ASSISTANT: 1.2, SUMMARY: 1.5, RESULT: 0.06}.get(turn.role, 0.15)
    by *= SUM if found.kind in SUMS else 1.0
    return WEIGHT[found.kind] * by * (0.3 if len(found.text) > 120 else 1.0)


def _without_parts(ordered: Sequence[str]) -> list[str]:
    """Leave out what stands inside another one."""
    return [text for text in ordered if not any(text in other and text != other for other in ordered)]
