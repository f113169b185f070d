"""The file of vectors: what was written comes back, a crash costs a record, and damage is noticed and said in words."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from moon.fulltext.vectors import (
    HEADER,
    Vectors,
    VectorsDamaged,
    VectorsMissing,
    append,
    begin,
    keep_only,
    remove,
)

WIDTH = 4
ALL = (0, 1 << 62)


def unit(*numbers: float) -> np.ndarray:
    found = np.array(numbers, "float32")
    return found / np.linalg.norm(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "index" / "vectors.bin"
    begin(path, "model one", WIDTH)
    numbers = np.array([[1, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 3, 4], [0, 0, 0, 0]], "float32")
    append(path, WIDTH, {10: 1, 11: 2, 2000: 3, 12: 4}, numbers)
    return path


def test_cosines_come_back_within_what_a_byte_can_say(path: Path) -> None:
    vectors = Vectors(path)
    rows, cosines = vectors.likeness(unit(1, 0, 0, 0), *ALL)
    assert rows.tolist() == [10, 11, 2000]
    assert np.allclose(cosines, [1, 0.6, 0], atol=0.01)
    rows, _ = vectors.likeness(unit(1, 0, 0, 0), 11, 100)
    assert rows.tolist() == [11], "only what is in scope, and nothing for a row of zeros"
    assert (vectors.model, vectors.dimensions, vectors.made, len(vectors)) == ("model one", WIDTH, 3, 4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rows_are_found_by_their_number_whatever_their_order(path: Path) -> None:
    units, digests = Vectors(path).of([2000, 7, 10, 12])
    assert np.allclose(units, [[0, 0, 0.6, 0.8], [0] * 4, [1, 0, 0, 0], [0] * 4], atol=0.01)
    assert digests.tolist() == [3, -1, 1, 4]


def test_a_record_cut_short_by_a_crash_is_not_there_and_is_written_over(path: Path) -> None:
    whole = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(b"half")
    assert len(Vectors(path)) == 4
    append(path, WIDTH, {13: 5}, np.array([[0, 1, 0, 0]], "float32"))
    vectors = Vectors(path)
    vectors.check()
    assert vectors.kept() == {10: 1, 11: 2, 2000: 3, 12: 4, 13: 5}
    assert path.stat().st_size == whole + (whole - HEADER) // 4


def test_a_changed_byte_is_noticed_where_it_is_used(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[HEADER + 20] ^= 1
    path.write_bytes(data)
    vectors = Vectors(path)
    vectors.of([11, 2000])
    with pytest.raises(VectorsDamaged, match="not as it was written"):
        vectors.of([10])
    with pytest.raises(VectorsDamaged) as error:
        vectors.check()
    assert "moon-index --all" in error.value.hint


@pytest.mark.parametrize("head", [b"", b"{", b"[1]", b'{"schema": "moon.vectors/9", "model": "", "dimensions": 4}'])
def test_a_head_that_says_nothing_is_damage(path: Path, head: bytes) -> None:
    path.write_bytes(head.ljust(HEADER) if head.startswith(b'{"') else head)
    with pytest.raises(VectorsDamaged, match="head"):
        Vectors(path)


def test_no_file_and_an_empty_one(path: Path) -> None:
    begin(path, "model two", WIDTH)
    assert Vectors(path).likeness(unit(1, 0, 0, 0), *ALL)[0].tolist() == []
    assert Vectors(path).of([1])[0].tolist() == [[0] * WIDTH]
    assert remove(path) and not remove(path)
    with pytest.raises(VectorsMissing) as error:
        Vectors(path)
    assert "moon-index" in error.value.hint


def test_what_is_gone_goes_and_what_moved_follows_its_text(path: Path) -> None:
    assert keep_only(Vectors(path), {10: 1, 11: 2, 2000: 3, 12: 4}) == 0
    before = path.stat().st_ino
    assert keep_only(Vectors(path), {10: 1, 500: 2, 2000: 9}) == 2
    assert path.stat().st_ino != before, "readers keep the file that they have open"
    vectors = Vectors(path)
    vectors.check()
    assert vectors.kept() == {10: 1, 500: 2}
    assert np.allclose(vectors.of([500])[0], [[0.6, 0.8, 0, 0]], atol=0.01)
