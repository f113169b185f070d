"""Checks of what is let go: something still to be forgotten, retention, archives to be packed tighter."""

from __future__ import annotations

from moon.clock import format_ms, now_ms
from moon.config import Config
from moon.health.signs import forget_trouble
from moon.paths import Home
from moon.text import counted
from moon.vault import retention
from moon.vault.catalog import open_catalog
from moon.vault.cooling import warm
from moon.vault.retention import DAY_MS
from moon.verify.finding import OK, WARN, Finding, Findings, of_error


def check_keeping(home: Home, config: Config) -> Findings:
    """Is anything left undone that was asked for, and what does the timer let go of?"""
    unfinished = list(forget_trouble(home, now_ms()))
    yield from (of_error("keeping", WARN, error) for error in unfinished)
    if not home.ledger.exists():
        return
    with open_catalog(home) as catalog:
        found = retention.plan(
            catalog.segments(),
            config.retention,
            retention.facts_of(home, config),
            now_ms(),
            lambda file: home.relative(file.path),
        )
        limit = format_ms(now_ms() - config.archive.cool_days * DAY_MS)
        waiting = sum(1 for _ in warm(catalog.segments(), limit)) if config.archive.cool_days else 0
    cool = f"; {counted(waiting, 'old archive')} to be packed tighter, by the day" if waiting else ""
    if config.retention.delete == retention.NEVER:
        yield Finding("keeping", OK, f"no archive is ever deleted (retention.delete: never){cool}")
        return
    age = f"older than {config.retention.days} days"
    kept = "".join(f"; {number} kept: {why}" for why, number in sorted(found.kept.items()))
    yield Finding("keeping", OK, f"{counted(len(found.files), 'archive')} {age} to be let go{kept}{cool}")
