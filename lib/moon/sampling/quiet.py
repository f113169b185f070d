"""Has anything moved since a tick that found nothing to do? Told from the files themselves, with no store opened.

A tick that found every session at rest leaves a note: a digest of all that it would look at again, and when the clock
alone could change its mind. While both hold, the next tick writes its heartbeat and is done. What the note goes by, and
why that can be trusted, is in docs/architecture.md ("What an idle tick trusts"); whatever is in doubt is looked at.

Nearly every tick ends here, so nothing is imported that the interpreter has not loaded already.
"""

from __future__ import annotations

import os
import time

from moon import __version__
from moon.clock import format_ms

# hashlib would load OpenSSL.
try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

FORMAT = "moon.quiet/1"
# However still it is, everything is looked at this often.
LOOK_AGAIN_MS = 600_000
# A file that was written this short before it was looked at may be written again within the same tick of its clock.
SETTLED_NS = 100_000_000
# The same where a file system keeps whole seconds, or every other one.
SETTLED_COARSE_NS = 2_100_000_000
# Bytes at the head of a database: its change counter; of its WAL: which one this is, new with every round; of the index
# of the WAL: what was committed last, with a checksum over all of it.
DATABASE_HEAD = 100
WAL_HEAD = 32
WAL_INDEX_HEAD = 48
HEARTBEAT_LENGTH = len("2026-11-22T06:00:00.123Z")
STEERING = ("HOME", "OPENCLAW_STATE_DIR", "TZ")


class World:
    """All that a tick looks at, as far as the file system tells of it. `lines` say it; `settled`: none is too new.

    `began`: the nanosecond at which the tick began to read, where it has read something of it already.
    """

    def __init__(self, began: int | None = None) -> None:
        self.lines: list[str] = []
        self.settled = True
        self._now = time.time_ns() if began is None else began

    def add(self, path: str) -> None:
        """Take in a file: which one it is, and when it was changed. Nobody can set the time of the inode's change."""
        self.lines.append(path)
        try:
            self._put(os.stat(path))
        except OSError as error:
            self.lines.append(f"errno {error.errno}")

    def _put(self, found: os.stat_result) -> None:
        self.lines.append(stamp_of(found))
        self._see_time(found.st_ctime_ns)

    def _see_time(self, changed: int) -> None:
        slack = SETTLED_NS if changed % 1_000_000_000 else SETTLED_COARSE_NS
        self.settled = self.settled and changed < self._now - slack

    def add_wal(self, database: str) -> None:
        """Take in a database's WAL: what its index says was committed last, its first bytes, and the file.

        Who opens a database as root touches its WAL, a reader too, and makes an empty one where there is none; so the
        time of the inode's change says nothing here, and an empty one is none.
        """
        try:
            found = os.stat(f"{database}-wal")
        except OSError:
            return
        if found.st_size:
            self.lines.append(f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}")
            self.settled = self.settled and found.st_mtime_ns < self._now - SETTLED_NS
            self.add_head(f"{database}-wal", WAL_HEAD)
            self.add_head(f"{database}-shm", WAL_INDEX_HEAD)

    def add_owner(self, path: str) -> None:
        """Take in who may write to a folder; what comes and goes in it does not count."""
        try:
            found = os.stat(path)
            self.lines.append(f"{path} {found.st_dev} {found.st_ino} {found.st_mode} {found.st_uid} {found.st_gid}")
        except OSError as error:
            self.lines.append(f"{path} errno {error.errno}")

    def add_head(self, path: str, length: int) -> None:
        """Take in the first bytes of a file."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                self.lines.append(os.read(descriptor, length).hex())
            finally:
                os.close(descriptor)
        except OSError as error:
            self.lines.append(f"{path} errno {error.errno}")

    def add_folder(self, path: str, part: str = "") -> None:
        """Take in every file of a folder with `part` in its name. A link that leads nowhere concerns no other file."""
        try:
            with os.scandir(path) as found:
                for name, each in sorted((each.name, each) for each in found if part in each.name):
                    self._add_entry(name, each)
        except OSError as error:
            self.lines.append(f"{path} errno {error.errno}")

    def _add_entry(self, name: str, entry: os.DirEntry[str]) -> None:
        try:
            found = entry.stat()
        except OSError as error:
            self.lines.append(f"{name} errno {error.errno}")
            return
        # There can be ten thousand. Owner, mode and the time of writing never change without the time of the inode's
        # change, so they need not be written down too.
        changed = found.st_ctime_ns
        self.lines.append(f"{name} {found.st_dev} {found.st_ino} {found.st_size} {changed}")
        if changed >= self._now - SETTLED_COARSE_NS:
            self._see_time(changed)

    def digest(self) -> str:
        """One word for all of it; some of it may be secret."""
        return blake2b("\n".join(self.lines).encode("utf-8", "surrogateescape"), digest_size=32).hexdigest()


def stamp_of(found: os.stat_result) -> str:
    """Which file this is, whose, how large, and when it was changed."""
    return (
        f"{found.st_dev} {found.st_ino} {found.st_mode} {found.st_uid} {found.st_gid} {found.st_size} "
        f"{found.st_mtime_ns} {found.st_ctime_ns}"
    )


def look_around(home: str, agents: str, began: int | None = None) -> World:
    """All that a tick of this home looks at; `agents` is OpenClaw's folder of agents, `began` as in `World`.

    Opens and closes databases as plain files, which frees what locks this process has on them: only before any of them
    is opened as one.
    """
    world = World(began)
    world.lines += [__version__, str(os.geteuid()), agents, *steering()]
    config = os.path.expanduser(os.environ.get("MOON_CONFIG") or f"{home}/moon.yaml")
    for folder in (home, os.path.dirname(config)):
        world.add_owner(folder)
    world.add(config)
    for own in ("archives/ledger.jsonl", "index/catalog.sqlite", "state/health.json"):
        world.add(f"{home}/{own}")
    world.add_wal(real_place(f"{home}/index/catalog.sqlite"))
    world.add_folder(f"{home}/state/rollovers")
    try:
        names = sorted(os.listdir(agents))
    except OSError as error:
        names = [f"errno {error.errno}"]
    for name in names:
        _add_agent(world, f"{agents}/{name}")
    return world


def _add_agent(world: World, folder: str) -> None:
    database = real_place(f"{folder}/agent/openclaw-agent.sqlite")
    world.add(database)
    world.add(f"{database}-journal")
    world.add_head(database, DATABASE_HEAD)
    world.add_wal(database)
    world.add_owner(f"{folder}/sessions")
    world.add(f"{folder}/sessions/sessions.json")
    world.add_folder(f"{folder}/sessions", ".jsonl")


def real_place(database: str) -> str:
    """Where a database that is a link lies: SQLite keeps WAL and journal there, and not beside the link."""
    return os.path.realpath(database) if os.path.islink(database) else database


def steering() -> list[str]:
    """The variables that steer a tick."""
    own = (name for name in os.environ if name.startswith("MOON_") and name not in ("MOON_NOW", "MOON_LOCK_FD"))
    return [f"{name}={os.environ.get(name)}" for name in (*STEERING, *sorted(own))]


def home_folder() -> str:
    """`$MOON_HOME`, or `~/.lilac_metaflora`."""
    return os.path.expanduser(os.environ.get("MOON_HOME") or "~/.lilac_metaflora")


def note_quiet(home: str, world: World, agents: str, now: int, until: int) -> None:
    """Leave the note that nothing is to be done while `world` stays as it is, until `until` (milliseconds)."""
    state = f"{home}/state/moon_state.json"
    try:
        at = _heartbeat_at(state)
        if at and world.settled and until > now:
            _write(home, [FORMAT, world.digest(), f"{now} {until}", str(at), stamp_of(os.stat(state)), agents])
            return
    except OSError:
        pass
    forget(home)


def forget(home: str) -> None:
    """The next tick looks at everything."""
    try:
        os.unlink(_note(home))
    except OSError:
        return


def is_quiet(now: int) -> bool:
    """Has nothing moved, and is it not time yet? Then the heartbeat is written; else nothing is changed."""
    home = home_folder()
    if "MOON_LOCK_FD" in os.environ:
        return False
    try:
        with open(_note(home), encoding="utf-8", errors="surrogateescape") as stream:
            note = stream.read(1 << 16).split("\n")
        lock = os.open(f"{home}/state/cycle.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return _stands_still(home, note, now, lock)
    except (OSError, ValueError):
        return False
    finally:
        os.close(lock)


def _stands_still(home: str, note: list[str], now: int, lock: int) -> bool:
    """Raises `OSError` where the lock is held, `ValueError` for a note that is none."""
    import fcntl

    known, digest, times, at, state_stamp, agents = note
    noted, until = map(int, times.split())
    if known != FORMAT or not noted <= now < until:
        return False
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    state = f"{home}/state/moon_state.json"
    if stamp_of(os.stat(state)) != state_stamp or look_around(home, agents).digest() != digest:
        return False
    _write_heartbeat(state, int(at), now)
    _write(home, [known, digest, f"{now} {until}", at, stamp_of(os.stat(state)), agents])
    return True


def _note(home: str) -> str:
    return f"{home}/state/cache/quiet"


def _write(home: str, lines: list[str]) -> None:
    """Write the note. One that is cut short is no note, and everything is looked at."""
    descriptor = os.open(_note(home), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, "\n".join(lines).encode("utf-8", "surrogateescape"))
    finally:
        os.close(descriptor)


def _heartbeat_at(state: str) -> int:
    """Where in the state file the heartbeat's text begins; 0 where that is not plain."""
    with open(state, "rb") as stream:
        head = stream.read(256)
    before, found, after = head.partition(b'"heartbeat": "')
    return len(before + found) if after[HEARTBEAT_LENGTH : HEARTBEAT_LENGTH + 1] == b'"' else 0


def _write_heartbeat(state: str, at: int, now: int) -> None:
    """Put a new time in place of the old one, which is as long: no reader ever sees a part of the file."""
    descriptor = os.open(state, os.O_WRONLY)
    try:
        os.pwrite(descriptor, format_ms(now).encode(), at)
    finally:
        os.close(descriptor)
