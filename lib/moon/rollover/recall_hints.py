"""Where to look: questions that the archive really answers. Each one is tried before it is written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from moon import programs
from moon.errors import MoonError
from moon.fulltext.languages import guess, stop_words
from moon.fulltext.words import UNSPACED, fold
from moon.resources import program
from moon.rollover.map_lists import Line, Lists

HINTS = 4
TRIED = 8
LIMIT = 5
# Whole: starting the program, opening the index, and all questions.
TRIAL_SECONDS = 15.0
MAX_OUTPUT = 8 << 20
SHORTEST_QUESTION = 3
LONGEST_QUESTION = 6
LONGEST_RUN = 16
# What a question is made from: what is left to do and what was settled, then what it was about.
ASKED_ABOUT = ("open_tasks", "decisions", "summary", "milestones", "rules")
# Signs that stand safely between double quotes in a shell and are no operator of a question.
_WORD = re.compile(r"\w[\w./@-]*\w|\w")
HERE, THIS_EVENT = 1, 2


class Question(NamedTuple):
    """Words to search for, and the events that they come from."""

    text: str
    sources: tuple[str, ...]

    @property
    def command(self) -> str:
        """What a reader of the map runs."""
        return f'moon-recall "{self.text}" --limit {LIMIT}'


def questions(lists: Lists) -> list[Question]:
    """Questions about what a map tells, the most useful first."""
    by_turn = zip_longest(*(lists[name] for name in ASKED_ABOUT))
    made = (question for turn in by_turn for line in turn if line and (question := question_of(line)))
    return list({question.text: question for question in made}.values())[:TRIED]


def question_of(line: Line) -> Question | None:
    """The words of a line that are worth searching for; None where hardly any is left."""
    stops = stop_words(guess(line.text) or "en")
    found = [word for word in _WORD.findall(UNSPACED.sub(_spaced, line.text)) if fold(word) not in stops]
    found = list(dict.fromkeys(word for word in found if len(word) > 1 or not word.isascii()))
    best = sorted(found, key=_telling, reverse=True)[:LONGEST_QUESTION]
    if len(best) < SHORTEST_QUESTION and not any(map(UNSPACED.search, best)):
        return None
    return Question(" ".join(word for word in found if word in best), line.sources)


def _telling(word: str) -> tuple[bool, bool, int]:
    """How much a word narrows a search down: names and numbers before long words before short ones."""
    is_exact = any(char.isdigit() or char in "./_@-" for char in word[:-1]) or word[1:] != word[1:].lower()
    return is_exact, word[0].isupper(), min(len(word), 8)


def _spaced(run: re.Match[str]) -> str:
    return f" {run.group()[:LONGEST_RUN]} "


def try_questions(asked: Sequence[Question], agent: str, session_id: str) -> list[str]:
    """The commands of those questions that bring back something of this session, the best ones first.

    What could not be tried in time is not among them.
    """
    if not asked:
        return []
    lines = "".join(f"{question.text}\n" for question in asked)
    argv = [str(program("recall")), "--queries", "-", "--limit", str(LIMIT), "--json"]
    # The embedded index alone: it answers in milliseconds, and what it finds the other engine need not.
    environment = {**os.environ, "MOON_QMD__ENABLED": "false"}
    try:
        done = programs.run(
            argv, timeout=TRIAL_SECONDS, max_output=MAX_OUTPUT, env=environment, input_bytes=lines.encode()
        )
    except MoonError:
        return []
    judged = [
        (_worth(answer, question, agent, session_id), question)
        for question, answer in zip(asked, _answers(done.stdout), strict=False)
    ]
    best = sorted((pair for pair in judged if pair[0]), key=lambda pair: -pair[0])
    return [question.command for _, question in best[:HINTS]]


def _answers(output: bytes) -> Iterator[dict[str, Any]]:
    """One answer a line, in the order of the questions; it ends where a line is none."""
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            return
        if not isinstance(answer, dict):
            return
        yield answer


def _worth(answer: dict[str, Any], question: Question, agent: str, session_id: str) -> int:
    """Whether what a question was made from came back, or at least something of this session, or nothing."""
    results: Iterable[dict[str, Any]] = [row for row in answer.get("results", []) if row.get("agent") == agent]
    own = [row for row in results if row.get("session_id") == session_id]
    if any(row.get("event_id") in question.sources for row in own):
        return THIS_EVENT
    return HERE if own else 0
