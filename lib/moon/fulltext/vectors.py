"""The file `index/vectors.bin`: a vector for each row of the index that has one, in a byte a dimension.

A header of `HEADER` bytes (JSON), then one record after the other: the number of the row, the digest of its text, what
the vector has to be multiplied with, a checksum, and the vector. Readers map the file into memory; the one writer
(`moon-index`, under the cycle lock) appends, or writes all of it anew. A record that was cut short by a crash counts as
not there. A row whose text is not worth a vector has one of zeros, so that nobody asks again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from moon.errors import MoonError
from moon.files import atomic_writer, unusable, write_all
from moon.fulltext.index_database import translated

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moon.fulltext.index_reader import TextIndex

SCHEMA = "moon.vectors/1"
HEADER = 512
MOST_DIMENSIONS = 8192
LEVELS = 127
# Rows that are compared at once: their numbers take some 25 MB.
BLOCK = 16_384
CHECKSUM = 4
# Checksum, digest, row and scale of a record.
BEFORE_VECTOR = 20


class VectorsUnusable(MoonError):
    """The vectors cannot be used; words alone can."""


class VectorsMissing(VectorsUnusable):
    """No vectors were made yet."""

    code = "vectors_missing"


class VectorsDamaged(VectorsUnusable):
    """The file is not as it was written."""

    code = "vectors_damaged"


class Vectors:
    """The vectors of an index, to read. Raises `VectorsMissing`, `VectorsDamaged`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model, self.dimensions = _read_header(path)
        import numpy as np

        self._numpy = np
        self.type = np.dtype(_fields(self.dimensions))
        count = max(0, path.stat().st_size - HEADER) // self.type.itemsize
        empty = np.zeros(0, self.type)
        self.records: Any = np.memmap(path, self.type, "r", HEADER, (count,)) if count else empty
        self._order = np.argsort(self.records["row"], kind="stable")
        self._sorted = self.records["row"][self._order]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def made(self) -> int:
        """How many rows have a vector."""
        return int((self.records["scale"] > 0).sum())

    def kept(self) -> dict[int, int]:
        """Row → digest of the text that its vector was made of, of all rows that need none any more."""
        return dict(zip(self.records["row"].tolist(), self.records["digest"].tolist(), strict=True))

    def likeness(self, question: NDArray[np.float32], low: int, high: int) -> tuple[Any, Any]:
        """(rows from `low` to `high` that have a vector, the cosine of each with the question)."""
        np, rows = self._numpy, self.records["row"]
        inside = (rows >= low) & (rows <= high) & (self.records["scale"] > 0)
        cosines = [np.zeros(0, "float32")]
        for start in range(0, len(rows), BLOCK):
            wanted = inside[start : start + BLOCK]
            block = self.records[start : start + BLOCK]
            if wanted.sum() < len(wanted) // 2:
                cosines.append(_unit(block[wanted]) @ question)
            else:
                every = block["vector"].astype("float32") @ question * block["scale"]
                cosines.append(every[wanted])
        return rows[inside], np.concatenate(cosines)

    def of(self, rows: Iterable[int]) -> tuple[Any, Any]:
        """(a unit vector for each of these rows, zeros where there is none; the digest of its text). Raises
        `VectorsDamaged` if one of them is not as it was written.
        """
        np = self._numpy
        wanted = np.fromiter(rows, "int64")
        if not len(self):
            return np.zeros((len(wanted), self.dimensions), "float32"), np.full(len(wanted), -1, "int64")
        at = np.searchsorted(self._sorted, wanted).clip(max=len(self) - 1)
        places = self._order[at]
        is_there = self._sorted[at] == wanted
        self.check(places[is_there])
        digests = self.records["digest"][places].astype("int64")
        return _unit(self.records[places]) * is_there[:, None], np.where(is_there, digests, -1)

    def check(self, places: Any = None) -> None:
        """Compare records with their checksums, all of them unless some are named. Raises `VectorsDamaged`."""
        chosen = self.records if places is None else self.records[self._numpy.unique(places)]
        size = self.type.itemsize
        data = chosen.tobytes()
        for at, written in enumerate(chosen["check"].tolist()):
            if _checksum(data[at * size : (at + 1) * size]) != written:
                raise damaged(self.path, f"record {at} is not as it was written")


def _unit(records: Any) -> Any:
    """Vectors of length 1."""
    return records["vector"].astype("float32") * records["scale"][:, None]


def _fields(dimensions: int) -> list[Any]:
    """The checksum stands first and covers all behind it."""
    return [("check", "<u4"), ("digest", "<u4"), ("row", "<i8"), ("scale", "<f4"), ("vector", "i1", (dimensions,))]


def _checksum(record: bytes) -> int:
    return crc32(memoryview(record)[CHECKSUM:])


def damaged(path: Path, what: str) -> VectorsDamaged:
    """The error for a file that is no good."""
    hint = "run `moon-index --all`: it makes the vectors anew; the archives are not touched"
    return VectorsDamaged(f"the vectors are damaged: {what}", path=str(path), hint=hint)


def _read_header(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as stream:
            head = stream.read(HEADER)
    except FileNotFoundError as error:
        raise VectorsMissing("no vectors yet", path=str(path), hint="`moon-index --all` makes them") from error
    except OSError as error:
        raise unusable(path, error) from error
    try:
        known = json.loads(head)
        model, dimensions = str(known["model"]), int(known["dimensions"])
    except (ValueError, LookupError, TypeError) as error:
        raise damaged(path, "its head cannot be read") from error
    if len(head) < HEADER or known["schema"] != SCHEMA or not 0 < dimensions <= MOST_DIMENSIONS:
        raise damaged(path, "its head is not one of this version")
    return model, dimensions


def count(path: Path) -> int:
    """Of how many rows the meaning was asked for, told without loading numpy; 0 without vectors."""
    try:
        return max(0, path.stat().st_size - HEADER) // (BEFORE_VECTOR + _read_header(path)[1])
    except (VectorsUnusable, OSError):
        return 0


def _header(model: str, dimensions: int) -> bytes:
    text = json.dumps({"schema": SCHEMA, "model": model, "dimensions": dimensions}).encode()
    return text.ljust(HEADER - 1) + b"\n"


def begin(path: Path, model: str, dimensions: int) -> None:
    """Write a file without vectors in place of whatever is there."""
    with atomic_writer(path) as descriptor:
        write_all(descriptor, _header(model, dimensions))


def append(path: Path, dimensions: int, texts: Mapping[int, int], vectors: NDArray[np.float32]) -> None:
    """Add a vector for each row (→ digest of its text); one of zeros says that there is none."""
    import numpy as np

    kind = np.dtype(_fields(dimensions))
    records: Any = np.zeros(len(texts), kind)
    records["row"], records["digest"] = [*texts], [*texts.values()]
    highest = np.abs(vectors).max(axis=1, keepdims=True)
    levels = np.rint(vectors * np.divide(LEVELS, highest, where=highest > 0, out=np.zeros_like(highest)))
    lengths = np.linalg.norm(levels, axis=1)
    records["vector"] = levels
    records["scale"] = np.divide(1, lengths, where=lengths > 0, out=np.zeros_like(lengths))
    size, data = kind.itemsize, records.tobytes()
    records["check"] = [_checksum(data[at : at + size]) for at in range(0, len(data), size)]
    try:
        with path.open("r+b") as stream:
            whole = (os.fstat(stream.fileno()).st_size - HEADER) // size
            stream.truncate(HEADER + whole * size)
            stream.seek(0, os.SEEK_END)
            stream.write(records.tobytes())
    except OSError as error:
        raise unusable(path, error) from error


def texts_of(index: TextIndex) -> dict[int, int]:
    """Row → digest of its text, of all rows, the newest first."""
    with translated(index.path):
        found = index.connection.execute("SELECT id, digest FROM message ORDER BY at DESC, id DESC").fetchall()
    return {row: unsigned(digest) for row, digest in found}


def unsigned(digest: int) -> int:
    """A digest of the index as it stands in a record."""
    return digest & 0xFFFFFFFF


def keep_only(vectors: Vectors, wanted: Mapping[int, int]) -> int:
    """Take out the vectors of rows (→ digest of their text) that are gone; those whose text has another row now follow
    it. Returns how many went. Raises `VectorsDamaged`.
    """
    kept, new_row = vectors.kept(), {}
    free = {digest: row for row, digest in wanted.items() if kept.get(row) != digest}
    for row, digest in kept.items():
        if wanted.get(row) == digest:
            new_row[row] = row
        elif digest in free:
            new_row[row] = free.pop(digest)
    if len(new_row) == len(vectors) and all(row == new for row, new in new_row.items()):
        return 0
    _write_moved(vectors, new_row)
    return len(vectors) - len(new_row)


def _write_moved(vectors: Vectors, new_row: Mapping[int, int]) -> None:
    size = vectors.type.itemsize
    last = {row: at for at, row in enumerate(vectors.records["row"].tolist())}
    records = vectors.records[[last[row] for row in new_row]].copy()
    records["row"] = [*new_row.values()]
    data = records.tobytes()
    records["check"] = [_checksum(data[at : at + size]) for at in range(0, len(data), size)]
    with atomic_writer(vectors.path) as descriptor:
        write_all(descriptor, _header(vectors.model, vectors.dimensions))
        write_all(descriptor, records.tobytes())


def remove(path: Path) -> bool:
    """Remove the vectors; whether there were any."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        return True
    return False
