"""How far the copies of this home are, from what it knows of them; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moon.clock import parse_ms
from moon.config import Config
from moon.errors import MoonError
from moon.paths import Home
from moon.text import counted, readable_size, span

Document = dict[str, Any]
# Runs come after each cycle, and once an hour in any case.
LATE_MS = 86_400_000


def copies_state(home: Home, config: Config) -> list[Document]:
    """An entry for each configured copy."""
    if not config.copies:
        return []
    from moon.copies.copy_record import read_record
    from moon.copies.copy_settings import copies_of

    try:
        size = home.ledger.stat().st_size
    except OSError:
        size = 0
    found = []
    for settings in copies_of(config):
        record = read_record(home, settings.url)
        found.append(
            {
                "url": settings.url,
                "done_at": (record.done_at or None) if record else None,
                "lag_bytes": max(0, size - (record.ledger_end if record else 0)),
                "missing": len(record.missing) if record else 0,
                "failing_since": (record.failing_since or None) if record else None,
                "verified_at": (record.verified_at or None) if record else None,
            }
        )
    return found


def copies_trouble(copies: list[Document], now: int) -> Iterator[MoonError]:
    """Copies that hold less than the archive for a day. Why, is a problem that the runs themselves keep. Pure."""
    for copy in copies:
        done = parse_ms(copy["done_at"]) if copy["done_at"] else None
        if done is not None and now - done > LATE_MS:
            words = f"nothing was copied to {copy['url']} for {span((now - done) // 1000)}"
            yield MoonError(words, code="copy_behind", path=copy["url"])
        elif done is None and copy["lag_bytes"]:
            yield MoonError(f"nothing was copied to {copy['url']} yet", code="copy_behind", path=copy["url"])


def copy_words(copy: Document, now: int) -> str:
    """How far a copy is, in one line."""
    done = parse_ms(copy["done_at"]) if copy["done_at"] else None
    when = "never" if done is None else f"{span(max(0, now - done) // 1000)} ago"
    lag = "" if not copy["lag_bytes"] else f", behind by {readable_size(copy['lag_bytes'])} of the ledger"
    missing = f", {counted(copy['missing'], 'archive')} missing" if copy["missing"] else ""
    return f"{copy['url']} {when}{lag}{missing}"
