"""The chain of the ledger: what is wrong with it, and what of that a `mended` line accounts for. Pure.

A `mended` line does not make damage undone. It says which lines were found damaged, with the hashes of their bytes as
they stood, after all that could be saved was saved; damage that is not exactly that is still damage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from moon import schema
from moon.documents import LedgerDamage, LedgerLine
from moon.vault.readable import NEEDED

Line = LedgerLine
GENESIS = "0" * 64
CHECK = b', "check": "'
CHECK_LENGTH = 16


def with_check(line: bytes) -> bytes:
    """A line with a hash of itself at its end: the next line's `prev` proves it only once there is a next line."""
    return line[:-1] + CHECK + _check(line) + b'"}'


def is_as_written(raw: bytes) -> bool | None:
    """Does a line fit the hash at its end? None for one from before there were such hashes."""
    line, mark, check = raw.rpartition(CHECK)
    return check == _check(line + b"}") + b'"}' if mark else None


def _check(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest()[:CHECK_LENGTH].encode()


def is_changed(raw: bytes, record: Line | None, following: Line | None) -> bool:
    """Was a line that names a file changed after it was written, so that it proves nothing against the file?

    A line that has no hash of itself is believed unless the line that follows it, where that can be read, denies it.
    """
    if record is None or record.get("kind") not in ("archive", "pack") or following is None:
        return False
    if is_as_written(raw) is not None:
        return False
    return following.get("prev") != hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True)
class Complaint:
    """Something wrong with line `number`. `what` is `unreadable`, `invalid` or `chain`; `sha256` is of the line's bytes
    and `before` of the line that stands before it. `foreign`: a later Moon may have written it as it is.
    """

    number: int
    what: str
    words: str
    sha256: str
    before: str
    mended: bool = False
    foreign: bool = False

    def mends(self) -> bool:
        """May a `mended` line account for it?"""
        return not self.mended and not self.foreign

    def as_entry(self) -> LedgerDamage:
        """The complaint as a `mended` line lists it."""
        return {"line": self.number, "what": self.what, "sha256": self.sha256, "before": self.before}


def complaints(lines: Iterable[tuple[bytes, Line | None]]) -> list[Complaint]:
    """Check every line against the one before it and against its schema. `lines`: its bytes, and its record, None
    where the line does not count."""
    found: list[Complaint] = []
    accounted: set[tuple[object, ...]] = set()
    before = GENESIS
    for number, (raw, record) in enumerate(lines, 1):
        own = hashlib.sha256(raw).hexdigest()
        if record is None:
            words = f"line {number} of the ledger is not a record, or not as it was written"
            found.append(Complaint(number, "unreadable", words, own, before))
        else:
            foreign = record.get("kind") not in NEEDED
            found += (
                Complaint(number, what, words, own, before, foreign=foreign and what == "invalid")
                for what, words in _wrong(record, number, before)
            )
            if record.get("kind") == "mended":
                accounted |= {_identity(entry) for entry in record["lines"] if isinstance(entry, dict)}
        before = own
    # A line that was changed after the next one was written is damage, whatever kind it says it is.
    changed = {(each.number - 1, each.before) for each in found if each.what == "chain"}
    return [_judged(each, accounted, changed) for each in found]


def _wrong(record: Line, number: int, before: str) -> list[tuple[str, str]]:
    found = []
    if record.get("prev") != before:
        found.append(("chain", f"line {number}: its prev is not the hash of the line before it"))
    return found + [("invalid", f"line {number}: {problem}") for problem in schema.problems("archive", record)]


def _identity(entry: LedgerDamage) -> tuple[object, ...]:
    return tuple(entry.get(name) for name in ("line", "what", "sha256", "before"))


def _judged(each: Complaint, accounted: set[tuple[object, ...]], changed: set[tuple[int, str]]) -> Complaint:
    mended = _identity(each.as_entry()) in accounted
    return replace(each, mended=mended, foreign=each.foreign and (each.number, each.sha256) not in changed)


def unmended(found: Iterable[Complaint]) -> list[Complaint]:
    """Those that nothing accounts for."""
    return [each for each in found if not each.mended]
