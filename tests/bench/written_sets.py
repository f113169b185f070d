"""Sets of conversations written for Moon, in a form that people can read and write (`sets/README.md`).

`@agent` and `@session` lines say who and when; `U`, `A`, `C` and `R` begin what the user says, the agent says, a tool
is called with and a tool shows, further lines belong to it; a name in brackets is what a question's answer is called by
(`Q kind | question | names`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROLES = {"U": "user", "A": "assistant", "C": "toolCall", "R": "toolResult"}
_TURN = re.compile(r"([UACR])(?:\[([^\]]+)\])?: ?(.*)")


class _Reading:
    """One file on its way to the form of LoCoMo."""

    def __init__(self) -> None:
        self.agent = ""
        self.conversation: dict[str, Any] = {"speaker_a": "user", "speaker_b": "assistant"}
        self.questions: list[dict[str, Any]] = []
        self._named: dict[str, str] = {}
        self._session = 0
        self._turns: list[dict[str, str]] = []

    def take(self, line: str) -> None:
        found = _TURN.fullmatch(line)
        if line.startswith("@agent "):
            self.agent = line.split()[1]
        elif line.startswith("@session "):
            self._session += 1
            self._turns = self.conversation[f"session_{self._session}"] = []
            self.conversation[f"session_{self._session}_date_time"] = line.removeprefix("@session ")
        elif line.startswith("Q "):
            kind, question, names = line.removeprefix("Q ").split(" | ")
            evidence = [self._named[name] for name in names.split()]
            self.questions.append({"question": question, "answer": "", "evidence": evidence, "category": kind})
        elif found:
            self._say(*found.groups())
        else:
            self._turns[-1]["text"] += f"\n{line}"

    def _say(self, letter: str, name: str | None, text: str) -> None:
        speaker = "user" if letter == "U" else "assistant"
        turn_id = f"D{self._session}:{len(self._turns) + 1}"
        text = text or "(nothing)"
        self._turns.append({"speaker": speaker, "role": ROLES[letter], "dia_id": turn_id, "text": text})
        if name:
            self._named[name] = turn_id


def read_set(folder: Path) -> list[dict[str, Any]]:
    """The conversations of a folder, one a file, with their questions."""
    samples = []
    for path in sorted(folder.glob("*.txt")):
        reading = _Reading()
        for line in path.read_text(encoding="utf-8").splitlines():
            reading.take(line)
        samples.append({"sample_id": reading.agent, "conversation": reading.conversation, "qa": reading.questions})
    return samples
