"""The local distiller: picks what was said, word for word. No network, no model, always an answer.

A unit (sentence, list item, line of a result) is scored for each list it could stand in: by the words that give its
purpose away, by who says it, by what was answered to it, by the exact identifiers in it, and by how central its words
are to the session. Then each list is filled up to its share of the length, the best first, saying nothing twice.
`make bench-distill` measures what survives.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from moon.distill.commands import ranked_commands
from moon.distill.cues import FAILURE, cue
from moon.distill.identifiers import WEIGHT, Identifier, identifiers_in, quoted_in
from moon.distill.record import Distillation, Item
from moon.distill.turns import ASSISTANT, RESULT, SUMMARY, USER, Turn, bounded, without_pastes
from moon.distill.units import Unit, terms, units_of

# The share of the whole length that each list may take; what one leaves goes to the others.
SHARES = {
    "rules": 0.11,
    "open_tasks": 0.19,
    "decisions": 0.28,
    "milestones": 0.12,
    "commands": 0.11,
    "identifiers": 0.10,
    "summary": 0.09,
}
_JUDGED = ("decisions", "rules", "milestones", "open_tasks")
_CUES = {"decisions": "decision", "rules": "rule", "milestones": "milestone", "open_tasks": "task"}
_ROLE_WEIGHT = {
    "decisions": {USER: 1.5, ASSISTANT: 0.75, SUMMARY: 0.9, RESULT: 0.0},
    "rules": {USER: 1.7, ASSISTANT: 0.4, SUMMARY: 0.8, RESULT: 0.0},
    "milestones": {USER: 0.9, ASSISTANT: 1.1, SUMMARY: 0.9, RESULT: 0.45},
    "open_tasks": {USER: 1.4, ASSISTANT: 0.9, SUMMARY: 1.0, RESULT: 0.0},
}
_HEADINGS = {
    "decisions": re.compile(r"(?i)decision|decided|agreed|entscheid|décision|decisi|решени|决定|決定"),
    "rules": re.compile(r"(?i)rule|constraint|convention|polic|preference|regel|règle|regla|правил|规则"),
    "milestones": re.compile(
        r"(?i)done|complete|result|milestone|shipped|progress|finished|erledigt|fait|hecho|готово|完成"
    ),
    "open_tasks": re.compile(
        r"(?i)todo|to-do|next|open|remaining|pending|action|left|offen|aufgabe|reste|à faire|pendient|待办|下一步"
    ),
}
_MIN_SCORE = 0.55
# The best item of a list is worth more than the list's exact share.
FIRST_MAY_EXCEED = 1.5
# A sentence that found no room in the list it fits best may stand in another that it fits too.
SECOND_CHOICE = 0.75


@dataclass(frozen=True)
class _Judged:
    """A unit with its score for one list."""

    unit: Unit
    score: float
    words: frozenset[str]
    sources: tuple[str, ...]


@dataclass
class _Session:
    """Everything about a session that judging one of its units needs."""

    turns: Sequence[Turn]
    units: list[Unit]
    words: list[frozenset[str]] = field(default_factory=list)
    rarity: Mapping[str, float] = field(default_factory=dict)
    spread: Mapping[str, int] = field(default_factory=dict)
    assented: Mapping[int, Turn] = field(default_factory=dict)
    ends: Mapping[int, int] = field(default_factory=dict)
    corrected: frozenset[int] = frozenset()
    replies: Mapping[int, int] = field(default_factory=dict)


def distill_locally(turns: Sequence[Turn], length: int = 6000, tool_result_chars: int = 2000) -> Distillation:
    """Distil a session into at most about `length` characters. The same turns always give the same result."""
    turns = [bounded(part, tool_result_chars) for turn in turns for part in without_pastes(turn)]
    session = _read(turns)
    lists: dict[str, list[Item]] = {}
    left = float(length)
    judged = _without_doubles(_judge_all(session))
    for position, (name, share) in enumerate(SHARES.items()):
        remaining = sum(list(SHARES.values())[position:])
        room = left * share / remaining
        lists[name] = _fill(name, room, session, judged, lists)
        left -= _cost(lists[name])
    _spend_rest(lists, left, session, judged)
    return Distillation.of({name: _in_order(items, session) for name, items in lists.items()})


def _cost(items: Iterable[Item]) -> int:
    return sum(len(item.text) + 3 for item in items)


def _read(turns: Sequence[Turn]) -> _Session:
    session = _Session(turns, units_of(turns))
    session.words = [terms(unit.text) for unit in session.units]
    seen: dict[str, set[int]] = {}
    for unit, words in zip(session.units, session.words, strict=True):
        for word in words:
            seen.setdefault(word, set()).add(unit.turn)
    total = max(1, len(turns))
    session.spread = {word: len(places) for word, places in seen.items()}
    session.rarity = {word: math.log(1 + total / count) for word, count in session.spread.items()}
    session.assented = _assents(turns)
    session.ends = {unit.turn: unit.position for unit in session.units}
    session.corrected = frozenset(
        number - 1 for number, turn in enumerate(turns) if turn.role == USER and _starts_with_correction(turn.text)
    )
    session.replies = _replies(turns)
    return session


def _replies(turns: Sequence[Turn]) -> dict[int, int]:
    """For each turn of the user that answers the assistant, the turn it answers."""
    found: dict[int, int] = {}
    spoken = -1
    for number, turn in enumerate(turns):
        if turn.role == USER and spoken >= 0 and turns[spoken].role == ASSISTANT:
            found[number] = spoken
        if turn.role in (USER, ASSISTANT):
            spoken = number
    return found


def _starts_with_correction(text: str) -> bool:
    return bool(cue("correction").search(text[:40]))


def _assents(turns: Sequence[Turn]) -> dict[int, Turn]:
    """Turns of the assistant that a short answer of the user said yes to, with that answer."""
    found: dict[int, Turn] = {}
    for number, turn in enumerate(turns):
        if turn.role == USER and len(turn.text) < 160 and cue("assent").match(turn.text.lstrip(" \t\"'*_")):
            before = next((at for at in range(number - 1, -1, -1) if turns[at].role in (ASSISTANT, USER)), None)
            if before is not None and turns[before].role == ASSISTANT:
                found[before] = turn
    return found


# --- judging ----------------------------------------------------------------------------------------------------------


def _judge_all(session: _Session) -> dict[str, list[_Judged]]:
    judged: dict[str, list[_Judged]] = {name: [] for name in (*_JUDGED, "summary")}
    for unit, words in zip(session.units, session.words, strict=True):
        scores = _scores(unit, words, session)
        best = max(_JUDGED, key=lambda name: scores[name])
        for name in _JUDGED:
            if scores[name] >= _MIN_SCORE:
                score = scores[name] * (1.0 if name == best else SECOND_CHOICE)
                judged[name].append(_Judged(unit, score, words, _sources(unit, session)))
        judged["summary"].append(
            _Judged(unit, _centrality(words, session) * _summary_weight(unit), words, (unit.event_id,))
        )
    return judged


def _sources(unit: Unit, session: _Session) -> tuple[str, ...]:
    answer = session.assented.get(unit.turn)
    return (unit.event_id, answer.event_id) if answer else (unit.event_id,)


def _scores(unit: Unit, words: frozenset[str], session: _Session) -> dict[str, float]:
    common = _common_factor(unit, words, session)
    scores = {}
    for name in _JUDGED:
        weight = _ROLE_WEIGHT[name].get(unit.role, 0.0)
        strength = _cue_strength(name, unit, session) if weight else 0.0
        scores[name] = strength * common * weight * _place_factor(name, unit, session)
    return scores


def _cue_strength(name: str, unit: Unit, session: _Session) -> float:
    if _says_only_yes(unit) or (len(unit.text) < 8 and unit.text.isascii()):
        return 0.0
    if name == "decisions" and _was_answered_yes(unit, session):
        return 1.3
    hits = {match.group(0).lower() for match in cue(_CUES[name]).finditer(unit.text)}
    strength = min(2.0, 1.0 * bool(hits) + 0.35 * max(0, len(hits) - 1))
    if unit.heading and _HEADINGS[name].search(unit.heading):
        strength += 1.2
    strength += _SPECIAL[name](unit, session, strength)
    if unit.is_question:
        strength *= 0.3 if unit.role == USER else 0.2
    return strength


def _says_only_yes(unit: Unit) -> bool:
    return unit.role == USER and len(unit.text) < 25 and bool(cue("assent").fullmatch(unit.text.strip(" .!,")))


def _was_answered_yes(unit: Unit, session: _Session) -> bool:
    """Whether this is the question at the end of a turn that the user said yes to."""
    return unit.is_question and unit.turn in session.assented and unit.position == session.ends[unit.turn]


def _decision_extra(unit: Unit, session: _Session, strength: float) -> float:
    extra = 0.0
    if unit.turn in session.assented and not unit.is_question:
        extra += 0.9 if unit.position == session.ends[unit.turn] else 0.4
    if unit.role == USER and unit.position == 0 and _starts_with_correction(unit.text):
        extra += 0.8
    if unit.role == USER and _is_order(unit.text):
        extra += 0.35
    if unit.turn in session.replies and len(unit.text) >= 12:
        # What a user states in answer to the assistant mostly settles something, in whatever words.
        extra += 0.4
    return extra


def _rule_extra(unit: Unit, session: _Session, strength: float) -> float:
    return 0.3 if strength and unit.role == USER and not cue("when").search(unit.text) else 0.0


def _milestone_extra(unit: Unit, session: _Session, strength: float) -> float:
    if unit.ticked:
        return 1.0
    extra = 0.3 if strength and FAILURE.search(unit.text) else 0.0
    return extra + (0.25 if strength and identifiers_in(unit.text) else 0.0)


def _task_extra(unit: Unit, session: _Session, strength: float) -> float:
    return 0.5 if strength and cue("when").search(unit.text) else 0.0


_SPECIAL = {
    "decisions": _decision_extra,
    "rules": _rule_extra,
    "milestones": _milestone_extra,
    "open_tasks": _task_extra,
}


def _is_order(text: str) -> bool:
    return bool(cue("order").match(without_lead_in(text)))


def without_lead_in(text: str) -> str:
    """A sentence without the "OK, great:" before it."""
    while match := cue("lead_in").match(text):
        rest = text[match.end() :].lstrip()
        if rest[:1] not in (",", ".", "!", ":", ";", "-", "–", "—", "，", "。", "！"):
            return text
        text = rest.lstrip(",.!:;-–—，。！ ")
    return text


def _common_factor(unit: Unit, words: frozenset[str], session: _Session) -> float:
    factor = 1.0 + 0.35 * _centrality(words, session) + min(0.4, 0.13 * _identifier_value(unit.text))
    if cue("hedge").search(unit.text) and not _was_answered_yes(unit, session):
        factor *= 0.5
    if cue("chatter").search(unit.text):
        factor *= 0.45
    if unit.turn in session.corrected:
        factor *= 0.6
    if len(unit.text) < 20:
        factor *= 0.55 if len(words) < 3 else 0.85
    return factor


def _place_factor(name: str, unit: Unit, session: _Session) -> float:
    """What is open counts most near the end; what was decided last replaces what was decided first."""
    place = unit.turn / max(1, len(session.turns) - 1)
    return {"open_tasks": 0.75 + 0.45 * place, "decisions": 0.95 + 0.1 * place}.get(name, 1.0)


def _identifier_value(text: str) -> float:
    return sum(WEIGHT[found.kind] for found in identifiers_in(text)) + 0.5 * sum(1 for _ in quoted_in(text))


def _centrality(words: frozenset[str], session: _Session) -> float:
    """0 to 1: how much a unit speaks of what the session keeps coming back to."""
    weights = sorted((session.rarity[word] * math.log(session.spread[word]) for word in words), reverse=True)[:8]
    return min(1.0, sum(weights) / 16)


def _summary_weight(unit: Unit) -> float:
    if unit.role == RESULT or unit.is_question and unit.role != USER:
        return 0.0
    weight = {USER: 1.2, ASSISTANT: 0.8, SUMMARY: 1.3}.get(unit.role, 0.0) * (0.5 if unit.is_question else 1.0)
    if unit.role == USER and unit.turn == 0:
        weight *= 2.0
    return weight * (0.4 if cue("chatter").search(unit.text) else 1.0)


# --- choosing ---------------------------------------------------------------------------------------------------------


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / max(1, min(len(left), len(right)))


def _same(left: frozenset[str], right: frozenset[str]) -> bool:
    return _overlap(left, right) >= 0.6 and len(left & right) >= 3


def _without_doubles(judged: dict[str, list[_Judged]]) -> dict[str, list[_Judged]]:
    """Of units that say the same, the better or later one; of tasks, none that a later milestone closes."""
    kept = {}
    for name, candidates in judged.items():
        if name == "summary":
            kept[name] = sorted(candidates, key=lambda each: (-each.score, each.unit.turn, each.unit.position))
            continue
        ordered = sorted(candidates, key=lambda each: (-each.score, -each.unit.turn, each.unit.position))
        chosen: list[_Judged] = []
        for candidate in ordered[:400]:
            if not any(_same(candidate.words, other.words) for other in chosen):
                chosen.append(candidate)
        kept[name] = chosen
    done = kept["milestones"]
    kept["open_tasks"] = [task for task in kept["open_tasks"] if not any(_closes(each, task) for each in done)]
    return kept


def _closes(milestone: _Judged, task: _Judged) -> bool:
    """Whether a later result speaks of what a task was about, apart from the words that made it a task."""
    if milestone.unit.turn <= task.unit.turn:
        return False
    about = terms(cue("when").sub(" ", cue("task").sub(" ", task.unit.text)))
    return len(about) >= 2 and len(milestone.words & about) / len(about) >= 0.6


def _fill(
    name: str, room: float, session: _Session, judged: dict[str, list[_Judged]], lists: Mapping[str, list[Item]]
) -> list[Item]:
    if name == "commands":
        return _take((Item(text, sources) for text, sources in ranked_commands(session.turns)), room)
    if name == "identifiers":
        return _take(_ranked_identifiers(session, lists), room)
    if name == "summary":
        return _summary(session, judged["summary"], room, lists)
    said = {item.text for items in lists.values() for item in items}
    fresh = (_item(each, session) for each in judged[name])
    return _take((item for item in fresh if item.text not in said), room)


def _take(items: Iterable[Item], room: float) -> list[Item]:
    taken: list[Item] = []
    misses = 0
    for item in items:
        cost = len(item.text) + 3
        if cost > room * (1.0 if taken else FIRST_MAY_EXCEED):
            misses += 1
            if misses > 8:
                break
            continue
        taken.append(item)
        room -= cost
    return taken


def _item(judged: _Judged, session: _Session) -> Item:
    if _was_answered_yes(judged.unit, session):
        answer = " ".join(session.assented[judged.unit.turn].text.split())
        return Item(f"{judged.unit.text} — {answer}", judged.sources)
    text = without_lead_in(judged.unit.text) or judged.unit.text
    return Item(text[0].upper() + text[1:] if text[:1].islower() and " " in text else text, judged.sources)


def _summary(
    session: _Session, candidates: Sequence[_Judged], room: float, lists: Mapping[str, list[Item]]
) -> list[Item]:
    """What it was about: the most central sentences, none of which stands in another list already."""
    said = [terms(item.text) for name in _JUDGED for item in lists.get(name, ())]
    chosen: list[Item] = []
    for candidate in candidates[:60]:
        if candidate.score > 0.2 and not any(_overlap(candidate.words, other) > 0.6 for other in said):
            chosen.append(_item(candidate, session))
            said.append(candidate.words)
    return _take(chosen, room)


def _ranked_identifiers(session: _Session, lists: Mapping[str, list[Item]]) -> list[Item]:
    """Identifiers by how much is lost with them; what was spoken of comes before what only a tool printed."""
    told = " ".join(item.text for items in lists.values() for item in items)
    value: dict[str, float] = defaultdict(float)
    first: dict[str, str] = {}
    for turn in session.turns:
        for found in (*identifiers_in(turn.text), *quoted_in(turn.text)):
            value[found.text] += _weight_of(found, turn)
            first.setdefault(found.text, turn.event_id)
    worth = {text: min(total, 4.0) * (0.25 if text in told else 1.0) for text, total in value.items()}
    ordered = sorted(
        (text for text in worth if value[text] >= 0.2), key=lambda text: (-worth[text], -value[text], text)
    )
    return [Item(text, (first[text],)) for text in _without_parts(ordered[:300])]


def _weight_of(found: Identifier, turn: Turn) -> float:
    by = {USER: 2.0, ASSISTANT: 1.2, SUMMARY: 1.5, RESULT: 0.06}.get(turn.role, 0.15)
    return WEIGHT[found.kind] * by * (0.3 if len(found.text) > 120 else 1.0)


def _without_parts(ordered: Sequence[str]) -> list[str]:
    """Leave out what stands inside another one."""
    return [text for text in ordered if not any(text in other and text != other for other in ordered)]


def _spend_rest(lists: dict[str, list[Item]], left: float, session: _Session, judged: dict[str, list[_Judged]]) -> None:
    """Room that some list did not need goes to the best of what was left out elsewhere."""
    waiting = sorted(
        ((each.score, name, each) for name in _JUDGED for each in judged[name]),
        key=lambda entry: (-entry[0], entry[1], entry[2].unit.turn, entry[2].unit.position),
    )
    for _, name, each in waiting:
        item = _item(each, session)
        said = {other.text for items in lists.values() for other in items}
        if item.text not in said and len(item.text) + 3 <= left:
            lists[name].append(item)
            left -= len(item.text) + 3
    have = {item.text for item in lists["identifiers"]}
    more = [item for item in _ranked_identifiers(session, lists) if item.text not in have]
    lists["identifiers"] += _take(more, left)


def _in_order(items: Sequence[Item], session: _Session) -> list[Item]:
    place = {turn.event_id: number for number, turn in reversed(list(enumerate(session.turns)))}
    return sorted(items, key=lambda item: place.get(item.sources[0], 0))
