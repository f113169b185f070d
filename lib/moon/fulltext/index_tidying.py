"""Keeping the words of a growing index quick to search: merging what FTS5 wrote in pieces, counting common words.

Done as a whole both read all of the index. So that is done when most of it is new anyway, and else as much of it as
what is new is worth, in turns: the cost of a run never grows with the index.
"""

from __future__ import annotations

import sqlite3

# Words in fewer rows than this are counted when they are searched, which is cheap.
COMMON_ROWS = 32
# Of the pages of words, so many for each row that is new; and so many occurrences are counted for each.
MERGED_ROWS = 8
LEAST_MERGED = 16
COUNTED = 128
LEAST_COUNTED = 2_000
# A merge begins with so few pieces of a size.
MERGED_PIECES = 2


def tidy_all(connection: sqlite3.Connection, total: int) -> None:
    """Everything at once; `total` is the number of rows."""
    run = connection.execute
    run("INSERT INTO words (words) VALUES ('optimize')")
    run("DELETE FROM common_word")
    run("INSERT INTO common_word SELECT term, doc FROM vocabulary WHERE doc >= ?", (COMMON_ROWS,))
    run("UPDATE state SET counted_rows = ?, counted_until = ''", (total,))


def tidy(connection: sqlite3.Connection, total: int, added: int) -> None:
    """As much as `added` new rows are worth."""
    run = connection.execute
    run("INSERT INTO words (words, rank) VALUES ('usermerge', ?)", (MERGED_PIECES,))
    run("INSERT INTO words (words, rank) VALUES ('merge', ?)", (LEAST_MERGED + added // MERGED_ROWS,))
    counted, since = run("SELECT counted_rows, counted_until FROM state").fetchone()
    left = LEAST_COUNTED + COUNTED * added
    common: list[tuple[str, int]] = []
    until = ""
    for word, rows in run("SELECT term, doc FROM vocabulary WHERE term > ?", (since,)):
        left -= rows
        if rows >= COMMON_ROWS:
            # All counts are kept as if they had been made when the index had `counted_rows` rows.
            common.append((word, max(1, rows * counted // total)))
        if left < 0:
            until = word
            break
    end = (until,) if until else ()
    run(f"DELETE FROM common_word WHERE word > ? {'AND word <= ?' if until else ''}", (since, *end))
    connection.executemany("INSERT INTO common_word VALUES (?, ?)", common)
    run("UPDATE state SET counted_until = ?", (until,))
