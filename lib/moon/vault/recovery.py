"""Find the exact lines of a damaged or missing segment again: in what is left of it, in the store, in a copy.

Nothing is taken that is not proven. A segment found whole has its hash; of one that is not, a line counts where its own
hash is the one that the catalog noted when the segment was sound.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from moon.errors import ArchiveDamaged, MoonError
from moon.vault import segments
from moon.vault.catalog import Catalog, Identifier, Part

# (agent, session key, session id) → the bytes of the events that the store holds, in order; nothing where it has none.
StoreLines = Callable[[str, str, str], Iterable[bytes]]


@dataclass(frozen=True)
class Recovered:
    """What was found of a segment. `lines`: its events in order, as far as they are proven; `whole`: all of them.

    `elsewhere`: where its events are not known one by one any more, how many events of its session the store holds that
    no archive does; these are archived anew.
    """

    part: Part
    lines: list[bytes]
    whole: bool
    source: str
    elsewhere: int = 0


class Copies:
    """Whole copies of archives in a folder, by the hash of their content. Read once, when first asked."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._found: dict[str, Path] | None = None

    def find(self, sha256: str) -> Path | None:
        """A file with exactly this content, plain or compressed."""
        if self._found is None:
            self._found = dict(self._read())
        return self._found.get(sha256)

    def _read(self) -> Iterator[tuple[str, Path]]:
        if self.folder is None:
            return
        for pattern in ("*.jsonl", "*.jsonl.zst"):
            for path in sorted(self.folder.rglob(pattern)):
                try:
                    yield segments.digest_file(path)[0], path
                except ArchiveDamaged:
                    continue


class Recovery:
    """Looks for segments in every source there is, the surest first."""

    def __init__(self, catalog: Catalog, store_lines: StoreLines, copies: Copies) -> None:
        self.catalog = catalog
        self.copies = copies
        self._store_lines = store_lines
        self._taken: dict[tuple[str, str, str], int] = {}

    def find(self, owner: tuple[str, str, str], file: Path, parts: Sequence[Part]) -> list[Recovered]:
        """Each segment of a file, as far as it can be found. `owner`: agent, session key, session id."""
        session = self.catalog.find_session(owner[0], owner[2]) or 0
        left = self._left_in(file, parts)
        missing = [part for part in parts if part.number not in left]
        wanted = {part.number: self._hashes(session, part) for part in missing}
        needed = {digest for hashes in wanted.values() for digest in hashes}
        rescued = _lines_with(_readable_lines(file), needed)
        from_store = _lines_with(self.stored(owner), needed)
        found = []
        for part in parts:
            if part.number in left:
                found.append(Recovered(part, left[part.number], True, "what is left of it"))
                continue
            copied = self._from_copy(part)
            found.append(copied or self._assemble(owner, part, wanted[part.number], rescued, from_store))
        return found

    def stored(self, owner: tuple[str, str, str]) -> Iterator[bytes]:
        """The events that the store holds of a session and that are to be kept; nothing more from where it cannot be
        read.
        """
        forgotten = self.catalog.forgotten(self.catalog.find_session(owner[0], owner[2]) or 0)
        try:
            yield from (data for data in self._store_lines(*owner) if not forgotten.covers(data))
        except MoonError:
            return

    def _hashes(self, session: int, part: Part) -> list[bytes]:
        """The hash of each line of a segment, in order, as far as the catalog knows them."""
        known = self.catalog.lines_of(session, part.number)
        return [known[line] for line in sorted(known)]

    def _left_in(self, file: Path, parts: Sequence[Part]) -> dict[int, list[bytes]]:
        """Segments that a damaged pack still holds as they were, by their number."""
        if len(parts) < 2:
            return {}
        try:
            _, measured = segments.digest_parts(file, [part.bytes for part in parts])
        except ArchiveDamaged:
            return {}
        sound = {part.number for part, found in zip(parts, measured, strict=True) if found[0] == part.sha256}
        lines = segments.lines(file)
        kept = {}
        for part in parts:
            taken = [data for _, data in zip(range(part.events), lines, strict=False)]
            if part.number in sound and _digest(taken) == part.sha256:
                kept[part.number] = taken
        return kept

    def _from_copy(self, part: Part) -> Recovered | None:
        path = self.copies.find(part.sha256)
        return Recovered(part, list(segments.lines(path)), True, str(path)) if path else None

    def _assemble(
        self,
        owner: tuple[str, str, str],
        part: Part,
        hashes: list[bytes],
        rescued: dict[bytes, bytes],
        stored: dict[bytes, bytes],
    ) -> Recovered:
        """A segment from single lines, or as a stretch of the store where its lines are not known one by one."""
        proven = [data for data in (rescued.get(each, stored.get(each)) for each in hashes) if data is not None]
        if len(proven) == part.events and _digest(proven) == part.sha256:
            alone = all(each in rescued for each in hashes)
            return Recovered(part, proven, True, "its own lines" if alone else "the store")
        stretch = _stretch_of(self.stored(owner), part) if len(hashes) < part.events else []
        if stretch:
            return Recovered(part, stretch, True, "the store")
        elsewhere = 0 if hashes else min(part.events, self._spare(owner))
        self._taken[owner] = self._taken.get(owner, 0) + elsewhere
        return Recovered(part, proven, False, "", elsewhere)

    def _spare(self, owner: tuple[str, str, str]) -> int:
        """How many events the store holds that are in no archive, and that no other lost segment counts as its own."""
        session = self.catalog.find_session(owner[0], owner[2]) or 0
        identifier = Identifier()
        named = (identifier.identify(data) for data in self.stored(owner))
        free = sum(digest not in self.catalog.digests(session, name) for name, digest in named)
        return max(0, free - self._taken.get(owner, 0))


def _readable_lines(file: Path) -> Iterator[bytes]:
    """The lines of a file up to the place where it cannot be read any more."""
    try:
        yield from segments.lines(file)
    except ArchiveDamaged:
        return


def _lines_with(lines: Iterable[bytes], wanted: set[bytes]) -> dict[bytes, bytes]:
    found = {}
    for data in lines if wanted else ():
        digest = hashlib.sha256(data).digest()
        if digest in wanted:
            found[digest] = data
    return found


def _stretch_of(store: Iterable[bytes], part: Part) -> list[bytes]:
    """The events of the store that, one after the other, are exactly this segment; nothing where there are none."""
    window: deque[bytes] = deque()
    size = 0
    for data in store:
        window.append(data)
        size += len(data) + 1
        if len(window) > part.events:
            size -= len(window.popleft()) + 1
        if len(window) == part.events and size == part.bytes and _digest(list(window)) == part.sha256:
            return list(window)
    return []


def _digest(lines: Sequence[bytes]) -> str:
    total = hashlib.sha256()
    for data in lines:
        total.update(data + b"\n")
    return total.hexdigest()
