"""Text with the word statistics of real text, from a seed: what the benches archive, index and search.

A chain of word pairs from this project's own pages, and between them words from a long tail that gets rarer as in
natural language. Compresses about as well as talk does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
# Pages that are not written by a bench, so that the same seed gives the same text.
PAGES = ("architecture.md", "contracts.md", "distillation.md", "failure_policy.md", "openclaw.md", "recall.md")
SYLLABLES = ("ba", "co", "di", "fu", "ge", "ho", "ki", "lo", "ma", "ne", "pi", "ra", "sto", "tri", "vel", "wex", "yon")
RARE = 0.04
POOL = 4_000_000


class Weaver:
    """Makes texts of any length."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words = [word for name in PAGES for word in (DOCS / name).read_text("utf-8").split()]
        self.after: dict[str, list[str]] = {}
        for word, following in zip(self.words, self.words[1:], strict=False):
            self.after.setdefault(word, []).append(following)

        self._pool = self._woven(POOL)

    def text(self, length: int) -> str:
        """A text of so many characters: a stretch of the pool, so far from its like that no compressor sees both."""
        start = self._pool.index(" ", self.random.randrange(POOL - length - 1_000)) + 1
        return self._pool[start : start + length]

    def _woven(self, length: int) -> str:
        chance, found, size = self.random, [], 0
        word = chance.choice(self.words)
        while size < length:
            if chance.random() < RARE:
                word = "".join(chance.choices(SYLLABLES, k=int(chance.paretovariate(1.2)) % 5 + 2))
            found.append(word)
            size += len(word) + 1
            word = chance.choice(self.after.get(word) or self.words)
        return " ".join(found)[:length]

    def lines(self, session_id: str, size: int, event_bytes: int) -> Iterator[bytes]:
        """A transcript of about `size` bytes, in event lines of about `event_bytes` each."""
        yield json.dumps({"type": "session", "version": 4, "id": session_id}).encode()
        written, before = 0, None
        while written < size:
            own = f"{self.random.getrandbits(32):08x}"
            line = event_line(own, before, self.random.choice(("user", "assistant")), self.text(event_bytes - 210))
            written, before = written + len(line) + 1, own
            yield line


def event_line(own: str, before: str | None, role: str, text: str) -> bytes:
    """A message as OpenClaw stores it."""
    content = [{"type": "text", "text": text}]
    message = {"role": role, "content": content, "timestamp": 1793614500000}
    entry = {"type": "message", "id": own, "parentId": before, "timestamp": "2026-11-02T10:15:00.000Z"}
    return json.dumps({**entry, "message": message}).encode()
