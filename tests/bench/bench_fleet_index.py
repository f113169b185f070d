"""What the shared index costs beside the embedded one (`make bench-fleet ROWS=1000000 SEED=…`).

The same messages go into both, as one machine's; the same questions go to whole moon-recall processes, `--host own` and
`--host all`. Figures are CPU: of the process that asks or sends, and of the PostgreSQL process that serves it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import REPO, environment, run
from woven_text import Weaver

sys.path[:0] = [str(REPO), str(REPO / "lib")]

from tests.support.postgres import Database, running  # noqa: E402

from moon.clock import format_ms  # noqa: E402
from moon.fulltext import MessageRow, SegmentSource, TextIndexWriter, open_writer  # noqa: E402
from moon.shared_index.database import connect  # noqa: E402
from moon.shared_index.shared_writer import SharedIndexWriter  # noqa: E402

HOST = "bench"
IN_SEGMENT = 500
AT_ONCE = 10  # segments
BEGIN_MS = 1_700_000_000_000
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=4711)
    parser.add_argument("--questions", type=int, default=15)
    options = parser.parse_args()
    print(f"make bench-fleet ROWS={options.rows} SEED={options.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="moon-bench-") as name,
        running(shared_buffers="512MB", autovacuum="on", max_wal_size="8GB") as server,
    ):
        database = server.database()
        measure(Path(name), database, options.rows, options.seed, options.questions)
    return 0


def measure(folder: Path, database: Database, rows: int, seed: int, count: int) -> None:
    """Fill both to a tenth and ask, fill them up and ask again."""
    url = database.let_in("bench", HOST)
    database.let_in("bench", "*", may_write=False)
    scratch = environment(folder, MOON_INDEX__ENGINE="postgresql", MOON_POSTGRESQL_URL=url)
    weaver = Weaver(seed)
    home = folder / "moon"
    home.mkdir(mode=0o700)
    known = {"schema": "moon.host/1", "id": "asking", "name": "asking", "writer": "0" * 16, "took_over": []}
    (home / "host.json").write_text(json.dumps({**known, "made_at": "2026-05-08T10:00:00.000Z"}))
    questions = [" ".join(weaver.text(4_000).split()[at : at + 6]) for at in range(0, 5 * count, 5)]
    costs = []
    with open_writer(home / "index" / "recall.sqlite") as own:
        begin = 0
        for end in (rows // 10, rows):
            enter(own, database, url, weaver, begin, end)
            begin = end
            costs.append(ask(scratch, questions, end))
    growth = costs[1][1] / costs[0][1]
    print(f"a question, shared, {rows // 10:,} → {rows:,} rows: {growth:.2f} × the CPU (wanted: < 1.5 ×)")
    print(f"a question over {rows:,} rows: {costs[1][1] / costs[1][0]:.2f} × the embedded engine's CPU (wanted: ≤ 2 ×)")
    sizes = database.run("SELECT pg_database_size(current_database())")[0][0] / rows
    embedded = sum(each.stat().st_size for each in (home / "index").iterdir()) / rows
    print(f"bytes a row: shared {sizes:,.0f}, embedded {embedded:,.0f}")


def segments(weaver: Weaver, begin: int, end: int) -> Iterator[tuple[SegmentSource, list[MessageRow]]]:
    """Sessions of messages of a few hundred characters."""
    for first in range(begin, end, IN_SEGMENT):
        session = f"s{first // IN_SEGMENT}"
        yield (
            SegmentSource(f"{first:064x}", f"agent{first // IN_SEGMENT % 4}", f"key-{session}", session, session),
            [
                MessageRow(
                    f"{number:08x}",
                    number - first + 2,
                    "user" if number % 2 else "assistant",
                    weaver.text(weaver.random.randrange(80, 700)),
                    format_ms(BEGIN_MS + number * 20_000),
                )
                for number in range(first, min(end, first + IN_SEGMENT))
            ],
        )


def enter(own: TextIndexWriter, database: Database, url: str, weaver: Weaver, begin: int, end: int) -> None:
    """Enter rows into both engines, and say what sending cost."""
    client = server = wall = 0.0
    with SharedIndexWriter(connect(url, 600), HOST) as index:
        given = segments(weaver, begin, end)
        while portion := list(itertools.islice(given, AT_ONCE)):
            own.add_segments(portion)
            before, started = time.process_time(), time.monotonic()
            index.add_segments(portion)
            client += time.process_time() - before
            wall += time.monotonic() - started
        own.finish()
        server = cpu_of(index.connection.info.backend_pid)
    database.run("ANALYZE")
    rate = (end - begin) / max(client, server)
    print(
        f"ingest of {end - begin:,} rows: {rate:,.0f} rows a second of the busier core (wanted: ≥ 5,000); "
        f"CPU here {client:.1f} s, of PostgreSQL {server:.1f} s, wall {wall:.1f} s",
        flush=True,
    )


def cpu_of(pid: int) -> float:
    """The CPU seconds of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ask(scratch: dict[str, str], questions: list[str], rows: int) -> tuple[float, float]:
    """(CPU of a moon-recall process on its own index, on the shared one), medians."""
    recall = str(REPO / "bin" / "moon-recall")
    found = {}
    for host in ("own", "all"):
        costs = [run([recall, each, "--json", "--host", host], scratch) for each in questions]
        found[host] = statistics.median(each.cpu for each in costs)
        wall = statistics.median(each.wall for each in costs)
        print(f"a question over {rows:,} rows, --host {host}: CPU {found[host] * 1e3:.0f} ms, wall {wall * 1e3:.0f} ms")
    return found["own"], found["all"]


if __name__ == "__main__":
    sys.exit(main())
