"""A conversation with the real OpenClaw, and a memory of every event that it ever left in the store."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.harness import OpenClaw
from tests.e2e.loopback_model import Answer, LoopbackModel

BUDGET = 48_000
# Before 2026.9 OpenClaw kept 20,000 tokens free of any window.
EARLIER_BUDGET = 44_000
# Up to here a session fills by its real size.
NATURAL = 0.7
REST_SECONDS = 120.0
WORDS = [
    "mast",
    "relay",
    "cable",
    "panel",
    "sensor",
    "battery",
    "fuse",
    "bracket",
    "anchor",
    "gauge",
    "heater",
    "housing",
    "filter",
    "valve",
    "ladder",
]


@dataclass
class Talk:
    """One session that a test talks in; remembers every event that it ever saw in the store."""

    openclaw: OpenClaw
    model: LoopbackModel
    key: str
    budget: int = BUDGET
    natural: float = NATURAL
    seen: set[bytes] = field(default_factory=set)

    @property
    def agent(self) -> str:
        """The session's agent."""
        return self.key.split(":")[1]

    @property
    def session_id(self) -> str:
        """The session's id now."""
        found: str = self.openclaw.entry(self.key)["sessionId"]
        return found

    @property
    def ratio(self) -> float:
        """Used tokens over prompt budget, as OpenClaw has them."""
        return (self.openclaw.entry(self.key).get("totalTokens") or 0) / self.budget

    def lines(self) -> list[bytes]:
        """Every event of the session in the store now; they are remembered too."""
        lines = self.openclaw.event_lines(self.session_id, self.agent)
        self.seen.update(lines)
        return lines

    def types(self) -> list[str]:
        """The types of the events in the store now."""
        return [type_of(line) for line in self.lines()]

    def say(self, text: str, *answers: Answer) -> None:
        """One turn."""
        self.model.script(*answers)
        self.openclaw.turn(text, self.key)
        self.lines()

    def fill_to(self, ratio: float) -> None:
        """Talk until so much of the prompt budget is used: long messages first, then a turn that lands exactly there.

        OpenClaw's own estimate stays well below its budget, so it does not compact before Moon had its turn.
        """
        if not self.seen:
            self.say("Good morning. Here come the notes of the season, one after the other.")
        while self.ratio < min(ratio, self.natural):
            missing = round((min(ratio, self.natural) - self.ratio) * self.budget) + 60
            self.say(f"Note {len(self.seen)}: " + filler(self.key, min(missing * 4, 110_000)))
        if self.ratio < ratio:
            self.say("That was all.", Answer(text="Thank you.", prompt_tokens=round(ratio * self.budget) + 60))
        self.rest()

    def rest(self) -> None:
        """Wait until no run of this session is active."""
        rest([self])

    def delete(self) -> None:
        """Delete the session, as a user can."""
        if self.openclaw.query("SELECT 1 FROM session_nodes WHERE session_key = ?", self.key, agent=self.agent):
            deleted = self.openclaw.run("sessions", "delete", self.key, "--yes", "--json")
            assert deleted.code == 0, deleted.stdout + deleted.stderr

    def requests_since(self, start: int) -> list[dict[str, Any]]:
        """The model requests of this session after the first `start` of all requests."""
        return [body for body in self.model.requests()[start:] if f"session={self.key}" in str(body["messages"])]


def rest(talks: Sequence[Talk]) -> None:
    """Wait until no run is active: a command that spoke ends before its run, much before it on a busy machine."""
    until = time.monotonic() + REST_SECONDS
    while running := _running(talks):
        assert time.monotonic() < until, f"runs do not end: {running}"
    for talk in talks:
        talk.lines()


def _running(talks: Sequence[Talk]) -> set[str]:
    """The sessions among these that have an active run."""
    search = os.path.commonprefix([talk.key for talk in talks])
    rows = talks[0].openclaw.call("sessions.list", {"search": search})["sessions"]
    return {row["key"] for row in rows if row["hasActiveRun"]} & {talk.key for talk in talks}


def filler(seed: str, length: int) -> str:
    """Plausible words that do not repeat."""
    dice = random.Random(f"{seed}{length}")
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(f"{dice.choice(WORDS)}-{dice.randrange(10_000)}")
    return " ".join(words)


def type_of(line: bytes) -> str:
    """The `type` of an event line."""
    found: str = json.loads(line)["type"]
    return found
