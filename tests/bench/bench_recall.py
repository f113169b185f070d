"""How often recall brings back the right message (`make bench-recall DATA=conversations.json`).

The conversations (in the form of LoCoMo: sessions of turns, questions with the turns that answer them) are written as
an OpenClaw store, go through the real moon-archive and moon-index, and each question goes to the real moon-recall as it
stands, once over all agents (pooled) and once within its own agent. Misses go into a file, to be read by people.

A hit on a turn means the event of that turn itself; neighbours do not count. A session counts by the order in which
the results first name it. The data itself is never part of this repository.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UNANSWERABLE = 5
LIMIT = 10
SPOKEN_TIME = "%I:%M %p on %d %B, %Y"


@dataclass(frozen=True)
class Question:
    """A question, whose agent it is about, the events that answer it, and the sessions of those."""

    text: str
    agent: str
    events: frozenset[str]
    sessions: frozenset[str]


def turns(sample: dict[str, Any]) -> Iterator[tuple[int, datetime, dict[str, Any]]]:
    """(session number, time, turn) in order; the turns of a session are a second apart."""
    conversation = sample["conversation"]
    numbers = sorted(int(name.split("_")[1]) for name in conversation if re.fullmatch(r"session_\d+", name))
    for number in numbers:
        when = datetime.strptime(conversation[f"session_{number}_date_time"], SPOKEN_TIME)
        for place, turn in enumerate(conversation[f"session_{number}"]):
            yield number, when + timedelta(seconds=place), turn


def session_id(sample: dict[str, Any], number: int) -> str:
    return f"{sample['sample_id']}-session-{number}"


def event_of(sample: dict[str, Any], turn_id: str) -> str:
    return f"{sample['sample_id']}-{turn_id.replace(':', '-')}"


def write_store(samples: list[dict[str, Any]], state: Path) -> int:
    """Write each conversation as an agent with JSONL transcripts; returns the number of messages."""
    count = 0
    for sample in samples:
        folder = state / "agents" / sample["sample_id"] / "sessions"
        folder.mkdir(parents=True)
        lines: dict[int, list[str]] = {}
        for number, when, turn in turns(sample):
            lines.setdefault(number, [header(session_id(sample, number), when)]).append(message(sample, when, turn))
            count += 1
        for number, content in lines.items():
            (folder / f"{session_id(sample, number)}.jsonl").write_text("\n".join(content) + "\n", encoding="utf-8")
        entries = {f"agent:{sample['sample_id']}:s{n}": {"sessionId": session_id(sample, n)} for n in lines}
        (folder / "sessions.json").write_text(json.dumps(entries))
    return count


def header(name: str, when: datetime) -> str:
    return json.dumps({"type": "session", "version": 3, "id": name, "timestamp": f"{when.isoformat()}Z"})


def message(sample: dict[str, Any], when: datetime, turn: dict[str, Any]) -> str:
    """The event of a turn, dated by its session."""
    role = "user" if turn["speaker"] == sample["conversation"]["speaker_a"] else "assistant"
    caption = f" [image: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    text = f"{turn['speaker']}: {turn['text']}{caption}"
    event = {
        "type": "message",
        "id": event_of(sample, turn["dia_id"]),
        "parentId": None,
        "timestamp": f"{when.isoformat()}Z",
        "message": {"role": role, "content": [{"type": "text", "text": text}]},
    }
    return json.dumps(event, ensure_ascii=False)


def questions(samples: list[dict[str, Any]]) -> list[Question]:
    """Every question that has an answer in some turn."""
    found = []
    for sample in samples:
        session_of = {turn["dia_id"]: session_id(sample, number) for number, _, turn in turns(sample)}
        for each in sample["qa"]:
            named = [turn for text in each["evidence"] for turn in re.findall(r"D\d+:\d+", text)]
            evidence = [turn for turn in named if turn in session_of]
            if each["category"] != UNANSWERABLE and evidence:
                events = frozenset(event_of(sample, turn) for turn in evidence)
                sessions = frozenset(session_of[turn] for turn in evidence)
                found.append(Question(each["question"], sample["sample_id"], events, sessions))
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
        if done.returncode:
            raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}")
        return done.stdout

    def ask(self, asked: list[str], *options: str) -> list[dict[str, Any]]:
        """One answer for each question."""
        given = "".join(f"{text}\n" for text in asked)
        output = self.run("moon-recall", "--queries", "-", "--limit", str(LIMIT), *options, given=given)
        return [json.loads(line) for line in output.splitlines()]


METRICS = (
    "session hit@1",
    "session any@5",
    "session strict@5",
    "turn any@1",
    "turn any@5",
    "turn any@10",
    "MRR",
    "empty",
)


def measure(question: Question, results: list[dict[str, Any]]) -> dict[str, float]:
    """The metrics of one question."""
    events = [result["event_id"] for result in results]
    sessions = list(dict.fromkeys(result["session_id"] for result in results))[:5]
    place = next((at for at, event in enumerate(events) if event in question.events), None)
    return {
        "session hit@1": bool(sessions) and sessions[0] in question.sessions,
        "session any@5": bool(question.sessions & set(sessions)),
        "session strict@5": question.sessions <= set(sessions),
        "turn any@1": place == 0,
        "turn any@5": place is not None and place < 5,
        "turn any@10": place is not None and place < 10,
        "MRR": 0.0 if place is None else 1 / (place + 1),
        "empty": not results,
    }


def report(title: str, measured: list[dict[str, float]]) -> None:
    row = "  ".join(f"{sum(each[name] for each in measured) / len(measured):.3f}".rjust(len(name)) for name in METRICS)
    print(f"{title:<22}  {row}")


def bench(samples: list[dict[str, Any]], misses: Path) -> None:
    """Measure both ways, print the table, write the misses."""
    asked = questions(samples)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write_store(samples, folder / "state")
        moon = Moon(folder)
        moon.run("moon-archive", "--all")
        moon.run("moon-index", "--all")
        print(f"{count} messages, {len(asked)} questions\n")
        print(" " * 24 + "  ".join(METRICS))
        missed: list[dict[str, Any]] = []
        scoped: list[dict[str, float]] = []
        for agent in dict.fromkeys(question.agent for question in asked):
            mine = [question for question in asked if question.agent == agent]
            measured = score(mine, moon.ask([question.text for question in mine], "--agent", agent), "agent", missed)
            report(f"agent {agent}", measured)
            scoped += measured
        report("per agent, all", scoped)
        report("pooled", score(asked, moon.ask([question.text for question in asked]), "pooled", missed))
    misses.parent.mkdir(parents=True, exist_ok=True)
    misses.write_text("".join(json.dumps(miss, ensure_ascii=False) + "\n" for miss in missed), encoding="utf-8")
    print(f"\n{len(missed)} questions without their turn among the first {LIMIT}: {misses}")


def score(
    asked: list[Question], answers: list[dict[str, Any]], way: str, missed: list[dict[str, Any]]
) -> list[dict[str, float]]:
    measured = []
    for question, answer in zip(asked, answers, strict=True):
        found = measure(question, answer["results"])
        measured.append(found)
        if not found["turn any@10"]:
            first = [f"{each['event_id']}: {each['snippet']}" for each in answer["results"][:3]]
            expected = sorted(question.events)
            missed.append(
                {"way": way, "agent": question.agent, "question": question.text, "expected": expected, "first": first}
            )
    return measured


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default=os.environ.get("DATA", ""), help="conversations in LoCoMo's form")
    parser.add_argument("--misses", type=Path, default=ROOT / ".cache" / "bench" / "recall-misses.jsonl")
    options = parser.parse_args()
    if not options.data:
        print("bench-recall: say which data: make bench-recall DATA=conversations.json", file=sys.stderr)
        return 2
    bench(json.loads(Path(options.data).read_text(encoding="utf-8")), options.misses)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
