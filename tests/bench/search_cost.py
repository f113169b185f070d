"""What indexing and one answer cost, beside the same text straight into FTS5, ripgrep and `qmd`."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from archive_cost import KEY, SESSION, make_sqlite, speed
from figures import Figure, times
from measure import REAL, REPO, Cost, environment, median, run
from woven_text import Weaver

PYTHON = str(REPO / ".venv" / "bin" / "python")
ASKED = "archive segment ledger"
FTS5 = (
    "import sqlite3, sys\n"
    "c = sqlite3.connect(sys.argv[2]); c.execute('CREATE VIRTUAL TABLE t USING fts5(x)')\n"
    "c.executemany('INSERT INTO t VALUES (?)', ((line,) for line in open(sys.argv[1], encoding='utf-8')))\n"
    "c.commit()"
)


def measure(folder: Path, seed: int, size: int, rounds: int) -> list[Figure]:
    """Index an archive, search it, and do the same with other means."""
    start = index_cost(folder / "start", seed, 1)[2]
    place = folder / "search"
    scratch, made, index = index_cost(place, seed, size)
    plain = place / "plain.txt"
    weaver = Weaver(seed)
    with plain.open("w", encoding="utf-8") as stream:
        for _ in range(size // 780):
            stream.write(weaver.text(570) + "\n")
    raw = run([PYTHON, "-c", FTS5, str(plain), str(place / "raw.sqlite")], scratch)
    disk = sum(each.stat().st_size for each in (place / "moon" / "index").rglob("*") if each.is_file())
    figures = [
        Figure(f"index {made / 1e6:.0f} MB", index, speed(made, index, start), "≥ 10 MB/s"),
        Figure("the same text straight into FTS5", raw, speed(plain.stat().st_size, raw, Cost(0, 0, 0))),
        Figure("size of index/", Cost(0, 0, disk / (1 << 20)), f"{disk / made:.2f} × the text", "≤ 0.65 ×"),
    ]
    recall = [str(REPO / "bin" / "moon-recall"), ASKED, "--json"]
    answer = median([run(recall, scratch) for _ in range(rounds)])
    figures.append(Figure("moon-recall, one answer", answer, "", "< 80 ms"))
    figures += _beside(place, scratch, answer)
    shutil.rmtree(place)
    return figures


def index_cost(place: Path, seed: int, size: int) -> tuple[dict[str, str], int, Cost]:
    """(the machine, the size of the archive, what indexing it cost)"""
    made = make_sqlite(place, Weaver(seed).lines(SESSION, size, 780))
    scratch = environment(place)
    run([str(REPO / "bin" / "moon-archive"), "--session", KEY], scratch)
    return scratch, made, run([str(REPO / "bin" / "moon-index"), "--rebuild"], scratch)


def _beside(place: Path, scratch: dict[str, str], answer: Cost) -> list[Figure]:
    found = []
    if shutil.which("rg"):
        cost = run(["rg", "-z", "-c", "segment", str(place / "moon" / "archives" / "raw")], scratch)
        found.append(Figure("ripgrep over the archives", cost, f"an answer is {times(answer, cost, 'that')}"))
    if (REAL / "qmd").exists() and any((place / "moon" / "archives" / "md").rglob("*.md")):
        real = {**scratch, "PATH": f"{REAL}{os.pathsep}{scratch['PATH']}"}
        own = ["qmd", "--index", "bench"]
        add = [*own, "collection", "add", str(place / "moon" / "archives" / "md"), "--name", "history"]
        run([str(REAL / add[0]), *add[1:]], real)
        found.append(Figure("qmd update", run([str(REAL / "qmd"), *own[1:], "update"], real)))
        cost = median([run([str(REAL / "qmd"), *own[1:], "search", ASKED, "--json"], real) for _ in range(3)])
        found.append(Figure("qmd search", cost, f"an answer is {times(answer, cost, 'that')}", "≤ 0.10 ×"))
    return found


def sqlite_version() -> str:
    """Of this interpreter."""
    return sqlite3.sqlite_version
