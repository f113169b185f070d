"""The local distiller: picks what was said, word for word. No network, no model, always an answer.

A unit (sentence, list item, line of a result) is judged for each list it could stand in (`judging.py`). Then each list
is filled up to its share of the length, the best first, saying nothing twice. `make bench-distill` measures that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from moon.distill.commands import ranked_commands
from moon.distill.conversation import Session, read_session
from moon.distill.distillation import Distillation, Item
from moon.distill.identifiers import WEIGHT, Identifier, identifiers_in, is_searched_for, quoted_in
from moon.distill.judging import Judged, is_standing, judge, judge_for_summary, overlap, without_lead_in
from moon.distill.turns import ASSISTANT, CALL, RESULT, SUMMARY, USER, Turn, bounded, without_pastes
from moon.distill.units import terms

# The share of the whole length that each list may take, in the order they are filled; what one leaves goes to the next.
SHARES = {
    "rules": 0.14,
    "open_tasks": 0.19,
    "decisions": 0.25,
    "milestones": 0.12,
    "commands": 0.15,
    "identifiers": 0.10,
    "summary": 0.05,
}
# What a user laid down for good comes before everything else, and may take this share.
STANDING_SHARE = 0.4
# The best item of a list is worth more than the list's exact share.
FIRST_MAY_EXCEED = 1.5
BULLET = 3
MISSES = 8
SUMMARY_CANDIDATES = 60
LONGEST_SUMMARY = 5
LITERAL = ("commands", "identifiers")
# More than this nobody reads daily; the archive has the rest.
LONGEST_LIST = 8
LONGEST = {"commands": 6, "identifiers": 20}
# A short session needs no long memory: this much of what people and the model said, but never less than SHORTEST.
SHARE_OF_SPOKEN = 0.6
SHORTEST = 1000
IDENTIFIERS_RANKED = 300
# An identifier that only a tool printed, and only once or twice, is left out.
LEAST_IDENTIFIER = 0.2
MOST_PRINTED = 0.3


def distill_locally(turns: Sequence[Turn], length: int = 6000, tool_result_chars: int = 2000) -> Distillation:
    """Distil a session into at most about `length` characters. The same turns always give the same result."""
    parts = [bounded(part, tool_result_chars) for turn in turns for part in without_pastes(turn)]
    choice = _Choice(read_session(parts), length)
    choice.take_standing()
    for name in SHARES:
        choice.fill(name)
    choice.spend_rest()
    return choice.distillation()


def with_exact(made: Distillation, turns: Sequence[Turn], length: int, tool_result_chars: int) -> Distillation:
    """A model's distillation with the commands and identifiers that it left out, as far as their shares of room go.

    Models retell well and quote badly, and what cannot be guessed again is what a summary must not lose.
    """
    found = distill_locally(turns, length, tool_result_chars)
    lists = dict(made.lists)
    for name in LITERAL:
        have = {item.text for item in lists[name]}
        room = length * SHARES[name] - sum(len(text) + BULLET for text in have)
        for item in found.lists[name]:
            room -= 0 if item.text in have else len(item.text) + BULLET
            if item.text not in have and room >= 0:
                lists[name] = (*lists[name], item)
    return Distillation(lists, made.dropped)


class _Choice:
    """Fills the lists of one session, and knows what room is left and what was said already."""

    def __init__(self, session: Session, length: int) -> None:
        self._session = session
        self._judged = judge(session)
        self._left = float(min(length, max(SHORTEST, spoken_length(session) * SHARE_OF_SPOKEN)))
        self._shares_left = sum(SHARES.values())
        self._lists: dict[str, list[Item]] = {}

    def take_standing(self) -> None:
        """Take the rules that a user laid down for good."""
        standing = [self._item(each) for each in self._judged["rules"] if is_standing(each.unit)]
        self._lists["rules"] = []
        self._take("rules", standing, self._left * STANDING_SHARE)

    def fill(self, name: str) -> None:
        """Fill a list with its share of the room that is left."""
        room = self._left * SHARES[name] / self._shares_left
        self._shares_left -= SHARES[name]
        self._lists.setdefault(name, [])
        self._take(name, self._candidates(name), room, FIRST_MAY_EXCEED)

    def _candidates(self, name: str) -> Iterable[Item]:
        if name == "commands":
            return (Item(text, sources) for text, sources in ranked_commands(self._session.turns))
        if name == "identifiers":
            return self._identifiers()
        if name == "summary":
            return self._summary()
        return (self._item(each) for each in self._judged[name])

    def _take(self, name: str, items: Iterable[Item], room: float, first_may_exceed: float = 1.0) -> None:
        """Take items, the first ones first, as far as they fit and were not taken yet."""
        said = self._said()
        misses = 0
        for item in items:
            cost = len(item.text) + BULLET
            if item.text in said or (name not in LITERAL and any(item.text in text for text in said)):
                continue
            if len(self._lists[name]) >= LONGEST.get(name, LONGEST_LIST):
                return
            if cost > room * (1.0 if self._lists[name] else first_may_exceed):
                misses += 1
                if misses > MISSES:
                    return
                continue
            self._lists[name].append(item)
            said.add(item.text)
            room -= cost
            self._left -= cost

    def _said(self) -> set[str]:
        return {item.text for items in self._lists.values() for item in items}

    def spend_rest(self) -> None:
        """Room that some list did not need goes to the best of what was left out elsewhere."""
        waiting = [(name, each) for name, judged in self._judged.items() for each in judged]
        for name, each in sorted(waiting, key=lambda pair: -pair[1].score):
            self._take(name, [self._item(each)], self._left)
        self._take("identifiers", self._identifiers(), self._left)

    def distillation(self) -> Distillation:
        """The lists, each in the order of the conversation."""
        place: dict[str, int] = {}
        for number, turn in enumerate(self._session.turns):
            place.setdefault(turn.event_id, number)
        return Distillation.of(
            {name: sorted(items, key=lambda item: place[item.sources[0]]) for name, items in self._lists.items()}
        )

    def _item(self, judged: Judged) -> Item:
        if self._session.is_answered_question(judged.unit):
            answer = " ".join(self._session.assented[judged.unit.turn].text.split())
            return Item(f"{judged.unit.text} — {answer}", judged.sources)
        return Item(without_lead_in(judged.unit.text) or judged.unit.text, judged.sources)

    def _summary(self) -> Iterable[Item]:
        """What it was about: the most central sentences, none of which stands in another list already."""
        said = [terms(item.text) for name in self._judged for item in self._lists[name]]
        chosen = 0
        for candidate in judge_for_summary(self._session)[:SUMMARY_CANDIDATES]:
            if chosen == LONGEST_SUMMARY:
                return
            item = self._summary_item(candidate)
            if item and candidate.score > 0.2 and not any(overlap(candidate.words, other) > 0.6 for other in said):
                said.append(terms(item.text))
                chosen += 1
                yield item

    def _summary_item(self, candidate: Judged) -> Item | None:
        """A question stands there with its answer, or not at all."""
        if not candidate.unit.is_question:
            return self._item(candidate)
        answer = self._session.answer_to(candidate.unit)
        return Item(f"{candidate.unit.text} — {answer[0]}", (candidate.unit.event_id, answer[1])) if answer else None

    def _identifiers(self) -> list[Item]:
        """Identifiers by how much is lost with them; those that the sentences already hold come last."""
        told = " ".join(self._said())
        value: dict[str, float] = defaultdict(float)
        printed: dict[str, float] = defaultdict(float)
        first: dict[str, str] = {}
        for number, turn in enumerate(self._session.turns):
            for found in (*identifiers_in(turn.text), *quoted_in(turn.text)):
                if self._session.is_revoked(number, found.text) or not is_searched_for(found):
                    continue
                (printed if turn.role in (CALL, RESULT) else value)[found.text] += _worth(found, turn)
                first.setdefault(found.text, turn.event_id)
        for text, worth_printed in printed.items():
            # A tool prints the same line a hundred times; that makes nothing in it more important.
            value[text] += min(worth_printed, MOST_PRINTED)
        worth = {
            text: min(total, 4.0) * (0.25 if text in told else 1.0)
            for text, total in value.items()
            if total >= LEAST_IDENTIFIER
        }
        ordered = sorted(worth, key=lambda text: (-worth[text], -value[text], text))
        return [Item(text, (first[text],)) for text in _without_parts(ordered[:IDENTIFIERS_RANKED])]


# What these name is a figure among figures in a tool's output: `$1` of a script, the clock of a log.
ONLY_SPOKEN = frozenset({"amount", "time", "money", "number", "decimal", "name", "flag"})


def spoken_length(session: Session) -> int:
    """How much people and the model said, in characters."""
    return sum(len(turn.text) for turn in session.turns if turn.role in (USER, ASSISTANT))


def _worth(found: Identifier, turn: Turn) -> float:
    """What people and the model spoke of counts far more than what a tool printed."""
    if turn.role in (CALL, RESULT) and found.kind in ONLY_SPOKEN:
        return 0.0
    by = {USER: 2.0, ASSISTANT: 1.2, SUMMARY: 1.5, RESULT: 0.06}.get(turn.role, 0.15)
    return WEIGHT[found.kind] * by * (0.3 if len(found.text) > 120 else 1.0)


def _without_parts(ordered: Sequence[str]) -> list[str]:
    """Leave out what stands inside another one."""
    return [text for text in ordered if not any(text in other and text != other for other in ordered)]
