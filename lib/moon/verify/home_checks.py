"""Checks of the folder itself: can it be written, whose is it, who may read it, how long does the disk last."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from moon.clock import format_ms, now_ms, parse_ms
from moon.config import Config
from moon.cycle import session_states as states
from moon.files import make_private, sync, unusable, write_all
from moon.health import disk_use
from moon.health.signs import AHEAD_SECONDS
from moon.paths import Home
from moon.qmd import index_files
from moon.text import counted, readable_size
from moon.vault.ledger import Ledger
from moon.verify.finding import FAIL, OK, SHOWN, WARN, Finding, Findings, names_of, of_error, trouble

PROBE = b"moon" * 4096
# Nothing of Moon is older: a clock before it was never set.
FIRST_YEAR_MS = 1_704_067_200_000


def check_home(home: Home) -> Findings:
    """Is there a home, and does the disk take something written into it?"""
    if not home.root.is_dir():
        if os.path.lexists(home.root):
            yield trouble("home", FAIL, "home_unusable", f"{home.root} is no folder", str(home.root))
            return
        words = f"{home.root} is not there yet"
        yield Finding("home", WARN, words, "`make install` or the first tick of moon-sample makes it", str(home.root))
        return
    try:
        write_probe(home.root)
    except OSError as error:
        yield of_error("home", FAIL, unusable(home.root, error))
        return
    yield Finding("home", OK, f"{home.root}, and it can be written", path=str(home.root))


def write_probe(folder: Path) -> None:
    """Write a file, make it durable, and remove it. Raises `OSError`."""
    path = folder / f".moon-verify.{os.getpid()}.tmp"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(descriptor, PROBE)
            sync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        path.unlink(missing_ok=True)


def check_owner(home: Home) -> Findings:
    """Does everything belong to whoever runs Moon, and can it be read? One `sudo moon-…` is enough to spoil that."""
    me = os.geteuid()
    foreign, closed = [], []
    for path in _everything(home):
        try:
            found = path.lstat()
        except OSError:
            continue
        if found.st_uid != me:
            foreign.append((path, found.st_uid))
        elif not stat.S_ISLNK(found.st_mode) and not _is_open_to_its_owner(path, found.st_mode):
            closed.append(path)
    if foreign:
        owners = ", ".join(str(uid) for uid in sorted({uid for _, uid in foreign}))
        words = f"{counted(len(foreign), 'file or folder', 'files or folders')} of user {owners}, not of yours"
        named = names_of(path for path, _ in foreign)
        yield trouble("owner", FAIL, "foreign_owner", f"{words}: {named}", str(_common(path for path, _ in foreign)))
    if closed:
        words = f"{counted(len(closed), 'file or folder', 'files or folders')} that you may not use: {names_of(closed)}"
        yield trouble("owner", FAIL, "no_permission", words, str(closed[0]))
    if not foreign and not closed:
        yield Finding("owner", OK, f"everything belongs to user {me} and can be read")


def _is_open_to_its_owner(path: Path, mode: int) -> bool:
    """By its mode, because root may use what no owner could."""
    needed = stat.S_IRUSR | (stat.S_IWUSR | stat.S_IXUSR if stat.S_ISDIR(mode) else 0)
    return mode & needed == needed


def _everything(home: Home) -> Iterator[Path]:
    """The home and all in it; what lies in a folder that cannot be listed is not reached."""
    if home.root.is_dir():
        yield home.root
    for place, folders, names in os.walk(home.root):
        yield from (Path(place) / name for name in (*folders, *names))


def _common(paths: Iterable[Path]) -> Path:
    """The one path, or the deepest folder that holds them all."""
    known = [str(path) for path in paths]
    return Path(known[0] if len(known) == 1 else os.path.commonpath(known))


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
    yield from _everything(home)
    yield from index_files(config.qmd)


def check_permissions(home: Home, config: Config, fix: bool) -> Findings:
    """Folders 0700, files 0600; with `fix` made so."""
    found = list(open_to_others(private_paths(home, config)))
    if not found:
        yield Finding("permissions", OK, "everything is for its owner only")
        return
    if fix:
        yield from _close(found)
        return
    for path, _ in found:
        if path == home.root:
            yield trouble("permissions", FAIL, "open_to_others", f"others may look into {path}", str(path))
    inner = [path for path, _ in found if path != home.root]
    if inner:
        words = f"others may use {counted(len(inner), 'file or folder', 'files or folders')}: {names_of(inner)}"
        yield trouble("permissions", WARN, "open_to_others", words, str(inner[0]))


def _close(found: list[tuple[Path, int]]) -> Findings:
    """Close what is open; one that cannot be closed is named, and the others are."""
    closed, failed = [], []
    for path, mode in found:
        try:
            path.chmod(mode)
            closed.append(path)
        except OSError as error:
            failed.append(unusable(path, error))
    if closed:
        yield Finding("permissions", OK, f"closed to others now: {names_of(closed)}")
    yield from (of_error("permissions", FAIL, each) for each in failed[:SHOWN])


def check_disk(home: Home, config: Config) -> Findings:
    """Is there room, and for how many days at the growth of the last week?"""
    use = disk_use.look(home)
    place = next((each for each in (home.root, *home.root.parents) if each.is_dir()), Path("/"))
    found = os.statvfs(place)
    growth = disk_use.growth(use, Ledger(home.ledger).archives(), now_ms())
    wrong = list(disk_use.troubles(home, config, use, growth))
    for error in wrong:
        yield of_error("disk", FAIL if error.code == "disk_full" else WARN, error)
    if found.f_files and not found.f_favail:
        yield trouble("disk", FAIL, "disk_full", f"the disk of {place} has no room for one more file", str(place))
    elif not wrong:
        days = "" if growth.days_left is None else f", enough for {growth.days_left} days at today's growth"
        yield Finding(
            "disk", OK, f"Moon takes {readable_size(use.total)}, {readable_size(use.free or 0)} are free{days}"
        )


def check_clock(home: Home) -> Findings:
    """Is the clock where it should be: not before Moon was made, and not before what Moon did last?"""
    now = now_ms()
    last = max((parse_ms(line["archived_at"]) or 0 for line in Ledger(home.ledger).archives()), default=0)
    heartbeat = states.peek(home).heartbeat
    ahead = max(last, heartbeat)
    if now < FIRST_YEAR_MS:
        yield trouble("clock", FAIL, "clock_wrong", f"the clock says {format_ms(now)}", str(home.root))
    elif ahead > now + AHEAD_SECONDS * 1000:
        what = "the heartbeat" if heartbeat == ahead else "the last archive"
        words = f"{what} is of {format_ms(ahead)}, {(ahead - now) // 1000} s after now ({format_ms(now)})"
        yield trouble("clock", FAIL, "clock_wrong", f"{words}: the clock is or was wrong", str(home.root))
    else:
        yield Finding("clock", OK, f"{format_ms(now)}")


def check_memory(home: Home, config: Config, fix: bool) -> Findings:
    """Can the daily memory be written where it is to lie?"""
    folder = Path(config.paths.memory).expanduser() if config.paths.memory else home.memory
    if not folder.is_absolute():
        folder = home.root / folder
    if not folder.exists() and folder.parent.is_dir() and (fix or not config.paths.memory):
        if fix:
            make_private(folder)
        else:
            yield Finding("memory", OK, f"{folder}, made with the first distillation")
            return
    if not folder.is_dir():
        yield trouble("memory", FAIL, "memory_unwritable", f"{folder} is not there, or is no folder", str(folder))
        return
    try:
        write_probe(folder)
    except OSError as error:
        words = f"{folder} cannot be written: {error.strerror}"
        yield trouble("memory", FAIL, "memory_unwritable", words, str(folder))
        return
    yield Finding("memory", OK, f"{folder} can be written")
