"""How much of what matters survives the local distiller, beside a plain cut and TextRank (`make bench-distill`).

Facts are planted in the sessions of `planted/`: decisions, rules, open tasks, identifiers, commands, milestones. A fact
survives when all of its needles stand in one line of the summary. Every method gets the same number of characters; the
two baselines are spared the tools' output, which the distiller has to see through itself. Of sessions marked
`held-out` only totals were looked at while the distiller was tuned, never what was missed; `recorded` are sessions of
the real OpenClaw (`tests/recorded`), with what they hold listed in `recorded.json`.

TextRank comes from the library `summa`; without it that column is left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moon.distill.local_distiller import distill_locally
from moon.distill.turns import Turn, turns_of
from moon.distillations import LISTS
from moon.openclaw import events

PLANTED = Path(__file__).with_name("planted")
RECORDED = Path(__file__).parents[1] / "recorded" / "jsonl"
SPLITS = ("tuned", "held-out", "recorded")
LANGUAGES = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "ru": "russian"}
KINDS = ("decision", "rule", "task", "milestone", "identifier", "command")
Summarise = Callable[["Session", int], str]


@dataclass(frozen=True)
class Session:
    """A session with planted facts."""

    name: str
    language: str
    split: str
    turns: tuple[Turn, ...]
    facts: tuple[dict[str, Any], ...]

    @property
    def dialogue(self) -> str:
        """What was said and called, without the tools' output."""
        return "\n".join(turn.text for turn in self.turns if turn.role != "result")


def load(path: Path, asides: dict[str, list[list[str]]]) -> Session:
    """Read a planted session and let its people stray from the subject now and then, as they do."""
    data = json.loads(path.read_text("utf-8"))
    said = list(_with_asides(data["turns"], asides[data["language"]], sum(path.stem.encode())))
    turns = tuple(
        Turn(f"e{number:03d}", turn["role"], _padded(turn), "exec" if turn["role"] == "call" else "")
        for number, turn in enumerate(said)
    )
    return Session(data["name"], data["language"], data["split"], turns, tuple(data["facts"]))


def load_recorded() -> list[Session]:
    """The recorded sessions of which it is known what they hold."""
    found = []
    for session_id, facts in json.loads((PLANTED / "recorded.json").read_text("utf-8")).items():
        (path,) = RECORDED.glob(f"agents/*/sessions/{session_id}.jsonl")
        lines = path.read_bytes().splitlines()
        turns = tuple(turns_of(event for event in map(events.parse, lines) if event is not None))
        found.append(Session(session_id[:8], "en", "recorded", turns, tuple(facts)))
    return found


def load_all() -> list[Session]:
    """Every session with known facts."""
    asides = json.loads((PLANTED / "asides.json").read_text("utf-8"))
    written = [load(path, asides) for path in sorted((PLANTED / "sessions").glob("*.json"))]
    return written + load_recorded()


def _with_asides(turns: list[dict[str, Any]], asides: list[list[str]], start: int) -> Iterator[dict[str, Any]]:
    """After every second answer to a person, one question about something else and its answer; each aside once."""
    answers = used = 0
    for number, turn in enumerate(turns):
        yield turn
        answers += turn["role"] == "assistant"
        asks_next = number + 1 < len(turns) and turns[number + 1]["role"] == "user"
        if turn["role"] == "assistant" and asks_next and answers % 2 == 0 and used < len(asides):
            question, answer = asides[(start + used) % len(asides)]
            used += 1
            yield {"role": "user", "text": question}
            yield {"role": "assistant", "text": answer}


def _padded(turn: dict[str, Any]) -> str:
    """A result's `padding` is a line repeated with a running number, as logs are."""
    padding = turn.get("padding", {"times": 0, "line": ""})
    lines = [padding["line"].replace("{n}", str(number)) for number in range(padding["times"])]
    return "\n".join([*lines, turn["text"]])


def survives(fact: dict[str, Any], summary: str) -> bool:
    """Whether one line of the summary holds all needles of a fact."""
    needles = [" ".join(needle.split()).casefold() for needle in fact["needles"]]
    return any(all(needle in line for needle in needles) for line in summary.casefold().splitlines())


def local(session: Session, length: int) -> str:
    """The distillation's lists, a line an item."""
    lists = distill_locally(session.turns, length).texts()
    return "\n".join(text for name in LISTS for text in lists[name])


def lead_and_tail(session: Session, length: int) -> str:
    """The first and the last half of the characters."""
    text = session.dialogue
    return text if len(text) <= length else text[: length // 2] + "\n" + text[-length // 2 :]


def textrank() -> Summarise | None:
    """TextRank as `summa` does it, as many of its best sentences as fit; None without that library."""
    try:
        summarizer = importlib.import_module("summa.summarizer")
    except ImportError:
        return None

    def summarise(session: Session, length: int) -> str:
        language = LANGUAGES.get(session.language, "english")
        scored = summarizer.summarize(session.dialogue, ratio=1.0, language=language, scores=True, split=True)
        taken, room = [], length
        for sentence, _ in sorted(scored, key=lambda pair: -pair[1]):
            if len(sentence) + 1 <= room:
                taken.append(sentence)
                room -= len(sentence) + 1
        return "\n".join(taken)

    return summarise


def measure(sessions: Iterable[Session], methods: dict[str, Summarise], length: int) -> dict[str, dict[str, float]]:
    """Share of surviving facts by method and kind of fact, and over all kinds."""
    hits: dict[str, dict[str, list[bool]]] = {name: {kind: [] for kind in KINDS} for name in methods}
    for session in sessions:
        for name, summarise in methods.items():
            summary = summarise(session, length)
            if len(summary) > length * 1.05:
                raise AssertionError(f"{name} took {len(summary)} of {length} characters for {session.name}")
            for fact in session.facts:
                hits[name][fact["kind"]].append(survives(fact, summary))
    return {name: {**_shares(by_kind), "all": _share(sum(by_kind.values(), []))} for name, by_kind in hits.items()}


def _shares(by_kind: dict[str, list[bool]]) -> dict[str, float]:
    return {kind: _share(values) for kind, values in by_kind.items()}


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0


def missed(sessions: Iterable[Session], length: int) -> list[str]:
    """The facts that the distiller lost, for tuning."""
    lost = []
    for session in sessions:
        summary = local(session, length)
        lost += [
            f"{session.name}: {fact['kind']} {fact['needles']}" for fact in session.facts if not survives(fact, summary)
        ]
    return lost


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, nargs="+", default=[800, 1200], help="characters a summary may take")
    parser.add_argument("--split", choices=("all", *SPLITS), default="all")
    parser.add_argument("--missed", action="store_true", help="list what the distiller lost")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    sessions = load_all()
    methods: dict[str, Summarise] = {"moon local": local, "lead/tail": lead_and_tail}
    ranked = textrank()
    if ranked is not None:
        methods["TextRank"] = ranked
    splits = SPLITS if options.split == "all" else (options.split,)
    results = []
    for split in splits:
        chosen = [session for session in sessions if session.split == split]
        for length in options.length:
            shares = measure(chosen, methods, length)
            results.append({"split": split, "sessions": len(chosen), "length": length, "shares": shares})
            if options.missed:
                print("\n".join(missed(chosen, length)), file=sys.stderr)
    print(json.dumps(results, indent=1) if options.json else _table(results))
    return 0


def _table(results: list[dict[str, Any]]) -> str:
    lines = []
    for result in results:
        lines.append(f"{result['split']}, {result['sessions']} sessions, {result['length']} characters a session")
        lines.append(f"  {'':<12}" + "".join(f"{kind:>12}" for kind in ("all", *KINDS)))
        for name, shares in result["shares"].items():
            lines.append(f"  {name:<12}" + "".join(f"{shares[kind]:>11.0%} " for kind in ("all", *KINDS)))
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "lib"))
    raise SystemExit(main(sys.argv[1:]))
