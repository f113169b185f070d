"""Checks of the index that machines share: can it be reached, and does it have what this machine has?"""

from __future__ import annotations

from moon.config import Config
from moon.errors import MoonError
from moon.host_id import known_host
from moon.paths import Home
from moon.shared_index.outbox_state import read_state
from moon.text import counted
from moon.verify.finding import FAIL, OK, WARN, Finding, Findings, of_error

ASKED_SECONDS = 10.0


def check_shared(home: Home, config: Config) -> Findings:
    """Nothing where none is configured."""
    if config.index.engine != "postgresql":
        return
    from moon.shared_index.shared_reader import open_shared

    try:
        with open_shared(config.index.postgresql, ASKED_SECONDS) as index, index.snapshot():
            hosts, has_trigrams, outdated = index.hosts(), index.has_trigrams(), index.outdated
    except MoonError as error:
        yield of_error("shared index", FAIL, error)
        return
    own, waiting = known_host(home), read_state(home)["waiting"]
    if outdated:
        yield Finding("shared index", WARN, outdated, "`moon-index --rebuild` on these machines makes it better")
    if not has_trigrams:
        words = "the database has no pg_trgm: fewer mistyped words are corrected"
        yield Finding(
            "shared index", WARN, words, "`moon-index --init-database` as a role that may create extensions adds it"
        )
    if waiting:
        words = f"{counted(waiting, 'archive')} of this machine are not there yet"
        yield Finding("shared index", WARN, words, "`moon-index --send` sends them; the timer does so by itself")
    elif own is None or own.id not in hosts:
        words = "reached, but nothing of this machine is there yet"
        yield Finding("shared index", WARN, words, "`moon-index --send`; `moon.allow` lets this machine in")
    else:
        yield Finding("shared index", OK, f"reached; this role sees {counted(len(hosts), 'machine')}")
