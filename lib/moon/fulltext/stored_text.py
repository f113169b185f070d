"""The texts of the index, compressed one by one with a dictionary made of the index's own text.

A dictionary makes a single message as small as a hundred together would be, so that each can be read by itself. It is
trained once there is enough text, and all that was stored before is stored anew with it.

A stored text is one byte that says how, and the rest: `PLAIN`, UTF-8 as it is; `ALONE`, zstd without a dictionary; any
other number is that of the dictionary, zstd. Frames are as bare as zstd allows.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import zstandard

PLAIN, ALONE, FIRST_DICTIONARY = range(3)
LAST_DICTIONARY = 255
LEVEL = 3
# A dictionary is trained once there is so much text, on so many rows of it.
TRAINING_BYTES = 3 << 19
DICTIONARY_BYTES = 112 << 10
SAMPLE_ROWS = 4_000
STORED_AT_ONCE = 500
# No message is longer, see `index_writer.parts`; UTF-8 has at most four bytes for a character.
LARGEST = 1 << 20


def digest_of(text: bytes) -> int:
    """A checksum in as few bytes as SQLite can keep one: four, with a sign."""
    found = crc32(text)
    return found - (1 << 32) if found >> 31 else found


class TextReader:
    """Gives back stored texts; dictionaries come from the index when one is needed first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {}

    def text(self, body: bytes) -> str:
        """A stored text. Raises `ValueError` when it is damaged."""
        if body[0] == PLAIN:
            return body[1:].decode()
        import zstandard

        try:
            return self._decompressor(body[0]).decompress(body[1:], max_output_size=LARGEST).decode()
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error

    def _decompressor(self, kind: int) -> zstandard.ZstdDecompressor:
        if kind not in self._decompressors:
            import zstandard

            data = None if kind == ALONE else _dictionary(self._connection, kind)
            self._decompressors[kind] = zstandard.ZstdDecompressor(
                dict_data=data, format=zstandard.FORMAT_ZSTD1_MAGICLESS
            )
        return self._decompressors[kind]


class TextWriter:
    """Makes texts what is stored, with the latest dictionary of the index."""

    def __init__(self, connection: sqlite3.Connection, number: int | None = None) -> None:
        """`number`: of the dictionary; 0 for none, None for the latest."""
        import zstandard

        found = connection.execute("SELECT max(id) FROM dictionary").fetchone()[0] if number is None else number
        self.kind: int = found or ALONE
        dictionary = _dictionary(connection, found) if found else None
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_content_size=True
        )
        self._compress = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress
        self._mark = bytes([self.kind])

    def body(self, text: bytes) -> bytes:
        """What is stored for a text in UTF-8."""
        made = self._compress(text)
        return self._mark + made if len(made) < len(text) else _PLAIN_MARK + text


_PLAIN_MARK = bytes([PLAIN])


def _dictionary(connection: sqlite3.Connection, number: int) -> zstandard.ZstdCompressionDict:
    import zstandard

    found = connection.execute("SELECT data FROM dictionary WHERE id = ?", (number,)).fetchone()
    if found is None:
        raise ValueError(f"the dictionary {number} is gone")
    return zstandard.ZstdCompressionDict(found[0], dict_type=zstandard.DICT_TYPE_FULLDICT)


def train(connection: sqlite3.Connection) -> bool:
    """Make the dictionary of an index that has text enough for one, and store all texts anew with it."""
    if connection.execute("SELECT text_bytes FROM state").fetchone()[0] < TRAINING_BYTES:
        return False
    reader = TextReader(connection)
    if not _made_dictionary(connection, reader, FIRST_DICTIONARY):
        connection.execute("UPDATE state SET text_bytes = 0")  # when there is more of it
        return False
    _store_anew(connection, reader, TextWriter(connection))
    return True


def train_anew(connection: sqlite3.Connection) -> None:
    """Let go of the dictionary, which holds pieces of texts: a new one is made of those that are there now."""
    (old,) = connection.execute("SELECT max(id) FROM dictionary").fetchone()
    if old is None:
        return
    # Who reads on may still know the old one by its number.
    number = old + 1 if old < LAST_DICTIONARY else FIRST_DICTIONARY
    reader = TextReader(connection)
    made = _made_dictionary(connection, reader, number)
    _store_anew(connection, reader, TextWriter(connection, number if made else 0))
    connection.execute("DELETE FROM dictionary WHERE id != ?", (number,))
    if not made:
        connection.execute("UPDATE state SET text_bytes = 0")


def _made_dictionary(connection: sqlite3.Connection, reader: TextReader, number: int) -> bool:
    """Train a dictionary and keep it under that number; False for too few texts, or nothing that they share."""
    import zstandard

    rows = connection.execute("SELECT sum(rows) FROM agent").fetchone()[0] or 0
    step = max(1, -(-rows // SAMPLE_ROWS))
    found = connection.execute("SELECT body FROM message WHERE (id + (id >> 6)) % ? = 0", (step,))
    samples: list[bytes | bytearray | memoryview] = [reader.text(body).encode() for (body,) in found]
    try:
        made = zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=LEVEL, dict_id=number)
    except (zstandard.ZstdError, ValueError):
        return False
    connection.execute("INSERT INTO dictionary VALUES (?, ?)", (number, made.as_bytes()))
    return True


def _store_anew(connection: sqlite3.Connection, reader: TextReader, writer: TextWriter) -> None:
    last = -1
    while found := connection.execute(
        "SELECT id, body FROM message WHERE id > ? ORDER BY id LIMIT ?", (last, STORED_AT_ONCE)
    ).fetchall():
        bodies = [(writer.body(reader.text(body).encode()), row) for row, body in found]
        connection.executemany("UPDATE message SET body = ? WHERE id = ?", bodies)
        last = found[-1][0]
