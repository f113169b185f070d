"""Are the archives sound? Each day the timer lets a part of them be read back, so that within a week it was all.

A part is a seventh of the files, in the order of their hashes, from where the day before stopped; what was found
damaged is looked at again each day. Whenever the round is through, the index is read as a whole too. How far it has
come is kept in `state/health.json` under `checked`, and what was found under `problems`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from moon.clock import now_text
from moon.config import Config
from moon.errors import ArchiveDamaged, MoonError
from moon.fulltext import IndexMissing, open_reader
from moon.health import health_file, noting
from moon.health.health_file import Health
from moon.paths import Home
from moon.vault.ledger import Ledger
from moon.vault.standing import Line, Standing
from moon.vault.verify import Verified, check_file

STATION = "verify"
DAYS = 7
# A tick may not wait for longer; a larger archive takes more days.
MOST_SECONDS = 300.0


class Part(NamedTuple):
    """The files of one day, and whether the round ends with them."""

    records: list[Line]
    next: str
    is_last: bool


def check_part(home: Home, config: Config) -> list[MoonError]:
    """Look at today's part, keep the result, and give what is damaged."""
    health = health_file.read(home)
    ledger = Ledger(home.ledger)
    standing = ledger.standing()
    part = choose(standing.in_order(), health.checked.get("next", ""), _known_damage(health))
    started = time.monotonic()
    errors: list[MoonError] = [_of_ledger(home, words) for words in ledger.verify()[:1]]
    looked_at = {str(home.ledger)}
    done, position = 0, part.next
    for record in part.records:
        errors += check_file(home, record, standing.members[record["archive_path"]])
        looked_at.add(str(home.root / record["archive_path"]))
        done += 1
        if time.monotonic() - started > MOST_SECONDS:
            position = record["sha256"]
            break
    through = part.is_last and position == part.next
    if through:
        errors += _of_index(home)
        looked_at |= {str(home.text_index)}
    looked_at |= _gone(home, health, standing)
    checked = {**health.checked, "at": now_text(), "next": "" if through else position, "archives": str(done)}
    ended = {"round_ended": now_text()} if through else {}
    noting.note_check(home, config, STATION, errors, looked_at, {**checked, **ended})
    return errors


def keep_all(home: Home, config: Config, verified: Verified) -> None:
    """Keep what a look at all archives by hand has shown."""
    health = health_file.read(home)
    if not home.root.is_dir() or not (verified.errors or home.health_file.exists()):
        return
    looked_at = {each.path for each in health.problems if each.station == STATION} - {str(home.text_index)}
    checked = {**health.checked, "at": now_text(), "archives": str(verified.segments), "round_ended": now_text()}
    noting.note_check(home, config, STATION, verified.errors, looked_at, checked)


def choose(records: list[Line], start: str, damaged: set[str]) -> Part:
    """The files whose hash lies behind `start`, a seventh of all; before them those that were damaged. Pure."""
    ordered = sorted(records, key=lambda each: each["sha256"])
    behind = [each for each in ordered if each["sha256"] > start]
    size = -(-len(ordered) // DAYS)
    part = behind[:size]
    again = [
        each for each in ordered if each not in part and any(path.endswith(each["archive_path"]) for path in damaged)
    ]
    return Part([*again, *part], part[-1]["sha256"] if part else "", len(behind) <= size)


def _known_damage(health: Health) -> set[str]:
    """The files that were found damaged before."""
    return {each.path for each in health.problems if each.station == STATION}


def _gone(home: Home, health: Health, standing: Standing) -> set[str]:
    """Damaged files that are no part of the archive any more: retired, or joined into another."""
    named = {str(home.root / record["archive_path"]) for record in standing.in_order()}
    kept = {str(home.ledger), str(home.text_index)}
    return {each.path for each in health.problems if each.station == STATION} - named - kept


def _of_ledger(home: Home, words: str) -> MoonError:
    return ArchiveDamaged(f"ledger: {words}", path=str(home.ledger))


def _of_index(home: Home) -> Iterator[MoonError]:
    try:
        with open_reader(home.text_index) as index:
            found = index.damage()
    except IndexMissing:
        return
    except MoonError as error:
        yield error
        return
    if found:
        yield MoonError(f"the index is damaged: {found}", path=str(home.text_index), code="index_corrupt")
