"""Checks of what Moon keeps: permissions, ledger and archives, the index, and the proof of its last effects."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from moon.clock import now_ms, parse_ms
from moon.config import Config
from moon.errors import ArchiveDamaged, MoonError
from moon.files import unusable
from moon.fulltext import IndexMissing, open_reader
from moon.paths import Home
from moon.text import counted
from moon.vault.ledger import Ledger, Line
from moon.vault.verify import unnamed_files, verify
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings
from moon.verify.machine_checks import qmd_index_files

SHOWN = 5


def check_home(home: Home) -> Findings:
    """Is there a home that can be written?"""
    if not home.root.is_dir():
        hint = "`make install` or the first tick of moon-sample makes it"
        yield Finding("home", WARN, f"{home.root} is not there yet", hint, str(home.root))
    elif not os.access(home.root, os.R_OK | os.W_OK | os.X_OK):
        hint = "make it readable and writable for the user that runs Moon, or set MOON_HOME elsewhere"
        yield Finding("home", FAIL, f"{home.root} cannot be written", hint, str(home.root))
    else:
        yield Finding("home", OK, f"{home.root}", path=str(home.root))


def open_to_others(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """(path, mode it should have) of what others than its owner may use. Links are left alone."""
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if not stat.S_ISLNK(mode) and mode & 0o077:
            yield path, stat.S_IMODE(mode) & 0o700


def private_paths(home: Home, config: Config) -> Iterator[Path]:
    """Everything that is for its owner only: the home with all in it, and QMD's index of it."""
    if home.root.is_dir():
        yield home.root
    for place, folders, names in os.walk(home.root):
        yield from (Path(place) / name for name in (*folders, *names))
    yield from qmd_index_files(config)


def check_permissions(home: Home, config: Config, fix: bool) -> Findings:
    """Folders 0700, files 0600; with `fix` made so."""
    found = list(open_to_others(private_paths(home, config)))
    if not found:
        yield Finding("permissions", OK, "everything is for its owner only")
    for path, mode in found if fix else []:
        try:
            path.chmod(mode)
        except OSError as error:
            raise unusable(path, error) from error
    if fix and found:
        yield Finding("permissions", OK, f"closed to others now: {_names(path for path, _ in found)}")
        return
    for path, _ in found:
        if path == home.root:
            yield Finding("permissions", FAIL, f"others may look into {path}", "run `moon-verify --fix`", str(path))
    inner = [path for path, _ in found if path != home.root]
    if inner:
        words = f"others may use {len(inner)} files or folders: {_names(inner)}"
        yield Finding("permissions", WARN, words, "run `moon-verify --fix`", str(inner[0]))


def _names(paths: Iterable[Path]) -> str:
    names = [str(path) for path in paths]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def check_archives(home: Home, deep: bool) -> Findings:
    """The chain of the ledger, and that every archive is there and named; with `deep` every byte of them."""
    ledger = Ledger(home.ledger)
    unnamed = unnamed_files(home, ledger.standing())
    if not home.ledger.exists() and not unnamed:
        yield Finding("archives", WARN, "nothing is archived yet", "`moon-archive --all | moon-index`")
        return
    if deep:
        checked = verify(home)
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
    return (Finding("archives", FAIL, error.message, error.hint, error.path) for error in errors)


def _check_files(home: Home, lines: list[Line]) -> Findings:
    missing = [line["archive_path"] for line in lines if not (home.root / line["archive_path"]).is_file()]
    if missing:
        words = f"{len(missing)} of {counted(len(lines), 'archive')} gone: {_names(map(Path, missing))}"
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
        if wanted:
            yield Finding(
                "index", WARN, f"{counted(len(wanted), 'archive')} and no index", "run `moon-index --all`", error.path
            )
        return
    except ArchiveDamaged:
        return  # said by the check of the archives
    except MoonError as error:
        yield Finding("index", FAIL, error.message, error.hint, error.path)
        return
    if damage or lost:
        words = damage or f"a search does not find {len(lost)} of {counted(len(wanted), 'archive')}"
        yield Finding("index", FAIL, words, "run `moon-index --rebuild`", str(home.text_index))
    if missing:
        words = f"{len(missing)} of {counted(len(wanted), 'archive')} not indexed"
        yield Finding("index", WARN, words, "run `moon-index --all`", str(home.text_index))
    elif outdated:
        words = f"{outdated}; it can be searched"
        yield Finding("index", WARN, words, "`moon-index --rebuild` makes it better", str(home.text_index))
    elif not damage and not lost:
        yield Finding("index", OK, counted(len(wanted), "archive") + (", each found by a search" if deep else ""))


def check_effects(home: Home) -> Findings:
    """The last thing that came of it all."""
    try:
        last = max((line["archived_at"] for line in Ledger(home.ledger).archives()), default="")
    except MoonError:
        return
    if last:
        age = max(0, now_ms() - (parse_ms(last) or 0)) // 1000
        yield Finding("effects", OK, f"the last archive was made {age} s ago, at {last}")
