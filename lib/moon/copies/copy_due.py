"""Is there something to copy now? Asked by ticks that look, of the records and the ledger's size alone."""

from __future__ import annotations

from moon.clock import now_ms, parse_ms
from moon.config import Config
from moon.copies.copy_record import CopyRecord, read_record
from moon.copies.copy_settings import copies_of
from moon.paths import Home

# A head says that the host lives, so it is put anew this often also where nothing happens; what could not be copied or
# removed is tried again then.
HEAD_MS = 3_600_000


def copy_due_at(home: Home, config: Config, now: int) -> int | None:
    """When the next run of `moon-mirror` is due (milliseconds; now or before: at once); None without copies."""
    try:
        size = home.ledger.stat().st_size
    except OSError:
        size = 0
    moments = [_due_at(read_record(home, each.url), size, now) for each in copies_of(config)]
    return min(moments, default=None)


def is_copy_due(home: Home, config: Config) -> bool:
    """Is a run due now? Nothing is looked at where there are no copies."""
    now = now_ms()
    due = copy_due_at(home, config, now) if config.copies else None
    return due is not None and due <= now


def _due_at(record: CopyRecord | None, size: int, now: int) -> int:
    if record is None:
        return now
    if (retry := parse_ms(record.retry_at)) is not None:
        # A clock that was set back must not keep it waiting for longer than a pause ever is.
        return retry if retry - now <= HEAD_MS else now
    last = parse_ms(record.head_at)
    if size != record.ledger_end or record.renew or last is None or last > now:
        return now
    return last + HEAD_MS
