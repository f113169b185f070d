"""Sessions in which every statement was labelled by hand: which list of a memory it belongs to, or none.

Labels stand at the source and not at the lines of an output, so they stay right whatever a distiller makes of the
session. `labelled/tuned/*.txt` may be read while tuning; of `labelled/held_out/*.txt` only totals are looked at.
`labelled/recorded.json` labels sessions of the real OpenClaw (`tests/recorded`), which are tuned on.

A file begins with `key: value` lines (name, kind, language, search: what somebody would search for, `|` between). Then
`=== date` begins a window, `U>`, `A>`, `C>`, `R>` a turn of user, assistant, call, result. `⟦D …⟧` marks a statement:
D decision, R rule, T task that is still open at the end of the window, M milestone, S a fact or result worth a line
of the summary, C a command worth keeping; with several letters any of the lists is right. What is not marked is not
worth a line: talk, questions, plans, examples, what was overtaken by a later word or done within the window.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from moon.distill.turns import Turn, turns_of
from moon.openclaw import events

FOLDER = Path(__file__).with_name("labelled")
RECORDED = Path(__file__).parents[1] / "recorded" / "jsonl"
TUNED, HELD_OUT = "tuned", "held_out"
ROLES = {"U": "user", "A": "assistant", "C": "call", "R": "result"}
# `summary` may hold anything that is worth a line.
LISTS = {"D": "decisions", "R": "rules", "T": "open_tasks", "M": "milestones", "S": "summary", "C": "commands"}
_TURN = re.compile(r"^([UACR])> ?", re.MULTILINE)
_WINDOW = re.compile(r"^=== .*\n", re.MULTILINE)
_MARK = re.compile(r"⟦([DRTMSC]+) (.*?)⟧", re.DOTALL)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")


class Statement(NamedTuple):
    """What was said in one go. `lists`: where it may stand; empty when it is not worth a line."""

    text: str
    event_id: str
    lists: frozenset[str]


class Window(NamedTuple):
    """What is distilled as one: its turns, its statements, and what somebody would search for."""

    name: str
    kind: str
    half: str
    turns: tuple[Turn, ...]
    statements: tuple[Statement, ...]
    search: tuple[str, ...]


def load_labelled() -> list[Window]:
    """Every labelled window of both halves, the recorded ones included."""
    written = [
        window
        for half in (TUNED, HELD_OUT)
        for path in sorted((FOLDER / half).glob("*.txt"))
        for window in _windows(path, half)
    ]
    return written + list(_recorded())


def _windows(path: Path, half: str) -> Iterator[Window]:
    head, _, _ = path.read_text("utf-8").partition("\n\n")
    keys = dict(line.split(": ", 1) for line in head.splitlines())
    search = tuple(each.strip() for each in keys["search"].split("|"))
    for number, said in enumerate(_turns_of(path), 1):
        turns = tuple(_without_marks(turn) for turn in said)
        statements = tuple(statement for turn in said for statement in _marked(turn.text, turn.event_id))
        yield Window(f"{keys['name']}/{number}", keys["kind"], half, turns, statements, search)


def parse_session(path: Path) -> list[list[Turn]]:
    """The turns of each window of a session's file, without marks; no two turns have the same id."""
    return [
        [replace(_without_marks(turn), event_id=f"w{number}-{turn.event_id}") for turn in said]
        for number, said in enumerate(_turns_of(path), 1)
    ]


def _turns_of(path: Path) -> Iterator[list[Turn]]:
    _, _, body = path.read_text("utf-8").partition("\n\n")
    for text in _WINDOW.split(body)[1:]:
        parts = _TURN.split(text)[1:]
        yield [
            Turn(f"e{place:03d}", ROLES[sign], said.strip(), "exec" if sign == "C" else "")
            for place, (sign, said) in enumerate(zip(parts[::2], parts[1::2], strict=True))
        ]


def _without_marks(turn: Turn) -> Turn:
    return replace(turn, text=_MARK.sub(r"\2", turn.text).strip())


def _marked(text: str, event_id: str) -> Iterator[Statement]:
    """The marked statements of a turn, and what stands between them, sentence by sentence."""
    pieces = _MARK.split(text)
    for place in range(0, len(pieces), 3):
        yield from (Statement(each, event_id, frozenset()) for each in _SENTENCE.split(pieces[place]) if each.strip())
        if place + 2 < len(pieces):
            yield Statement(pieces[place + 2], event_id, frozenset(LISTS[sign] for sign in pieces[place + 1]))


def _recorded() -> Iterator[Window]:
    for session_id, labels in json.loads((FOLDER / "recorded.json").read_text("utf-8")).items():
        (path,) = RECORDED.glob(f"agents/*/sessions/{session_id}.jsonl")
        found = (event for event in map(events.parse, path.read_bytes().splitlines()) if event is not None)
        turns = tuple(turns_of(found))
        marks = [*labels["statements"], *(["C", command] for command in labels["commands"])]
        statements = tuple(_quoted(turns, marks, session_id))
        yield Window(session_id[:8], "operations", TUNED, turns, statements, tuple(labels["search"]))


def _quoted(turns: Iterable[Turn], marks: list[list[str]], name: str) -> Iterator[Statement]:
    """The statements of turns, by labels that quote them; raises `ValueError` for a quote that nobody said."""
    unused = {quote for _, quote in marks}
    for turn in turns:
        text = turn.text
        for letters, quote in marks:
            # A command is one where it was run, not where it is spoken of.
            if quote in text and (letters == "C") == (turn.role == "call"):
                unused.discard(quote)
                text = text.replace(quote, f"⟦{letters} {quote}⟧", 1)
        yield from _marked(text, turn.event_id)
    if unused:
        raise ValueError(f"{name}: nobody says {sorted(unused)}")
