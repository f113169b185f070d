"""Whether a line surely belongs into a list, by what was done with words there: who speaks, to whom, of which time.

A cue alone is doubtful ("instead", "done", "always"). A decision is sure when somebody commits themselves or picks what
they were asked about; a milestone when somebody tells what they did, or what their tools bear out; a task when somebody
says what they will do later, or asks for it; a rule when a user lays it down for others. What is not sure may stand in
the summary.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from moon.distill.clauses import without_lead_in
from moon.distill.conversation import Session
from moon.distill.cues import cue
from moon.distill.identifiers import identifiers_in
from moon.distill.turns import ASSISTANT, RESULT, SUMMARY
from moon.distill.units import Unit, dangles, sentences
from moon.distill.values import values_in

_QUOTED = re.compile(r"[\"“„«][^\"”“»]{0,300}[\"”“»]|「[^」]{0,300}」")


def is_sure(name: str, unit: Unit, session: Session) -> bool:
    """Whether this unit belongs into the list of that name, rather than only having a word that hints at it."""
    if unit.label == name or unit.role == SUMMARY:
        return True
    if name == "milestones" and dangles(unit.text):
        return False
    return _SURE[name](unit, _QUOTED.sub(" ", unit.text), session)


def _is_decision(unit: Unit, text: str, session: Session) -> bool:
    if session.is_answered_question(unit):
        return _settles_something(unit, session)
    if unit.role == ASSISTANT:
        return unit.turn in session.assented and bool(cue("decides").search(text))
    if cue("hedge").search(text) or cue("duty").search(text):
        return False
    said = [without_lead_in(each) for each in sentences(text)]
    if any(cue("decides").search(each) for each in said):
        return True
    answers = session.settles(unit.turn) > 0 and (unit.turn not in session.acted_on or bool(values_in(text)))
    if any(cue("decides_order").match(each) for each in said):
        return answers or bool(values_in(text))
    return answers and bool(cue("decision").search(text) or session.is_choice(unit))


def _settles_something(question: Unit, session: Session) -> bool:
    """Whether a yes settles more than that work be done: a value, a name, a day or one of two things stands in it."""
    answer = session.assented[question.turn].text
    both = f"{question.text} {answer}"
    if values_in(both) or identifiers_in(both) or cue("when").search(both):
        return True
    # A mere yes to one of two things picks neither of them.
    return bool(cue("alternative").search(question.text)) and not cue("assent").fullmatch(answer.strip(" .!,"))


def _is_milestone(unit: Unit, text: str, session: Session) -> bool:
    if unit.ticked:
        return True
    if unit.role == RESULT or cue("proposal").search(text) or cue("to_come").search(text):
        return False
    if unit.role == ASSISTANT:
        return unit.turn in session.reports or bool(cue("has_done").match(without_lead_in(text)))
    return any(cue("has_done").match(without_lead_in(each)) for each in sentences(text))


def _is_task(unit: Unit, text: str, session: Session) -> bool:
    if unit.role == RESULT or unit.is_question:
        return False
    if unit.role == ASSISTANT:
        # What an assistant tells others to do is advice.
        promised = cue("will").search(text) and cue("speaker").search(text)
        return bool(promised or (unit.turn in session.reports and cue("task").search(text))) and not _advises(text)
    if cue("will").search(text) and cue("at_time").search(text):
        return True
    if cue("task").search(text):
        return not session.is_done_at_once(unit.turn) or bool(cue("at_time").search(text))
    return bool(cue("duty").search(text)) and unit.turn > 0 and not session.asks(unit.turn)


def _advises(text: str) -> bool:
    return bool(cue("proposal").search(text) or cue("offer").search(text))


def _is_rule(unit: Unit, text: str, session: Session) -> bool:
    if cue("experience").search(text):
        return False
    hits = {match.group(0).lower() for match in cue("rule").finditer(text)}
    weak = {hit for hit in hits if cue("rule_weak").fullmatch(hit)}
    if hits - weak or cue("standing").search(text):
        return True
    # "Make sure that …" lays down, "… to make sure that …" explains; what was done right away held for that once.
    begins = any(cue("rule").match(without_lead_in(each)) for each in sentences(text))
    return begins and not session.is_done_at_once(unit.turn)


_SURE: dict[str, Callable[[Unit, str, Session], bool]] = {
    "decisions": _is_decision,
    "rules": _is_rule,
    "milestones": _is_milestone,
    "open_tasks": _is_task,
}
