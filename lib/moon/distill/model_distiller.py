"""Distill with a model: in parts that fit it, each answer checked and repaired once, then merged into one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from moon.config import Distill
from moon.distill.chunks import Chunk, fence_for, fenced, name_entries, split_entries
from moon.distill.distillation import Distillation, Item
from moon.distill.model_answers import ANSWER_SCHEMA, AnswerBroken, Source, check_answer, parse_answer
from moon.distill.prompts import fill, load_prompt
from moon.distill.turns import Turn, bounded
from moon.distillations import LISTS
from moon.model.model_caller import Caller
from moon.model.model_port import AnswerUnusable, ModelFailed, Question
from moon.text import lines, token_estimate

# More text than the local distiller would make needs no merging call; beyond this a record would not be read.
LONGEST = 1.5
OVERHEAD_TOKENS = 1500
Progress = Callable[[int, int], None]
SHOWN_OF_BROKEN = 6000


def distill_with_model(
    caller: Caller, turns: Sequence[Turn], config: Distill, progress: Progress = lambda done, total: None
) -> Distillation:
    """Distill all turns; `progress` hears of each part.

    Raises `ModelFailed` when any part of it cannot be had, `ConfigInvalid` for a bad prompt.
    """
    work = _Work(caller, config)
    entries = name_entries([bounded(turn, config.tool_result_chars) for turn in turns])
    chunks = split_entries(entries, config.chunk_tokens)
    merges = 0 if len(chunks) <= 1 else len(chunks) // 4 + 1
    prompt = sum(token_estimate(chunk.text) + OVERHEAD_TOKENS for chunk in chunks)
    caller.check_budget(len(chunks) + merges, prompt + (len(chunks) + merges) * config.output_tokens)
    sources = [Source.of_chunk(chunk) for chunk in chunks]
    notes = []
    for number, (chunk, source) in enumerate(zip(chunks, sources, strict=True)):
        progress(number, len(chunks))
        notes.append(work.ask_about(chunk, source))
    made = shortened(work.merge(notes, _joined(sources)), int(config.local_chars * LONGEST))
    if made.is_empty:
        raise AnswerUnusable("nothing in the answer was borne out by the conversation")
    return made


class _Work:
    """The questions of one distillation."""

    def __init__(self, caller: Caller, config: Distill) -> None:
        self._caller = caller
        self._config = config
        self._prompts = {name: load_prompt(name, config.prompts) for name in ("distill", "merge", "repair")}

    def ask_about(self, chunk: Chunk, source: Source) -> Distillation:
        """The distillation of one part of the conversation."""
        system = fill(self._prompts["distill"], fence=fence_for(chunk.text))
        return self._checked(system, fenced(chunk.text), source)

    def merge(self, notes: Sequence[Distillation], source: Source) -> Distillation:
        """One distillation from those of the parts, in as many rounds as it takes."""
        notes = list(notes)
        while len(notes) > 1 and (groups := self._groups(notes)) is not None:
            notes = [self._merge_group(group, source) if len(group) > 1 else group[0] for group in groups]
        return concatenated(notes)

    def _groups(self, notes: Sequence[Distillation]) -> list[list[Distillation]] | None:
        """Neighbours that fit into one question together; None when joining them needs no model, or brings nothing."""
        if sum(map(_length, notes)) <= self._config.local_chars * LONGEST:
            return None
        groups: list[list[Distillation]] = [[]]
        used = 0
        for note in notes:
            cost = token_estimate(json.dumps(note.texts(), ensure_ascii=False)) * 2
            if groups[-1] and used + cost > self._config.chunk_tokens:
                groups.append([])
                used = 0
            groups[-1].append(note)
            used += cost
        return groups if len(groups) < len(notes) else None

    def _merge_group(self, group: Sequence[Distillation], source: Source) -> Distillation:
        names = {ids[0]: name for name, ids in source.event_ids.items()}
        text = json.dumps([_as_answer(note, names) for note in group], ensure_ascii=False)
        characters = str(self._config.local_chars)
        system = fill(self._prompts["merge"], fence=fence_for(text), characters=characters)
        said = "\n".join(item.text for note in group for items in note.lists.values() for item in items)
        cited = {
            names[each] for note in group for items in note.lists.values() for item in items for each in item.sources
        }
        narrowed = Source(said, {name: source.event_ids[name] for name in cited}, source.roles, source.words)
        try:
            merged = self._checked(system, fenced(text), narrowed)
        except ModelFailed:
            # The parts are good; only the joining failed.
            return concatenated(group)
        return Distillation(merged.lists, _sum([*(note.dropped for note in group), merged.dropped]))

    def _checked(self, system: str, text: str, source: Source) -> Distillation:
        """A checked answer; one that has not the right form is sent back once. Raises `ModelFailed`."""
        answer = self._caller.ask(self._question(system, text)).text
        try:
            return check_answer(parse_answer(answer), source)
        except AnswerBroken as problem:
            repair = fill(self._prompts["repair"], problem=str(problem))
        again = f"{text}\n\n{fenced(lines(answer[:SHOWN_OF_BROKEN]))}\n\n{repair}"
        try:
            return check_answer(parse_answer(self._caller.ask(self._question(system, again)).text), source)
        except AnswerBroken as problem:
            raise AnswerUnusable(f"the answer was broken twice: {problem}") from problem

    def _question(self, system: str, text: str) -> Question:
        return Question(system, text, ANSWER_SCHEMA, self._config.output_tokens)


def _length(note: Distillation) -> int:
    return sum(len(item.text) for items in note.lists.values() for item in items)


def _as_answer(note: Distillation, names: Mapping[str, str]) -> dict[str, list[dict[str, object]]]:
    """A distillation in the form in which models write and read it."""
    return {
        name: [{"text": item.text, "events": [names[each] for each in item.sources]} for item in items]
        for name, items in note.lists.items()
    }


def concatenated(notes: Sequence[Distillation]) -> Distillation:
    """All items of all parts in order, each once."""
    lists: dict[str, list[Item]] = {}
    for name in LISTS:
        first = {item.text: item for note in reversed(notes) for item in reversed(note.lists[name])}
        ordered = dict.fromkeys(item.text for note in notes for item in note.lists[name])
        lists[name] = [first[text] for text in ordered]
    return Distillation.of(lists, _sum(note.dropped for note in notes))


def shortened(made: Distillation, length: int) -> Distillation:
    """At most about `length` characters: of a list that takes more than its share, the latest items."""
    if _length(made) <= length:
        return made
    share = length / sum(1 for items in made.lists.values() if items)
    lists: dict[str, list[Item]] = {}
    for name, items in made.lists.items():
        room = share
        lists[name] = []
        for item in reversed(items):
            room -= len(item.text)
            if room >= 0:
                lists[name].insert(0, item)
    return Distillation.of(lists, made.dropped)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def _joined(sources: Sequence[Source]) -> Source:
    """What is known of all entries, for checking merged notes; their text is that of the notes."""
    roles: dict[str, frozenset[str]] = {}
    words: dict[str, frozenset[str]] = {}
    for source in sources:
        _add(roles, source.roles)
        _add(words, source.words)
    return Source("", {name: ids for source in sources for name, ids in source.event_ids.items()}, roles, words)


def _add(into: dict[str, frozenset[str]], more: Mapping[str, frozenset[str]]) -> None:
    for name, values in more.items():
        into[name] = into.get(name, frozenset()) | values
