"""Sentence vectors for the rows of the index, the newest first, as many as a run has time for.

What is made is kept at once, so that the next run goes on. Vectors of rows that are gone go, those of a text that has
another row now stay with it, and another model begins anew. No failure of this touches anything else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from moon import audit
from moon.config import Config
from moon.errors import MoonError
from moon.fulltext import TextIndex
from moon.fulltext.vectors import (
    Vectors,
    VectorsDamaged,
    VectorsMissing,
    append,
    begin,
    keep_only,
    remove,
    texts_of,
)
from moon.model.embedding import open_embedder, understands
from moon.output import say
from moon.paths import Home
from moon.redact import Redactor

if TYPE_CHECKING:
    from moon.documents import VectorsOutcome

BATCH = 32
# Of so many of the newest rows, what people and agents say comes before calls and results of tools.
WINDOW = 2048
TOOLS = ("toolCall", "toolResult")


def update_vectors(home: Home, config: Config, index: TextIndex, cycle_id: str = "") -> VectorsOutcome:
    """Bring the vectors up to date; the `vectors` field of the station's record. A change and a failure are audited."""
    if config.recall.semantic.source == "off":
        gone = remove(home.vectors)
        return {"outcome": "off", "reason": "recall.semantic.source is off" + (": vectors removed" if gone else "")}
    making = _Making(home, config, index)
    try:
        making.run()
        result = making.result("done" if making.has_changed else "nothing")
    except MoonError as error:
        result = {**making.result("failed"), "reason": error.message, "hint": error.hint}
        say(f"moon-index: no sentence vectors: {error.message}; recall goes by words", f"hint: {error.hint}")
    if result["outcome"] != "nothing":
        audit.record(home, "vectors", result["outcome"], cycle_id=cycle_id, reason=result.get("reason", ""))
    return result


class _Making:
    """One run."""

    def __init__(self, home: Home, config: Config, index: TextIndex) -> None:
        self.path = home.vectors
        self.settings = config.recall.semantic
        self.config = config
        self.index = index
        self.made = self.removed = self.present = self.rows = 0
        self.dimensions = 0
        self.has_changed = False

    def result(self, outcome: str) -> VectorsOutcome:
        numbers = {"vectors": self.present, "rows": self.rows, "made": self.made, "removed": self.removed}
        return {"outcome": outcome, **numbers}  # type: ignore[typeddict-item]

    def run(self) -> None:
        """Take out what is gone, then make what is missing until time is over. Raises `MoonError`."""
        deadline = time.monotonic() + self.settings.budget_seconds
        texts = texts_of(self.index)
        self.rows = len(texts)
        redactor = Redactor.from_config(self.config.redact)
        self.embedder = open_embedder(self.settings, lambda text: redactor.redact(text).text)
        kept = self._kept(texts)
        missing = [row for row in texts if row not in kept]
        for batch in self._batches(missing):
            if time.monotonic() >= deadline:
                break
            self._make(batch, texts)

    def _kept(self, texts: dict[int, int]) -> dict[int, int]:
        """Row → digest of what is there and still good."""
        try:
            vectors = Vectors(self.path)
            vectors.check()
            if vectors.model != self.embedder.name:
                raise VectorsMissing("another model made the vectors")
            self.removed = keep_only(vectors, texts)
            self.has_changed = self.removed > 0
            vectors = Vectors(self.path)
        except (VectorsMissing, VectorsDamaged):
            remove(self.path)
            return {}
        self.dimensions, self.present = vectors.dimensions, vectors.made
        return vectors.kept()

    def _batches(self, missing: list[int]) -> Iterator[list[int]]:
        for start in range(0, len(missing), WINDOW):
            window = missing[start : start + WINDOW]
            shapes = self.index.shapes(window)
            window.sort(key=lambda row: shapes[row].role in TOOLS if row in shapes else True)
            yield from (window[at : at + BATCH] for at in range(0, len(window), BATCH))

    def _make(self, batch: list[int], texts: dict[int, int]) -> None:
        import numpy as np

        rows = [row for row in self.index.rows(batch) if row.id in texts]
        wanted = [row for row in rows if understands(self.settings, row.language)]
        # A file of vectors begins with how many numbers each has, so a batch without any asks for one.
        found = self.embedder.embed([row.text for row in wanted] or ["."])
        if found.shape[1] != self.dimensions:
            begin(self.path, self.embedder.name, found.shape[1])
            self.dimensions, self.present = found.shape[1], 0
        vectors = np.zeros((len(rows), self.dimensions), "float32")
        at = {row.id: place for place, row in enumerate(rows)}
        for row, vector in zip(wanted, found, strict=False):
            vectors[at[row.id]] = vector
        append(self.path, self.dimensions, {row.id: texts[row.id] for row in rows}, vectors)
        self.has_changed = True
        self.made += len(wanted)
        self.present += len(wanted)
