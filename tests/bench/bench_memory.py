"""What a daily memory keeps of long chats between a user and an assistant (`make bench-distill DATA=beam.json`).

A chat is a list of sessions; each is distilled as one window, and all of a chat's lists together may take so many
characters. Three things are asked of what is left:

- *instructions*: of a rule that the user laid down ("Always … when I ask about …"), one line holds most of its words;
- *numbers*: of a question that is asked later and whose answer is a number that a user's turn holds, one line holds
  that number and a word of the question;
- *names*: the same for an answer with a name or an identifier.

Beside it: the share of lines that begin or end in the middle of a sentence (*fragments*), the lines with a word that
nobody said (*foreign*), and the CPU seconds for a megabyte.

The same for the first and last characters of what users and assistants said, and for TextRank (library `summa`) over
what users said: the facts stand there, and over everything it takes an hour. `--quick` asks a quarter of the chats and
leaves TextRank out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lines import foreign, is_fragment

from moon.distill.local_distiller import distill_locally
from moon.distill.turns import USER, Turn
from moon.distillations import LISTS

LENGTHS = (1500, 3000, 6000)
ASKED = frozenset({"information_extraction", "knowledge_update", "temporal_reasoning", "multi_session_reasoning"})
STANDING = frozenset({"instruction_following"})
# A rule is laid down in a turn of its own; longer turns of the evidence are where it was put to use.
LONGEST_RULE = 250
KEPT_WORDS = 0.6
# The distiller was tuned on every other chat; of the rest only totals were looked at.
HALVES = {"tuned": slice(0, None, 2), "held-out": slice(1, None, 2), "all": slice(None)}
QUICK = slice(1, None, 4)
LITERAL = ("commands", "identifiers")
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w.]*\d)")
NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*\b")
WORD = re.compile(r"[A-Za-z]{4,}")
COMMON = frozenset(
    [
        "about",
        "after",
        "always",
        "based",
        "before",
        "between",
        "could",
        "current",
        "days",
        "does",
        "first",
        "from",
        "have",
        "into",
        "know",
        "last",
        "latest",
        "like",
        "long",
        "make",
        "many",
        "mentioned",
        "much",
        "need",
        "over",
        "please",
        "recent",
        "said",
        "should",
        "some",
        "tell",
        "that",
        "their",
        "them",
        "there",
        "they",
        "this",
        "time",
        "under",
        "used",
        "using",
        "want",
        "were",
        "what",
        "when",
        "where",
        "which",
        "with",
        "would",
        "your",
    ]
)
Summarise = Callable[["Chat", int], list[str]]


@dataclass(frozen=True)
class Fact:
    """What must survive: every needle and one of the words in one line."""

    kind: str
    needles: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True)
class Chat:
    """One chat: the turns of each session, and what is asked of it later."""

    name: str
    sessions: tuple[tuple[Turn, ...], ...]
    facts: tuple[Fact, ...]


def words_of(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, cut to six letters so that their forms agree."""
    return frozenset(word[:6] for word in WORD.findall(text.lower()) if word not in COMMON)


def load(path: Path) -> list[Chat]:
    """Read a retrieval set (`../shared/data/README.md` describes its form) as chats."""
    return [_chat(sample) for sample in json.loads(path.read_text("utf-8"))]


def _chat(sample: dict[str, Any]) -> Chat:
    conversation = sample["conversation"]
    names = sorted(
        (name for name in conversation if re.fullmatch(r"session_\d+", name)), key=lambda name: int(name[8:])
    )
    by_id: dict[str, dict[str, Any]] = {}
    sessions = []
    for name in names:
        turns = []
        for turn in conversation[name]:
            role = turn.get("role") or ("user" if turn["speaker"] == conversation["speaker_a"] else "assistant")
            by_id[turn["dia_id"]] = {**turn, "role": role}
            turns.append(Turn(turn["dia_id"], role, turn["text"]))
        sessions.append(tuple(turns))
    facts = tuple(fact for question in sample["qa"] for fact in _facts(question, by_id))
    return Chat(sample["sample_id"], tuple(sessions), facts)


def _facts(question: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> Iterator[Fact]:
    told = [by_id[each] for each in question["evidence"] if each in by_id]
    said = [turn["text"] for turn in told if turn["role"] == "user"]
    kind = question.get("beam_type", "")
    if kind in STANDING:
        rules = [text for text in said if len(text) <= LONGEST_RULE]
        yield from (Fact("instructions", (), words_of(text)) for text in rules[:1])
        return
    if kind not in ASKED:
        return
    answer, words = str(question["answer"]), words_of(question["question"])
    evidence = " ".join(said)
    numbers = tuple(dict.fromkeys(each for each in NUMBER.findall(answer) if _stands(each, evidence)))
    names = tuple(dict.fromkeys(each for each in NAME.findall(answer) if _stands(each, evidence)))
    if numbers:
        yield Fact("numbers", numbers[:1], words)
    elif names:
        yield Fact("names", names[:1], words)


def _stands(needle: str, text: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(needle)}(?![\w]|\.\d)", text) is not None


def survives(fact: Fact, lines: Iterable[str]) -> bool:
    """Does one line keep this fact?"""
    for line in lines:
        if fact.kind == "instructions":
            if len(fact.words & words_of(line)) >= KEPT_WORDS * len(fact.words):
                return True
        elif all(_stands(each, line) for each in fact.needles) and fact.words & words_of(line):
            return True
    return False


def local(chat: Chat, length: int) -> list[str]:
    """The distillations of every session, a line an item; each session has an equal share of the room."""
    share = length // max(1, len(chat.sessions))
    lines: list[str] = []
    for turns in chat.sessions:
        lists = distill_locally(turns, share).texts()
        lines += [text for name in LISTS for text in lists[name]]
    return lines


def lead_and_tail(chat: Chat, length: int) -> list[str]:
    """The first and last characters of each session."""
    share = length // max(1, len(chat.sessions))
    lines: list[str] = []
    for turns in chat.sessions:
        text = "\n".join(turn.text for turn in turns)
        lines += (text[: share // 2] + "\n" + text[-(share // 2) :]).split("\n")
    return lines


def textrank(chat: Chat, length: int) -> list[str]:
    """The most central sentences of what the user said in each session, as many as fit."""
    share = length // max(1, len(chat.sessions))
    lines: list[str] = []
    for turns in chat.sessions:
        room = share
        for sentence in _ranked("\n".join(turn.text for turn in turns if turn.role == USER)):
            if len(sentence) + 1 <= room:
                lines.append(sentence)
                room -= len(sentence) + 1
    return lines


@cache
def _ranked(text: str) -> tuple[str, ...]:
    scored = importlib.import_module("summa.summarizer").summarize(text, ratio=1.0, scores=True, split=True)
    return tuple(sentence for sentence, _ in sorted(scored, key=lambda pair: -pair[1]))


def has_textrank() -> bool:
    """Whether the library is there."""
    try:
        importlib.import_module("summa.summarizer")
    except ImportError:
        return False
    return True


@dataclass
class Quality:
    """What is asked of every line: lines of prose and how many are no whole ones, lines that nobody said, and cost."""

    prose: int = 0
    fragments: int = 0
    foreign: int = 0
    seconds: float = 0.0
    characters: int = 0

    def __str__(self) -> str:
        share = self.fragments / max(1, self.prose)
        cost = self.seconds / max(1, self.characters) * 1e6
        return f"fragments {share:.4f} of {self.prose} lines, foreign {self.foreign}, {cost:.2f} s CPU per MB"


def quality(chats: Iterable[Chat], length: int) -> Quality:
    """Look at every line that the local distiller makes of these chats."""
    found = Quality()
    for chat in chats:
        share = length // max(1, len(chat.sessions))
        for turns in chat.sessions:
            start = time.process_time()
            lists = distill_locally(turns, share).texts()
            found.seconds += time.process_time() - start
            found.characters += sum(len(turn.text) for turn in turns)
            prose = [text for name in LISTS if name not in LITERAL for text in lists[name]]
            found.prose += len(prose)
            found.fragments += sum(is_fragment(line, turns) for line in prose)
            found.foreign += len(foreign((text for texts in lists.values() for text in texts), turns))
    return found


def measure(chats: list[Chat], method: Summarise, length: int) -> dict[str, float]:
    """The shares that survive, by kind, and the characters a chat that it took."""
    kept: dict[str, list[bool]] = {"instructions": [], "numbers": [], "names": []}
    taken = 0
    for chat in chats:
        lines = method(chat, length)
        taken += sum(len(line) + 1 for line in lines)
        for fact in chat.facts:
            kept[fact.kind].append(survives(fact, lines))
    shares = {kind: sum(each) / max(1, len(each)) for kind, each in kept.items()}
    return {**shares, "characters": taken / max(1, len(chats))}


KINDS = ("instructions", "numbers", "names")


def report(chats: list[Chat], methods: dict[str, Summarise], lengths: Iterable[int]) -> Iterator[str]:
    """The table of a set, line by line."""
    counts = {kind: sum(fact.kind == kind for chat in chats for fact in chat.facts) for kind in KINDS}
    yield f"{len(chats)} chats, " + ", ".join(f"{count} {kind}" for kind, count in counts.items())
    for length in lengths:
        for name, method in methods.items():
            row = measure(chats, method, length)
            shares = "".join(f"{kind} {row[kind]:.3f}  " for kind in KINDS)
            yield f"  {length:>6} {name:<12}{shares}{row['characters']:.0f} characters"
        yield f"  {length:>6} {'':<12}{quality(chats, length)}"


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path, help="retrieval sets of long chats")
    parser.add_argument("--length", type=int, nargs="+", default=LENGTHS, help="characters a chat may take")
    parser.add_argument("--half", choices=("tuned", "held-out", "all"), default="all", help="every other chat of a set")
    parser.add_argument("--quick", action="store_true", help="a quarter of the chats, without TextRank")
    parser.add_argument("--show", default="", help="print every line of the chat of this name")
    options = parser.parse_args(arguments)
    methods: dict[str, Summarise] = {"moon local": local, "lead/tail": lead_and_tail}
    if not options.quick and has_textrank():
        methods["TextRank"] = textrank
    for path in options.data:
        chats = load(path)
        chats = chats[QUICK] if options.quick else chats[HALVES[options.half]]
        print(f"{path.name}: ", end="")
        for line in report(chats, methods, options.length):
            print(line, flush=True)
        for chat in chats:
            if chat.name == options.show:
                print("\n".join(local(chat, options.length[-1])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
