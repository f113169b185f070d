"""A model of sentence vectors of a few hundred bytes: each word has a place, and a text is the mean of its words.

The ONNX file is put together by hand (protobuf is: key, length, bytes), so that no library for making models is needed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

UNKNOWN, PADDING = "[UNK]", "[PAD]"
INT64, FLOAT = 7, 1


def write_model(folder: Path, places: Mapping[str, Sequence[float]]) -> Path:
    """Write `model.onnx` and `tokenizer.json`: `places` holds a vector for each word it knows, all of one length."""
    folder.mkdir(parents=True, exist_ok=True)
    width = len(next(iter(places.values())))
    words = [PADDING, UNKNOWN, *places]
    table = [[0.0] * width, [0.01] * width, *places.values()]
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words)), "utf-8")
    (folder / "model.onnx").write_bytes(_model(table, width))
    return folder


def _tokenizer(words: Sequence[str]) -> dict[str, object]:
    vocabulary = {word: number for number, word in enumerate(words)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    }


def _model(table: Sequence[Sequence[float]], width: int) -> bytes:
    """`last_hidden_state = table[input_ids]`."""
    data = b"".join(struct.pack("<f", number) for row in table for number in row)
    numbers = _number(1, len(table)) + _number(1, width) + _number(2, FLOAT) + _bytes(8, b"table") + _bytes(9, data)
    node = _bytes(1, b"table") + _bytes(1, b"input_ids") + _bytes(2, b"last_hidden_state") + _bytes(4, b"Gather")
    given = _value(b"input_ids", INT64, (b"batch", b"sequence"))
    graph = _bytes(1, node) + _bytes(2, b"tiny") + _bytes(5, numbers) + _bytes(11, given)
    graph += _bytes(12, _value(b"last_hidden_state", FLOAT, (b"batch", b"sequence", b"width")))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 13))


def _value(name: bytes, kind: int, axes: Sequence[bytes]) -> bytes:
    shape = b"".join(_bytes(1, _bytes(2, axis)) for axis in axes)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])
