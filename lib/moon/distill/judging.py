"""How well each unit fits each list: by its cues, by who says it and where, by what was answered to it.

The numbers are weights, found by looking at sessions marked `tuned` in tests/bench/planted; `make bench-distill` shows
what they are worth on the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from moon.distill.clauses import without_lead_in
from moon.distill.conversation import Session, corrects
from moon.distill.cues import FAILURE, cue
from moon.distill.identifiers import WEIGHT, identifiers_in, quoted_in, things_in
from moon.distill.labels import label_of
from moon.distill.sureness import is_sure
from moon.distill.turns import ASSISTANT, RESULT, SUMMARY, USER
from moon.distill.units import Unit, sentences, terms
from moon.distill.values import values_in
from moon.distillations import says_nothing

JUDGED = ("decisions", "rules", "milestones", "open_tasks")
CUES = {"decisions": "decision", "rules": "rule", "milestones": "milestone", "open_tasks": "task"}
# Who says it. A tool's output decides nothing, rules nothing, and asks for nothing; rules are laid down by users alone.
ROLES = {
    "decisions": {USER: 1.5, ASSISTANT: 0.6, SUMMARY: 0.9},
    "rules": {USER: 1.7, SUMMARY: 0.8},
    "milestones": {USER: 0.9, ASSISTANT: 1.1, SUMMARY: 0.9, RESULT: 0.45},
    "open_tasks": {USER: 1.4, ASSISTANT: 0.9, SUMMARY: 1.0},
}
HEADINGS = {
    "decisions": re.compile(r"(?i)decision|decided|agreed|entscheid|décision|decisi|решени|决定|決定"),
    "rules": re.compile(r"(?i)rule|constraint|convention|polic|preference|regel|règle|regla|правил|规则"),
    "milestones": re.compile(
        r"(?i)done|complete|result|milestone|shipped|progress|finished|erledigt|fait|hecho|готово|完成"
    ),
    "open_tasks": re.compile(
        r"(?i)todo|to-do|next|open|remaining|pending|action|left|offen|aufgabe|reste|à faire|pendient|待办|下一步"
    ),
}
LEAST = 0.55
# "I'll ask her on Sunday".
PROMISED = 1.0
# What its writer labelled stands before everything that was guessed.
LABELLED = 3.0
ECHO = 0.4
# A sentence that finds no room in the list it fits best may stand in another that it fits too.
SECOND_CHOICE = 0.75
# ... but not in one that it fits so much less.
CLEARLY = 1.6
CONSIDERED = 400
# "Sounds good, I'll try that": what only takes up the other's advice.
TAKEN_UP = 0.4
# So many lines an assistant may say before each of them counts less: after its tools ran, and without.
REPORT, ADVICE = 20, 6
# "Now let's run the tests", and they are run: the result tells more.
NARRATED = 0.3
# What is backed less than that is not looked at.
LEAST_BACKED = 0.25


@dataclass(frozen=True)
class Judged:
    """A unit with its score for one list."""

    unit: Unit
    score: float
    words: frozenset[str]
    sources: tuple[str, ...]
    sure: bool = True
    """Whether its words say that it belongs into that list, and not only who said it and where."""


def judge(session: Session) -> dict[str, list[Judged]]:
    """For each list the units that fit it, the best first, none that says the same as a better one."""
    judged: dict[str, list[Judged]] = {name: [] for name in JUDGED}
    for unit, words in zip(session.units, session.words, strict=True):
        if backed(unit, session) < LEAST_BACKED or session.is_revoked(unit.turn, unit.text):
            continue
        if _says_too_little(unit) and not session.is_answered_question(unit):
            continue
        scores = {name: _score(name, unit, words, session) for name in JUDGED}
        best = max(scores.values())
        for name, score in scores.items():
            if score >= LEAST and score * CLEARLY >= best:
                fit = score if score == best else score * SECOND_CHOICE
                judged[name].append(Judged(unit, fit, words, _sources(unit, session), is_sure(name, unit, session)))
    kept = {name: _without_doubles(_without_echoes(candidates, session)) for name, candidates in judged.items()}
    done = kept["milestones"]
    kept["open_tasks"] = [task for task in kept["open_tasks"] if not any(_closes(each, task) for each in done)]
    return kept


def judge_for_summary(session: Session) -> list[Judged]:
    """All units by how well they say what the session was about."""
    judged = [
        Judged(
            unit, session.centrality(words) * _telling(unit, session) * backed(unit, session), words, (unit.event_id,)
        )
        for unit, words in zip(session.units, session.words, strict=True)
        if backed(unit, session) >= LEAST_BACKED and not session.is_revoked(unit.turn, unit.text)
    ]
    return sorted(judged, key=lambda each: (-each.score, each.unit.turn, each.unit.position))


def _telling(unit: Unit, session: Session) -> float:
    if unit.role == RESULT or unit.label or (unit.is_question and unit.role != USER):
        return 0.0
    if unit.role == ASSISTANT and cue("proposal").search(unit.text):
        return 0.0
    weight = {USER: 1.2, ASSISTANT: 1.1 if unit.turn in session.reports else 0.4, SUMMARY: 1.3}[unit.role]
    if unit.turn > 0 and unit.role == USER and (unit.is_question or any(map(_inquires, sentences(unit.text)))):
        weight *= 0.25
    if _went_wrong(unit):
        weight *= 0.5
    weight *= 2.0 if unit.role == USER and unit.turn == 0 else 1.0
    return weight * (0.4 if cue("chatter").search(unit.text) else 1.0)


def _sources(unit: Unit, session: Session) -> tuple[str, ...]:
    answer = session.assented.get(unit.turn)
    return (unit.event_id, answer.event_id) if answer else (unit.event_id,)


def _score(name: str, unit: Unit, words: frozenset[str], session: Session) -> float:
    if unit.label:
        meant = name == unit.label and not _is_advised(unit, session)
        labelled = LABELLED + _common(unit, words, session) if meant else 0.0
        return labelled * backed(unit, session)
    weight = ROLES[name].get(unit.role, 0.0) * backed(unit, session)
    strength = _strength(name, unit, session) if weight else 0.0
    return strength * weight * _common(unit, words, session) * _timeliness(name, unit, session) if strength else 0.0


def _is_advised(unit: Unit, session: Session) -> bool:
    """Whether it stands under "Next steps" in a long answer that no tool bears out: what others might do."""
    if unit.role != ASSISTANT or not unit.item or unit.label != "open_tasks" or label_of(unit.text):
        return False
    return unit.turn not in session.reports and session.ends[unit.turn] >= ADVICE


def backed(unit: Unit, session: Session) -> float:
    """How far an assistant's words are more than advice: what it reports after its tools ran, or says in few words.

    A long answer explains, proposes and gives examples; each of its lines is the less a decision or a result.
    """
    if unit.role != ASSISTANT:
        return 1.0
    share = min(1.0, (REPORT if unit.turn in session.reports else ADVICE) / (session.ends[unit.turn] + 1))
    return share * (NARRATED if unit.turn in session.narrated else 1.0)


def _strength(name: str, unit: Unit, session: Session) -> float:
    """How much the words say that this unit belongs to that list."""
    if name == "decisions" and session.is_answered_question(unit):
        return 1.3
    if _UNFIT[name](unit):
        return 0.0
    # "I want to make sure that …" is what somebody is after, "Make sure that …" is a rule.
    wishes = name == "rules" and cue(CUES[name]).search(unit.text)
    text = cue("wish").sub(" ", unit.text) if wishes else unit.text
    hits = {match.group(0).lower() for match in cue(CUES[name]).finditer(text)}
    strength = min(2.0, 1.0 * bool(hits) + 0.35 * max(0, len(hits) - 1))
    if unit.heading and HEADINGS[name].search(unit.heading):
        strength += 1.2
    strength += _EXTRA[name](unit, session, bool(strength))
    if unit.role == USER and session.takes_up(unit.turn) and name != "milestones":
        strength *= TAKEN_UP
    if unit.is_question:
        strength *= 0.3 if unit.role == USER else 0.2
    return strength


def _settles_nothing(unit: Unit) -> bool:
    """A question, an offer, a wish to be told something, or a word on what is not settled."""
    if unit.is_question or cue("undecided").search(unit.text):
        return True
    if unit.role == ASSISTANT and (cue("offer").search(unit.text) or cue("proposal").search(unit.text)):
        return True
    return unit.role == USER and (_inquires(unit.text) or bool(cue("feeling").match(without_lead_in(unit.text))))


def _inquires(text: str) -> bool:
    return bool(cue("inquiry").match(without_lead_in(text)))


def _went_wrong(unit: Unit) -> bool:
    """A failure without its remedy, or something that is still to come."""
    if unit.ticked or cue("mended").search(unit.text):
        return False
    text = _NO_FAILURE.sub(" ", unit.text)
    return bool(FAILURE.search(text) or cue("not_done").search(text))


def _is_not_done(unit: Unit) -> bool:
    """What went wrong, what is so in general, and the point of a plan."""
    planned = unit.item and unit.role == ASSISTANT and not unit.ticked and bool(_PLANNED.match(unit.text))
    return _went_wrong(unit) or planned or (not unit.ticked and bool(cue("general").search(unit.text)))


_PLANNED = re.compile(
    r"(?i)(?:week|day|month|phase|sprint|step|woche|tag|semaine|jour|semana|día)s? \d|[^:]{0,40}\d{1,4}\W+[^:]{0,40}:"
)


_NO_FAILURE = re.compile(r"(?i)(?<![\w.])(?:0|no|zero|without) (?:failed|failures?|errors?|fail)(?!\w)")
_UNFIT: dict[str, Callable[[Unit], bool]] = {
    "decisions": _settles_nothing,
    "rules": lambda unit: unit.is_question,
    "milestones": _is_not_done,
    "open_tasks": lambda unit: unit.role == USER and bool(cue("inquiry").match(unit.text)),
}


def _says_too_little(unit: Unit) -> bool:
    """A mere yes, a word or two, or that there is nothing."""
    if says_nothing(unit.text):
        return True
    if unit.role == USER and _only_moves_on(unit.text):
        return True
    only_yes = len(unit.text) < 25 and bool(cue("assent").fullmatch(unit.text.strip(" .!,")))
    return (unit.role == USER and only_yes) or (len(unit.text) < 8 and unit.text.isascii())


def _only_moves_on(text: str) -> bool:
    """Whether this asks for the next thing of the same kind and says no more: "Makes sense. Let's do another one!"."""
    said = [without_lead_in(each).strip(" .!") for each in sentences(text)]
    moves = [bool(cue("moves_on").fullmatch(each)) for each in said]
    return any(moves) and all(move or cue("takes_up").match(each) for move, each in zip(moves, said, strict=True))


def _decides(unit: Unit, session: Session, cued: bool) -> float:
    extra = 0.0
    if unit.turn in session.assented and not unit.is_question:
        extra += 0.9 if unit.position == session.ends[unit.turn] else 0.4 * cued
    if unit.role == USER:
        extra += 0.8 if unit.position == 0 and corrects(unit.text) else 0.0
        asked_for = unit.turn in session.acted_on and not values_in(unit.text)
        extra += 0.35 if cue("order").match(without_lead_in(unit.text)) and not asked_for else 0.0
        # What a user answers to a choice mostly settles something, in whatever words.
        extra += session.settles(unit.turn) if len(unit.text) >= 12 else 0.0
    return extra


def is_standing(unit: Unit) -> bool:
    """Whether a user lays down for good how to do something: "Always …", "Never …", "From now on …"."""
    return unit.role == USER and not unit.is_question and bool(cue("standing").match(without_lead_in(unit.text)))


def _rules(unit: Unit, session: Session, cued: bool) -> float:
    if is_standing(unit):
        return 1.0
    return 0.3 if cued and unit.role == USER and not cue("when").search(unit.text) else 0.0


def _reports(unit: Unit, session: Session, cued: bool) -> float:
    if unit.ticked:
        return 1.0
    names = 0.25 if cued and identifiers_in(unit.text) else 0.0
    return names + (0.3 if cued and FAILURE.search(unit.text) else 0.0)


def _is_due(unit: Unit, session: Session, cued: bool) -> float:
    if not cued and cue("when").search(unit.text) and cue("will").search(unit.text):
        return PROMISED
    if not cued and unit.role != ASSISTANT and cue("duty").search(unit.text):
        return 1.5 if cue("when").search(unit.text) else 1.0
    return 0.5 if cued and cue("when").search(unit.text) else 0.0


_EXTRA: dict[str, Callable[[Unit, Session, bool], float]] = {
    "decisions": _decides,
    "rules": _rules,
    "milestones": _reports,
    "open_tasks": _is_due,
}


def _common(unit: Unit, words: frozenset[str], session: Session) -> float:
    """What makes a unit worth keeping in any list."""
    named = sum(WEIGHT[found.kind] for found in identifiers_in(unit.text)) + 0.5 * sum(1 for _ in quoted_in(unit.text))
    factor = 1.0 + 0.35 * session.centrality(words) + min(0.4, 0.13 * named)
    factor *= 0.5 if cue("hedge").search(unit.text) and not session.is_answered_question(unit) else 1.0
    factor *= 0.45 if cue("chatter").search(unit.text) else 1.0
    factor *= 0.6 if unit.turn in session.corrected else 1.0
    if len(unit.text) < 20:
        factor *= 0.55 if len(words) < 3 else 0.85
    return factor


def _timeliness(name: str, unit: Unit, session: Session) -> float:
    """What is open counts most near the end; what was decided last replaces what was decided first."""
    place = session.place(unit)
    return {"open_tasks": 0.75 + 0.45 * place, "decisions": 0.95 + 0.1 * place}.get(name, 1.0)


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """The share of the shorter one's words that the other has too."""
    return len(left & right) / max(1, min(len(left), len(right)))


def _without_echoes(candidates: Sequence[Judged], session: Session) -> list[Judged]:
    """Leave out what the assistant repeats of the user's words right before it, unless it names more than they do."""
    said: dict[int, list[int]] = {}
    kept = list(candidates)
    for place, each in enumerate(candidates):
        if each.unit.role == USER:
            said.setdefault(each.unit.turn, []).append(place)
    echoes: set[int] = set()
    for place, each in enumerate(candidates):
        if each.unit.role != ASSISTANT:
            continue
        for at in said.get(session.asked_by.get(each.unit.turn, -1), ()):
            if _echoes(each, candidates[at]):
                kept[at] = replace(kept[at], score=max(kept[at].score, each.score))
                echoes.add(place)
    return [each for place, each in enumerate(kept) if place not in echoes]


def _echoes(echo: Judged, said: Judged) -> bool:
    shared = echo.words & said.words
    if overlap(echo.words, said.words) < ECHO or len(shared) < 3:
        return False
    return all(found.text in said.unit.text for found in identifiers_in(echo.unit.text))


def _without_doubles(candidates: Sequence[Judged]) -> list[Judged]:
    """Of units that say the same, the better one; of equals, the later one."""
    ordered = sorted(candidates, key=lambda each: (-each.score, -each.unit.turn, each.unit.position))
    chosen: list[Judged] = []
    for candidate in ordered[:CONSIDERED]:
        if not any(_says_same(candidate, other) for other in chosen):
            chosen.append(candidate)
    return chosen


def _says_same(left: Judged, right: Judged) -> bool:
    return _same(left.words, right.words) and things_in(left.unit.text) <= things_in(right.unit.text)


def _same(left: frozenset[str], right: frozenset[str]) -> bool:
    return overlap(left, right) >= 0.6 and len(left & right) >= 3


def _closes(milestone: Judged, task: Judged) -> bool:
    """Whether a later result speaks of what a task was about, apart from the words that made it a task."""
    if milestone.unit.turn <= task.unit.turn:
        return False
    about = terms(cue("when").sub(" ", cue("task").sub(" ", task.unit.text)))
    return len(about) >= 2 and len(milestone.words & about) / len(about) >= 0.6
