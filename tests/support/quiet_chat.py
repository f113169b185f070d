"""The archives of a chat that rests between messages: many a day, written as `moon-archive` would, but all at once."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone

from tests.support import events

from moon.paths import Home
from moon.vault.ledger import GENESIS, line_hash
from moon.vault.segments import segment_path

FIRST = datetime(2025, 11, 20, 8, tzinfo=timezone.utc)


def archive_quiet_chat(home: Home, days: range, a_day: int, session: str = "s1", first: datetime = FIRST) -> list[str]:
    """Add `a_day` archives of one message for each day, a quarter of an hour apart; their SHA-256 in order."""
    home.ledger.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = home.ledger.read_bytes().splitlines() if home.ledger.exists() else []
    tip = line_hash(before[-1]) if before else GENESIS
    ordinal = sum(json.loads(line)["session_id"] == session for line in before)
    hashes = []
    with home.ledger.open("ab") as ledger:
        for day, place in ((day, place) for day in days for place in range(a_day)):
            ordinal += 1
            when = first + timedelta(days=day, minutes=15 * place)
            line, sha256 = _archive(home, session, ordinal, when, f"Never delete the folder /srv/{day}/{place}.", tip)
            ledger.write(line + b"\n")
            hashes.append(sha256)
            tip = line_hash(line)
    return hashes


def _archive(home: Home, session: str, ordinal: int, when: datetime, text: str, tip: str) -> tuple[bytes, str]:
    key = f"agent:main:{session}"
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.000Z"
    content = events.message(f"{session}-{ordinal}", text, when=stamp) + b"\n"
    path = segment_path(home.raw, "main", key, session, ordinal, compressed=False)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    record = {
        "schema": "moon.archive/1",
        "kind": "archive",
        "agent": "main",
        "session_key": key,
        "session_id": session,
        "archive_path": home.relative(path),
        "sha256": sha256,
        "events": 1,
        "bytes": len(content),
        "first_event_id": f"{session}-{ordinal}",
        "last_event_id": f"{session}-{ordinal}",
        "archived_at": stamp,
        "ordinal": ordinal,
        "torn": False,
        "prev": tip,
    }
    return json.dumps(record, separators=(",", ":")).encode(), sha256
