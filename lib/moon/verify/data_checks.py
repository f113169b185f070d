"""Checks of what Moon keeps: ledger and archives, index and search, and the proof of its last effects."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from moon.clock import now_ms, parse_ms
from moon.config import Config
from moon.errors import ArchiveDamaged, MoonError
from moon.fulltext import IndexMissing, MessageRow, SegmentSource, open_reader, open_writer
from moon.health import health_file
from moon.paths import Home
from moon.text import counted
from moon.vault.ledger import Ledger, Line
from moon.vault.verify import unnamed_files, verify
from moon.verify import soundness
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings, names_of, of_error, trouble

SHOWN = 5


def check_archives(home: Home, config: Config, deep: bool) -> Findings:
    """The chain of the ledger, and that every archive is there and named; with `deep` every byte of them."""
    ledger = Ledger(home.ledger)
    unnamed = unnamed_files(home, ledger.standing())
    if not home.ledger.exists() and not unnamed:
        yield Finding("archives", WARN, "nothing is archived yet", "`moon-archive --all | moon-index`")
        return
    if deep:
        checked = verify(home)
        soundness.keep_all(home, config, checked)
        yield from _damage(checked.errors)
        if not checked.errors:
            yield Finding("archives", OK, checked.describe())
        return
    problems = ledger.verify()
    hint = "`moon-archive --repair` takes in again what it named; `moon-archive --verify` names every damage"
    for problem in problems[:SHOWN]:
        yield Finding("archives", FAIL, f"ledger: {problem}", hint, str(home.ledger))
    if not problems:
        yield from _damage(unnamed[:SHOWN]) if unnamed else _check_files(home, list(ledger.archives()))


def _damage(errors: Iterable[MoonError]) -> Findings:
    return (of_error("archives", FAIL, error) for error in errors)


def _check_files(home: Home, lines: list[Line]) -> Findings:
    missing = [line["archive_path"] for line in lines if not (home.root / line["archive_path"]).is_file()]
    if missing:
        words = f"{len(missing)} of {counted(len(lines), 'archive')} gone: {names_of(map(Path, missing))}"
        yield Finding(
            "archives", FAIL, words, "`moon-archive --repair` makes them anew where it can", str(home.root / missing[0])
        )
    else:
        yield Finding(
            "archives", OK, f"{counted(len(lines), 'archive')}, and the chain of the ledger holds; --deep reads them"
        )


def check_index(home: Home, deep: bool) -> Findings:
    """Can it be opened, and does it hold every archive? With `deep`: does a search find each of them?"""
    try:
        wanted = {line["sha256"] for line in Ledger(home.ledger).archives()}
        with open_reader(home.text_index) as index:
            missing = wanted - index.segment_shas()
            lost = [sha for sha in sorted(wanted - missing) if deep and not index.findable(sha)]
            damage = f"the index is damaged: {found}" if deep and (found := index.damage()) else ""
            outdated = index.outdated
    except IndexMissing as error:
        if error.code != IndexMissing.code:
            yield of_error("index", FAIL, error)
        elif wanted:
            yield trouble("index", WARN, error.code, f"{counted(len(wanted), 'archive')} and no index", error.path)
        return
    except ArchiveDamaged:
        return  # said by the check of the archives
    except MoonError as error:
        yield of_error("index", FAIL, error)
        return
    place = str(home.text_index)
    if damage or lost:
        words = damage or f"a search does not find {len(lost)} of {counted(len(wanted), 'archive')}"
        yield trouble("index", FAIL, "index_corrupt", words, place)
    if missing:
        words = f"{len(missing)} of {counted(len(wanted), 'archive')} not indexed"
        yield trouble("index", WARN, "index_behind", words, place)
    elif outdated:
        words = f"{outdated}; it can be searched"
        yield Finding("index", WARN, words, "`moon-index --rebuild` makes it better", place)
    elif not damage and not lost:
        yield Finding("index", OK, counted(len(wanted), "archive") + (", each found by a search" if deep else ""))


def check_search(home: Home) -> Findings:
    """Does a search find what was just indexed: a probe in an index of its own, the newest archive in the real one?"""
    with tempfile.TemporaryDirectory() as folder:
        if not finds_probe(Path(folder) / "probe.sqlite"):
            yield trouble("search", FAIL, "search_blind", "a search does not find a message that was just indexed")
            return
    try:
        lines = list(Ledger(home.ledger).archives())
        with open_reader(home.text_index) as index:
            known = index.segment_shas()
            newest = next((line for line in reversed(lines) if line["sha256"] in known), None)
            found = newest is None or index.findable(newest["sha256"])
    except (IndexMissing, ArchiveDamaged):
        newest, found = None, True  # said by the checks of index and archives
    if not found:
        words = f"a search does not find the newest archive, {newest['archive_path'] if newest else ''}"
        yield trouble("search", FAIL, "search_blind", words, str(home.text_index))
    elif newest is not None:
        yield Finding("search", OK, "finds a probe that was just indexed, and the newest archive")
    else:
        yield Finding("search", OK, "finds a probe that was just indexed")


def check_meaning(home: Home, config: Config) -> Findings:
    """Where recall goes by meaning, too: is the source there, and of how many messages is the meaning known?"""
    if config.recall.semantic.source == "off":
        return
    from moon.fulltext import vectors
    from moon.model.embedding import open_embedder

    try:
        open_embedder(config.recall.semantic, str)
        with open_reader(home.text_index) as index:
            messages = index.counts()["messages"]
    except IndexMissing:
        return  # said by the check of the index
    except MoonError as error:
        yield of_error("meaning", WARN, error, "recall goes by words alone: ")
        return
    known = vectors.count(home.vectors)
    words = f"known of {known:,} of {messages:,} messages"
    if known < messages:
        yield Finding(
            "meaning", WARN, words, "each run of `moon-index` makes more; `moon-index --all` now", str(home.vectors)
        )
    else:
        yield Finding("meaning", OK, words)


def finds_probe(path: Path) -> bool:
    """Index one message in a new index, and look for it by its words."""
    sha = "0" * 64
    words = [MessageRow("probe", 1, "user", "the lighthouse keeper counted thirteen lanterns")]
    with open_writer(path) as index:
        index.add_segment(SegmentSource(sha, "probe", "probe", "probe", "probe"), words)
        index.finish()
    with open_reader(path) as reader:
        return reader.findable(sha) and reader.counts()["messages"] == 1


def check_rounds(home: Home) -> Findings:
    """What the daily look at a part of the archives came to; all of them are looked at within a week."""
    health = health_file.read(home)
    for problem in health.problems:
        if problem.station == soundness.STATION:
            yield Finding("sound", FAIL, problem.message, problem.hint, problem.path, problem.code)
    checked = health.checked
    if checked.get("archives"):
        ended = f"; the last round through all ended {checked['round_ended']}" if checked.get("round_ended") else ""
        yield Finding("sound", OK, f"{checked['archives']} archives were read back on {checked['at'][:10]}{ended}")


def check_effects(home: Home) -> Findings:
    """The last thing that came of it all."""
    try:
        last = max((line["archived_at"] for line in Ledger(home.ledger).archives()), default="")
    except MoonError:
        return
    if last:
        age = max(0, now_ms() - (parse_ms(last) or 0)) // 1000
        yield Finding("effects", OK, f"the last archive was made {age} s ago, at {last}")
