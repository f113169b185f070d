"""What a disk still holds when the power goes: a recording of system calls, played back on a model of a file system.

Bytes are safe once their file was synced, and a name (made, moved or taken away) once its folder was. All else may be
gone, and it may also be there in part. That is what POSIX promises, and less than most file systems keep.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?:<(?P<path>.*)>)?")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
DESCRIPTOR = re.compile(r"(\d+)(?:<|,|$)")


@dataclass
class Content:
    """The bytes of a file: what is safe, what they are now, and the changes since they were safe."""

    safe: bytes = b""
    now: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, bytes), or (size, None) for a file that was cut."""

    def change(self, at: int, data: bytes | None) -> None:
        """Write, or cut off."""
        _apply(self.now, at, data)
        self.changes.append((at, data))

    def sync(self) -> None:
        """All of it is safe."""
        self.safe, self.changes = bytes(self.now), []

    def torn(self, dice: random.Random) -> bytes:
        """What is safe, with some of the changes, and the last of those cut in half."""
        found = bytearray(self.safe)
        kept = [each for each in self.changes if dice.random() < 0.5]
        for number, (at, data) in enumerate(kept, 1):
            is_last = number == len(kept)
            _apply(found, at, data[: len(data) // 2] if data is not None and is_last else data)
        return bytes(found)


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


@dataclass
class Opened:
    """A descriptor: where it points, and where the next write goes."""

    path: str
    content: Content | None
    place: int = 0
    appends: bool = False


class Disk:
    """The files below a folder. `names`: what each path is now, None for a folder; `safe_names`: the same, for sure."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.names: dict[str, Content | None] = {}
        for path in sorted(folder.rglob("*")):
            data = None if path.is_dir() else path.read_bytes()
            self.names[str(path)] = None if data is None else Content(data, bytearray(data))
        self.safe_names = dict(self.names)
        self.moves: list[tuple[str, Content | None, bool]] = []
        """(path, what it became, is it there): changes of names that are not safe yet, in order."""
        self.open: dict[int, Opened] = {}

    def play(self, lines: Iterable[str]) -> None:
        """Go through a recording (`strace -y -xx`)."""
        for line in lines:
            call = CALL.match(line)
            if call is None or int(call["result"]) < 0:
                continue
            handler = getattr(self, f"_{call['name'].removesuffix('at').removesuffix('at2')}", None)
            if handler is not None:
                handler(call["arguments"], int(call["result"]), call["name"])

    # --- names

    def _ours(self, path: str) -> bool:
        return path.startswith(self.folder + "/")

    def _set(self, path: str, content: Content | None, there: bool = True) -> None:
        if there:
            self.names[path] = content
        else:
            self.names.pop(path, None)
        self.moves.append((path, content, there))

    def _mkdir(self, arguments: str, _: int, __: str) -> None:
        path = _texts(arguments)[0]
        if self._ours(path):
            self._set(path, None)

    def _rename(self, arguments: str, _: int, __: str) -> None:
        old, new = _texts(arguments)[:2]
        if self._ours(old) and old in self.names:
            self._set(new, self.names[old])
            self._set(old, None, there=False)

    def _unlink(self, arguments: str, _: int, __: str) -> None:
        path = _texts(arguments)[0]
        if self._ours(path) and path in self.names:
            self._set(path, None, there=False)

    _rmdir = _unlink

    def _open(self, arguments: str, result: int, _: str) -> None:
        path = _texts(arguments)[0]
        self.open.pop(result, None)
        if not self._ours(path) and path != self.folder:
            return
        if path not in self.names and "O_CREAT" in arguments:
            self._set(path, Content())
        content = self.names.get(path)
        if content is not None and "O_TRUNC" in arguments and content.now:
            content.change(0, None)
        self.open[result] = Opened(path, content, appends="O_APPEND" in arguments)

    # --- bytes

    def _opened(self, arguments: str) -> Opened | None:
        found = DESCRIPTOR.match(arguments)
        return self.open.get(int(found[1])) if found else None

    def _write(self, arguments: str, result: int, _: str) -> None:
        opened = self._opened(arguments)
        if opened is None or opened.content is None:
            return
        if opened.appends:
            opened.place = len(opened.content.now)
        opened.content.change(opened.place, _bytes(arguments)[:result])
        opened.place += result

    def _pwrite64(self, arguments: str, result: int, _: str) -> None:
        opened = self._opened(arguments)
        if opened is not None and opened.content is not None:
            opened.content.change(int(arguments.rpartition(", ")[2]), _bytes(arguments)[:result])

    def _ftruncate(self, arguments: str, _: int, __: str) -> None:
        opened = self._opened(arguments)
        if opened is not None and opened.content is not None:
            opened.content.change(int(arguments.rpartition(", ")[2]), None)

    def _truncate(self, arguments: str, _: int, __: str) -> None:
        content = self.names.get(_texts(arguments)[0])
        if content is not None:
            content.change(int(arguments.rpartition(", ")[2]), None)

    def _lseek(self, arguments: str, result: int, _: str) -> None:
        opened = self._opened(arguments)
        if opened is not None:
            opened.place = result

    def _fsync(self, arguments: str, _: int, __: str) -> None:
        opened = self._opened(arguments)
        if opened is None:
            return
        if opened.content is not None:
            opened.content.sync()
            return
        left = []
        for path, content, there in self.moves:
            if path.rpartition("/")[0] != opened.path:
                left.append((path, content, there))
            else:
                _move(self.safe_names, path, content, there)
        self.moves = left

    _fdatasync = _fsync

    # --- afterwards

    def lose(self, dice: random.Random | None = None) -> None:
        """Make the folder what is left after a power cut: only what is safe, or with dice some of the rest."""
        names = dict(self.safe_names)
        for path, content, there in self.moves[: dice.randint(0, len(self.moves))] if dice else ():
            _move(names, path, content, there)
        root = Path(self.folder)
        if not root.exists():
            return  # killed before it was made
        shutil.rmtree(root)
        root.mkdir(mode=0o700)
        for path, content in sorted(names.items()):
            place = Path(path)
            if not place.parent.is_dir() or path.endswith("-shm"):
                continue  # its folder is gone; shared memory is made anew by whoever opens the database first
            if content is None:
                place.mkdir(mode=0o700)
            else:
                place.write_bytes(content.torn(dice) if dice else content.safe)
                place.chmod(0o600)

    def unsafe(self) -> int:
        """How many changes a power cut may undo."""
        contents = {id(each): each for each in [*self.names.values(), *self.safe_names.values()] if each is not None}
        return len(self.moves) + sum(len(each.changes) for each in contents.values())


def _move(names: dict[str, Content | None], path: str, content: Content | None, there: bool) -> None:
    if there:
        names[path] = content
    else:
        names.pop(path, None)


def _texts(arguments: str) -> list[str]:
    return [_decoded(each).decode("utf-8", "surrogateescape") for each in TEXT.findall(arguments)]


def _bytes(arguments: str) -> bytes:
    found = TEXT.search(arguments)
    return _decoded(found[1]) if found else b""


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
