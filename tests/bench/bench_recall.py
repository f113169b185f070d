"""How often recall brings back the right message (`make bench-recall DATA="a.json b.json"`).

Each file is a set of conversations in the form of LoCoMo: sessions of turns, questions with the turns that answer
them; a turn may carry a `role` (user, assistant, toolResult, toolCall). A folder is a set of written conversations
(`written_sets.py`). A set is written as an OpenClaw store, one agent a conversation, and goes through the real
moon-archive and moon-index; each question goes to the real moon-recall as it stands, once within its own agent and
once over all (pooled). Beside it stands plain FTS5 on the same texts in the same run: `porter unicode61`, all words of
the question joined by OR, ordered by `bm25()`.

A hit on a turn means the event of that turn itself; neighbours do not count. A session counts by the order in which the
results first name it. Misses go into a file, to be read by people. The data of others is never part of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.written_sets import read_set

ROOT = Path(__file__).resolve().parents[2]
UNANSWERABLE = 5
LIMIT = 10
SPOKEN_TIME = "%I:%M %p on %d %B, %Y"
TOOL = "exec"
DONE_IN_PART = 3
# Speakers with these names are roles; another name stands before what its bearer says.
NAMELESS = ("user", "assistant")


class Question(NamedTuple):
    """A question, of which kind, whose agent it is about, the events that answer it, and the sessions of those."""

    text: str
    kind: str
    agent: str
    events: frozenset[str]
    sessions: frozenset[str]


class Turn(NamedTuple):
    """One event of a conversation."""

    agent: str
    session: str
    event: str
    role: str
    text: str
    when: datetime


class Found(NamedTuple):
    """One result: an event, the session it stands in, and what was shown of it."""

    event: str
    session: str
    shown: str = ""


def turns(sample: dict[str, Any]) -> Iterator[Turn]:
    """The turns of a conversation in order; those of one session are a second apart."""
    conversation, agent = sample["conversation"], sample["sample_id"]
    for number in sorted(int(name.split("_")[1]) for name in conversation if re.fullmatch(r"session_\d+", name)):
        start = datetime.strptime(conversation[f"session_{number}_date_time"], SPOKEN_TIME)
        for place, turn in enumerate(conversation[f"session_{number}"]):
            yield Turn(
                agent,
                f"{agent}-session-{number}",
                event_of(agent, turn["dia_id"]),
                turn.get("role") or NAMELESS[turn["speaker"] != conversation["speaker_a"]],
                text_of(turn),
                start + timedelta(seconds=place),
            )


def text_of(turn: dict[str, Any]) -> str:
    """What the event of a turn says: its text, behind the name of its speaker and before its picture."""
    is_named = "role" not in turn and turn["speaker"].lower() not in NAMELESS
    name = f"{turn['speaker']}: " if is_named else ""
    picture = f" [image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return f"{name}{turn['text']}{picture}"


def event_of(agent: str, turn_id: str) -> str:
    return f"{agent}-{turn_id.replace(':', '-')}"


def write_store(samples: list[dict[str, Any]], state: Path) -> int:
    """Write each conversation as an agent with JSONL transcripts; returns the number of events."""
    count = 0
    for sample in samples:
        folder = state / "agents" / sample["sample_id"] / "sessions"
        folder.mkdir(parents=True)
        lines: dict[str, list[str]] = {}
        for turn in turns(sample):
            lines.setdefault(turn.session, [header(turn.session, turn.when)]).append(event_line(turn))
            count += 1
        for session, content in lines.items():
            (folder / f"{session}.jsonl").write_text("\n".join(content) + "\n", encoding="utf-8")
        entries = {f"agent:{sample['sample_id']}:{session}": {"sessionId": session} for session in lines}
        (folder / "sessions.json").write_text(json.dumps(entries))
    return count


def header(name: str, when: datetime) -> str:
    return json.dumps({"type": "session", "version": 3, "id": name, "timestamp": f"{when.isoformat()}Z"})


def event_line(turn: Turn) -> str:
    """A turn as OpenClaw writes it."""
    if turn.role == "toolCall":
        arguments = {"command": turn.text}
        message = {"role": "assistant", "content": [{"type": "toolCall", "name": TOOL, "arguments": arguments}]}
    else:
        message = {"role": turn.role, "content": [{"type": "text", "text": turn.text}]}
        if turn.role == "toolResult":
            message["toolName"] = TOOL
    event = {"type": "message", "id": turn.event, "parentId": None, "timestamp": f"{turn.when.isoformat()}Z"}
    return json.dumps({**event, "message": message}, ensure_ascii=False)


def questions(samples: list[dict[str, Any]]) -> list[Question]:
    """Every question that has an answer in some turn."""
    found = []
    for sample in samples:
        session_of = {turn.event: turn.session for turn in turns(sample)}
        for each in sample["qa"]:
            named = [turn for text in each["evidence"] for turn in re.findall(r"D\d+:\d+", text)]
            events = frozenset(event_of(sample["sample_id"], turn) for turn in named) & session_of.keys()
            if each["category"] != UNANSWERABLE and events:
                sessions = frozenset(session_of[event] for event in events)
                kind = str(each.get("beam_type") or each["category"])
                found.append(Question(each["question"], kind, sample["sample_id"], frozenset(events), sessions))
    return found


class Moon:
    """The real executables on a MOON_HOME and a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MOON_", "OPENCLAW_"))},
            "MOON_HOME": str(folder / "home"),
            "OPENCLAW_STATE_DIR": str(folder / "state"),
            "MOON_QMD__ENABLED": "false",
        }

    def run(self, *command: str, given: str = "") -> str:
        """Run an executable; its standard output. Raises when it fails."""
        done = subprocess.run(
            [str(ROOT / "bin" / command[0]), *command[1:]],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == DONE_IN_PART:
            print(f"{command[0]} did only a part: {done.stderr[-500:]}")
        elif done.returncode:
            raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
        return done.stdout

    def ask(self, asked: list[str], *options: str) -> list[list[Found]]:
        """The results for each question."""
        given = "".join(f"{' '.join(text.split())}\n" for text in asked)
        output = self.run("moon-recall", "--queries", "-", "--limit", str(LIMIT), *options, given=given)
        return [
            [Found(each["event_id"], each["session_id"], each["snippet"]) for each in json.loads(line)["results"]]
            for line in output.splitlines()
        ]


class Plain:
    """Plain FTS5 over some turns."""

    def __init__(self, rows: Iterable[Turn]) -> None:
        self.rows = [*rows]
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61')")
        numbered = ((number, row.text) for number, row in enumerate(self.rows))
        self.database.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", numbered)

    def ask(self, asked: list[str]) -> list[list[Found]]:
        """The results for each question."""
        return [self._answer(" OR ".join(f'"{word}"' for word in re.findall(r"\w+", text))) for text in asked]

    def _answer(self, query: str) -> list[Found]:
        sql = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?"
        numbers = [row[0] for row in self.database.execute(sql, (query, LIMIT))]
        return [Found(self.rows[number].event, self.rows[number].session) for number in numbers]


class Figures(NamedTuple):
    """The figures of one question; of many, their means."""

    turn_1: float
    turn_5: float
    turn_10: float
    reciprocal_rank: float
    session_1: float
    session_5: float
    session_strict: float
    empty: float


TITLES = Figures(*("turn@1", "turn@5", "turn@10", "MRR", "session@1", "any@5", "strict@5", "empty"))  # type: ignore[arg-type]


def figures(question: Question, results: list[Found]) -> Figures:
    """How good the results for a question are."""
    place = next((at for at, each in enumerate(results) if each.event in question.events), LIMIT)
    sessions = list(dict.fromkeys(each.session for each in results))[:5]
    return Figures(
        place == 0,
        place < 5,
        place < LIMIT,
        1 / (place + 1) if place < LIMIT else 0.0,
        bool(sessions) and sessions[0] in question.sessions,
        bool(question.sessions & set(sessions)),
        question.sessions <= set(sessions),
        not results,
    )


def mean(measured: list[Figures]) -> Figures:
    return Figures(*(sum(column) / len(measured) for column in zip(*measured, strict=True)))


class Measured(NamedTuple):
    """One question in one scope, as both answered it."""

    scope: str
    question: Question
    ours: Figures
    plain: Figures
    results: list[Found]


def measure(samples: list[dict[str, Any]], folder: Path) -> list[Measured]:
    """Ask every question of a set in both scopes."""
    asked = questions(samples)
    count = write_store(samples, folder / "state")
    moon = Moon(folder)
    moon.run("moon-archive", "--all")
    moon.run("moon-index", "--all")
    print(f"{count} events, {len(asked)} questions")
    measured = []
    for sample in samples:
        mine = [question for question in asked if question.agent == sample["sample_id"]]
        texts = [question.text for question in mine]
        ours = moon.ask(texts, "--agent", sample["sample_id"])
        measured += paired("per agent", mine, ours, Plain(turns(sample)).ask(texts))
    everything = Plain(turn for sample in samples for turn in turns(sample))
    texts = [question.text for question in asked]
    return [*measured, *paired("pooled", asked, moon.ask(texts), everything.ask(texts))]


def paired(scope: str, asked: list[Question], ours: list[list[Found]], plain: list[list[Found]]) -> Iterator[Measured]:
    for question, mine, other in zip(asked, ours, plain, strict=True):
        yield Measured(scope, question, figures(question, mine), figures(question, other), mine)


def report(measured: list[Measured]) -> None:
    """The table of a set: both scopes, then each kind of question and each agent, Moon beside plain FTS5."""
    print(" " * 38 + "".join(f"{title:>10}" for title in TITLES))
    for scope in ("per agent", "pooled"):
        inside = [each for each in measured if each.scope == scope]
        row(scope, inside)
        for kind in sorted({each.question.kind for each in inside}):
            row(f"  {kind}", [each for each in inside if each.question.kind == kind])
        if scope == "per agent":
            for agent in sorted({each.question.agent for each in inside}):
                row(f"  {agent}", [each for each in inside if each.question.agent == agent])


def row(title: str, measured: list[Measured]) -> None:
    ours, plain = mean([each.ours for each in measured]), mean([each.plain for each in measured])
    head = f"{title[:24]:<24} {len(measured):>4}"
    print(f"{head} Moon    " + "".join(f"{value:>10.3f}" for value in ours))
    print(f"{'':29} bm25()  " + "".join(f"{value:>10.3f}" for value in plain))


def leads(name: str, measured: list[Measured]) -> Iterator[tuple[float, str]]:
    """How far Moon is above plain FTS5, and where, for each scope and column."""
    for scope in ("per agent", "pooled"):
        inside = [each for each in measured if each.scope == scope]
        ours, plain = mean([each.ours for each in inside]), mean([each.plain for each in inside])
        for column, title in enumerate(TITLES[:-1]):
            yield ours[column] - plain[column], f"{name}, {scope}, {title}"


def misses(name: str, measured: list[Measured]) -> Iterator[dict[str, Any]]:
    """Questions whose turn is not among the results."""
    for each in measured:
        if not each.ours.turn_10:
            yield {
                "set": name,
                "scope": each.scope,
                "kind": each.question.kind,
                "question": each.question.text,
                "expected": sorted(each.question.events),
                "first": [f"{result.event}: {result.shown}" for result in each.results[:3]],
            }


def load(path: Path) -> list[dict[str, Any]]:
    """The conversations of a file, or of a folder of written ones."""
    if path.is_dir():
        return read_set(path)
    samples: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return samples


def bench(paths: list[Path], misses_path: Path) -> None:
    """Measure each set, print its table, write the misses; the last line is the smallest lead."""
    smallest: list[tuple[float, str]] = []
    missed: list[dict[str, Any]] = []
    for path in paths:
        print(f"\n{path.stem}: ", end="", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(load(path), Path(folder))
        report(measured)
        smallest += leads(path.stem, measured)
        missed += misses(path.stem, measured)
    misses_path.parent.mkdir(parents=True, exist_ok=True)
    misses_path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in missed), encoding="utf-8")
    print(f"\n{len(missed)} questions without their turn among the first {LIMIT}: {misses_path}")
    lead, where = min(smallest)
    print(f"smallest lead over bm25(): {lead:+.3f} ({where})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", help="sets of conversations in LoCoMo's form")
    parser.add_argument("--misses", type=Path, default=ROOT / ".cache" / "bench" / "recall-misses.jsonl")
    options = parser.parse_args()
    paths = options.data or os.environ.get("DATA", "").split()
    if not paths:
        print('bench-recall: say which data: make bench-recall DATA="a.json b.json"', file=sys.stderr)
        return 2
    bench([Path(each) for each in paths], options.misses)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
