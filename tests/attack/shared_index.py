"""Faults while machines send to a shared index: nothing lost, nothing doubled, nothing shown to a stranger.

Two machines with agents of the same name send archives in turn. Each time one fault strikes at a random row: the server
is killed, the connection is cut, the role is shut out. Then the same is sent again, as the outbox does.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "lib")]

from tests.support.postgres import Database, running  # noqa: E402

from moon.errors import IndexUnusable  # noqa: E402
from moon.fulltext import MessageRow, SegmentSource  # noqa: E402
from moon.shared_index.database import _cut, connect  # noqa: E402
from moon.shared_index.shared_writer import SharedIndexWriter  # noqa: E402

HOSTS = ("one", "two")
FAULTS = ("killed", "cut", "cut", "shut out", "shut out", "ended")


def main() -> int:
    """Attack, and say what came of it; 1 where a promise broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=150)
    options = parser.parse_args()
    chance, struck, wanted = random.Random(options.seed), Counter[str](), Counter[tuple[str, str]]()
    print(f"shared index under attack, seed {options.seed}", flush=True)
    with running() as server:
        database = server.database()
        urls = {host: database.let_in(f"role_{host}", host) for host in HOSTS}
        stranger = database.let_in("stranger", "elsewhere")
        seen = 0
        for number in range(options.faults):
            host, fault = chance.choice(HOSTS), chance.choice(FAULTS)
            rows = [
                MessageRow(f"{number}-{at}", at + 2, "user", f"lantern {at}") for at in range(chance.randint(1, 40))
            ]
            source = SegmentSource(f"{number:064x}", "main", "key", f"s{number % 7}", "p")
            with contextlib.suppress(IndexUnusable), SharedIndexWriter(connect(urls[host], 30), host) as index:
                index.add_segments([(source, struck_by(fault, index, database, host, rows, chance))])
            struck[fault] += 1
            mend(fault, database, host)
            with SharedIndexWriter(connect(urls[host], 30), host) as index:
                index.add_segments([(source, rows)])
                index.add_segments([(source, rows)])
            wanted.update((host, row.event_id) for row in rows)
            with connect(stranger, 30) as connection:
                found = connection.execute("SELECT count(*) FROM moon.message").fetchone()
                seen += found[0] if found else 0
        kept = Counter(
            database.run("SELECT host, event FROM moon.message JOIN moon.source ON source.id = message.source")
        )
    lost, doubled = (wanted - kept).total(), (kept - wanted).total()
    print(f"{struck.total()} faults ({dict(struck)}): {lost} lost, {doubled} doubled, {seen} seen by a stranger")
    return int(bool(lost or doubled or seen))


def struck_by(
    fault: str, index: SharedIndexWriter, database: Database, host: str, rows: list[MessageRow], chance: random.Random
) -> Iterator[MessageRow]:
    """The rows, and the fault before one of them or behind the last."""
    at = chance.randint(0, len(rows))
    yield from rows[:at]
    if fault == "killed":
        database.server.kill()
    elif fault == "cut":
        _cut(index.connection)
    elif fault == "ended":
        database.run("SELECT pg_terminate_backend(%s)", index.connection.info.backend_pid)
    else:
        database.run("DELETE FROM moon.access WHERE role = %s", f"role_{host}")
    yield from rows[at:]


def mend(fault: str, database: Database, host: str) -> None:
    """Take the fault away again."""
    if fault == "killed":
        database.server.start()
    elif fault == "shut out":
        database.let_in(f"role_{host}", host)


if __name__ == "__main__":
    sys.exit(main())
