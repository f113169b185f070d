"""What rows mean: how near the vector of a row, and of what it stands in, is to the vector of the question.

numpy and the model are loaded only when somebody has configured a source and there are vectors. Cosines of different
models lie in different ranges, so what counts is by how many standard deviations one is above the mean of all rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moon.config import Config
from moon.fulltext import Filters, TextIndex
from moon.fulltext.index_database import EPISODE_SHIFT
from moon.fulltext.languages import guess
from moon.fulltext.vectors import Vectors, VectorsMissing, damaged, unsigned
from moon.model.embedding import open_embedder, understands
from moon.paths import Home

if TYPE_CHECKING:
    from moon.model.embedding import Embedder

# Logarithm of odds for a standard deviation: of the row alone, and of it with the two rows before.
OWN = 0.2
TOGETHER = 0.2
BEFORE = 2
# So many rows are looked at for their meaning alone, if they are at least so far above the mean.
NEAREST = 40
LEAST = 2.0
# Numbers from less say little.
FEWEST_ROWS = 8


class Likeness:
    """How like one question rows are. `nearest`: the most alike, which need not have any of its words."""

    def __init__(self, vectors: Vectors, question: Any, rows: Any, cosines: Any, *, only_found: bool) -> None:
        self.vectors = vectors
        self.question = question
        self.mean, self.deviation = float(cosines.mean()), max(float(cosines.std()), 1e-6)
        order = (-cosines).argsort(kind="stable")[:NEAREST]
        far = [int(rows[at]) for at in order if cosines[at] >= self.mean + LEAST * self.deviation]
        self.nearest: tuple[int, ...] = () if only_found else tuple(far)
        self._worth: dict[int, float] = {}
        self._usual = 0.0

    def look_at(self, digests: dict[int, int]) -> None:
        """Work out what these rows (→ digest of their text) are worth. A row without a vector, or with one of another
        text, is worth the mean of the others.
        """
        import numpy as np

        rows = [*digests]
        own, written = self.vectors.of(rows)
        together = own.copy()
        for back in range(1, BEFORE + 1):
            others = [row - back if row >> EPISODE_SHIFT == row - back >> EPISODE_SHIFT else -1 for row in rows]
            together += self.vectors.of(others)[0]
        lengths = np.linalg.norm(together, axis=1)
        cosines = together @ self.question / np.where(lengths > 0, lengths, 1)
        worth = OWN * (own @ self.question - self.mean) + TOGETHER * (cosines - self.mean)
        is_known = (written == np.array([unsigned(digest) for digest in digests.values()], "int64")) & own.any(axis=1)
        found = {row: float(each) / self.deviation for row, each in zip(rows, worth, strict=True)}
        known = {row: found[row] for row, is_so in zip(rows, is_known, strict=True) if is_so}
        self._usual = self._usual or sum(known.values()) / max(1, len(known))
        self._worth |= {row: known.get(row, self._usual) for row in rows}

    def worth(self, row: int) -> float:
        """What a row's meaning adds to its score."""
        return self._worth.get(row, self._usual)


class Meaning:
    """A model and the vectors that it made, for many questions. Raises `VectorsUnusable`, `ModelFailed`."""

    def __init__(self, home: Home, config: Config) -> None:
        self.settings = config.recall.semantic
        self.path = home.vectors
        self._config = config
        self._seen: tuple[int, int] | None = None
        self._vectors = self._read()
        self.embedder: Embedder = open_embedder(self.settings, self._redacted)

    def likeness(self, index: TextIndex, text: str, filters: Filters, only_found: bool) -> Likeness | None:
        """How like this question the rows in scope are; None where there is nothing to compare."""
        if not understands(self.settings, guess(text)):
            return None
        vectors = self._read()
        if vectors.model != self.embedder.name:
            raise _made_by_another()
        low, high = index.row_range(filters)
        question = self.embedder.embed([text], question=True)[0]
        if len(question) != vectors.dimensions:
            raise _made_by_another()
        length = float((question * question).sum() ** 0.5)
        rows, cosines = vectors.likeness(question / (length or 1.0), low, high)
        if len(rows) < FEWEST_ROWS:
            return None
        found = Likeness(vectors, question / (length or 1.0), rows, cosines, only_found=only_found)
        known = index.shapes(found.nearest)
        found.nearest = tuple(row for row in found.nearest if row in known)
        return found

    def _read(self) -> Vectors:
        """The vectors, mapped again when the file has changed."""
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            raise VectorsMissing("no vectors yet", path=str(self.path), hint="`moon-index --all` makes them") from error
        except OSError as error:
            raise damaged(self.path, str(error.strerror)) from error
        if self._seen != (found.st_ino, found.st_size):
            self._seen = (found.st_ino, found.st_size)
            self._vectors = Vectors(self.path)
        return self._vectors

    def _redacted(self, text: str) -> str:
        from moon.redact import Redactor

        return Redactor.from_config(self._config.redact).redact(text).text


def _made_by_another() -> VectorsMissing:
    return VectorsMissing("another model made the vectors", hint="`moon-index --all` makes them anew")
