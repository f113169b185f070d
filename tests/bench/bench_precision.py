"""How many lines of a distillation are right, by hand-labelled statements of the source (`make bench-distill`).

A line is traced to the statements that it is made of, the one that it shares most with first. It is *right* when two
fifths of it or more may stand in its list, *misplaced* when so much of it belongs into other lists, else *idle*: not
worth a line. A line that says the same as one before it is idle too. Of the held-out half only totals are printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labelled_sessions import HELD_OUT, TUNED, Statement, Window, load_labelled
from lines import foreign, is_fragment

from moon.distill.distillation import Item
from moon.distill.local_distiller import distill_locally
from moon.fulltext.words import fold, words

RIGHT, MISPLACED, IDLE = "right", "misplaced", "idle"
# What part of a line must be worth it.
WORTH = 0.4
# Most lines are one sentence, or two that were joined.
STATEMENTS_A_LINE = 4
# What part of a statement's words a line must hold to keep it.
KEPT = 0.6
SAME = 0.8
LITERAL = ("commands", "identifiers")


class Verdict(NamedTuple):
    """What a line was found to be, and the statement that it was judged by."""

    list_name: str
    line: str
    verdict: str
    statement: str


@dataclass
class Tally:
    """Verdicts by list, and how many of the marked statements were kept."""

    verdicts: list[Verdict] = field(default_factory=list)
    windows: int = 0
    marked: int = 0
    kept: int = 0
    characters: int = 0
    spoken: int = 0
    seconds: float = 0.0
    fragments: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The lists that have lines."""
        return list(dict.fromkeys(each.list_name for each in self.verdicts))

    def share(self, list_name: str) -> tuple[float, int]:
        """The share of right lines in a list, and how many lines there are."""
        found = [each.verdict == RIGHT for each in self.verdicts if each.list_name == list_name]
        return (sum(found) / len(found) if found else 0.0), len(found)

    def add(self, window: Window, lists: Mapping[str, Sequence[Item]]) -> None:
        """Judge every line of a window's distillation."""
        known = [_Known.of(each) for each in window.statements]
        said: list[Counter[str]] = []
        for name, items in lists.items():
            for item in items:
                self.verdicts.append(_literal(window, name, item) or _prose(known, said, name, item))
        texts = [item.text for items in lists.values() for item in items]
        self.windows += 1
        self.characters += sum(map(len, texts))
        self.spoken += sum(len(turn.text) for turn in window.turns)
        self.foreign += foreign(texts, window.turns)
        prose = [item.text for name, items in lists.items() if name not in LITERAL for item in items]
        self.fragments += [text for text in prose if is_fragment(text, window.turns)]
        lines = [_grams(text) for text in texts]
        marked = [each for each in known if each.statement.lists - {"commands"}]
        self.marked += len(marked)
        self.kept += sum(any(_shared(line, each.grams) >= KEPT * each.size for line in lines) for each in marked)


class _Known(NamedTuple):
    statement: Statement
    grams: Counter[str]
    size: int

    @classmethod
    def of(cls, statement: Statement) -> _Known:
        grams = _grams(statement.text)
        return cls(statement, grams, sum(grams.values()))


def _grams(text: str) -> Counter[str]:
    """Words and pairs of words; a pair tells that they stood beside each other."""
    found = words(text)
    return Counter([*found, *(f"{one} {other}" for one, other in zip(found, found[1:], strict=False))])


def _shared(one: Counter[str], other: Counter[str]) -> int:
    return sum((one & other).values())


def _literal(window: Window, name: str, item: Item) -> Verdict | None:
    """Commands and identifiers are right when they are, or stand in, or hold one that is worth keeping."""
    if name == "identifiers":
        worth = window.search
    elif name == "commands":
        worth = tuple(each.text for each in window.statements if "commands" in each.lists)
    else:
        return None
    line = fold(item.text)
    right = any(_holds(line, fold(each)) or _holds(fold(each), line) for each in worth)
    return Verdict(name, item.text, RIGHT if right else IDLE, "")


def _holds(whole: str, part: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", whole) is not None


def _prose(known: list[_Known], said: list[Counter[str]], name: str, item: Item) -> Verdict:
    """A question is only shown for its answer, so by that the two are judged."""
    _, dash, answer = item.text.partition(" — ")
    whole = _judged(known, said, name, item, item.text)
    found = _judged(known, said, name, item, answer) if dash and len(item.sources) > 1 else whole
    said.append(_grams(item.text))
    return whole if whole.verdict == RIGHT else found


def _judged(known: list[_Known], said: list[Counter[str]], name: str, item: Item, text: str) -> Verdict:
    line = _grams(text)
    size = max(1, sum(line.values()))
    again = any(_shared(line, other) >= SAME * size for other in said)
    traced = _traced(known, line, item.sources)
    right = sum(score for score, found in traced if name in found.lists or (name == "summary" and found.lists))
    worth = sum(score for score, found in traced if found.lists)
    verdict = RIGHT if right >= WORTH * size else MISPLACED
    if again or worth < WORTH * size:
        verdict = IDLE
    return Verdict(name, item.text, verdict, traced[0][1].text if traced else "")


def _traced(known: list[_Known], line: Counter[str], sources: Sequence[str]) -> list[tuple[int, Statement]]:
    """The statements that a line is made of, each with how much of the line it explains and no other one did."""
    left, found = line, []
    while len(found) < STATEMENTS_A_LINE:
        # Of two statements of the same words, the one that the line cites.
        score, _, best = max(
            ((_shared(left, each.grams), each.statement.event_id in sources, each) for each in known),
            key=lambda row: row[:2],
        )
        if not score:
            break
        found.append((score, best.statement))
        left = left - best.grams
    return found


def measure(windows: Iterable[Window], length: int) -> Tally:
    """Distil every window into at most `length` characters and judge each line."""
    tally = Tally()
    for window in windows:
        start = time.process_time()
        made = distill_locally(window.turns, length)
        tally.seconds += time.process_time() - start
        tally.add(window, made.lists)
    return tally


def table(tally: Tally) -> list[str]:
    """What a half came to, as lines to print."""
    prose = [each for each in tally.verdicts if each.list_name not in LITERAL]
    counts = Counter((each.list_name, each.verdict) for each in tally.verdicts)
    rows = [f"  {'':<12}{'lines':>6}{RIGHT:>11}{MISPLACED:>11}{IDLE:>11}"]
    for name in tally.names:
        share, lines = tally.share(name)
        rows.append(f"  {name:<12}{lines:>6}{share:>11.2f}{counts[name, MISPLACED]:>11}{counts[name, IDLE]:>11}")
    right = sum(each.verdict == RIGHT for each in prose)
    rows.append(f"  prose: {right} of {len(prose)} lines right ({right / max(1, len(prose)):.2f})")
    rows.append(
        f"  kept: {tally.kept} of {tally.marked} statements worth a line ({tally.kept / max(1, tally.marked):.2f})"
    )
    rows.append(
        f"  {len(tally.fragments)} fragments, {len(tally.foreign)} lines with a word that nobody said, "
        f"{tally.characters / max(1, tally.windows):.0f} characters a window, "
        f"{tally.seconds / max(1, tally.spoken) * 1e6:.2f} s CPU per MB"
    )
    return rows


def as_json(half: str, length: int, tally: Tally) -> dict[str, Any]:
    """The same for a program."""
    return {
        "half": half,
        "length": length,
        "precision": {name: dict(zip(("share", "lines"), tally.share(name), strict=True)) for name in tally.names},
        "kept": [tally.kept, tally.marked],
        "fragments": len(tally.fragments),
        "foreign": len(tally.foreign),
    }


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, nargs="+", default=[1500, 6000], help="characters a window may take")
    parser.add_argument("--half", choices=("both", TUNED, HELD_OUT), default="both")
    parser.add_argument("--kind", nargs="+", default=[], help="only sessions of these kinds")
    parser.add_argument("--show", action="store_true", help="list the lines of the tuned half that are not right")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    windows = load_labelled()
    kinds_known = {window.kind for window in windows}
    results = []
    for half in (TUNED, HELD_OUT) if options.half == "both" else (options.half,):
        chosen = [window for window in windows if window.half == half and window.kind in (options.kind or kinds_known)]
        kinds = len({window.kind for window in chosen})
        for length in options.length:
            tally = measure(chosen, length)
            results.append(as_json(half, length, tally))
            if not options.json:
                print(f"{half}, {len(chosen)} windows of {kinds} kinds, {length} characters a window")
                print("\n".join(table(tally)) + "\n")
            if options.show and half == TUNED:
                for each in tally.verdicts:
                    if each.verdict != RIGHT:
                        print(f"{each.verdict:<10}{each.list_name:<12}{each.line}\n{'':<22}< {each.statement.strip()}")
    if options.json:
        print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
