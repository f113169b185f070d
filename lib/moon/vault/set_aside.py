"""Events that cannot be a line of a segment: they hold a line break, or OpenClaw's own packing of them is broken.

Their bytes are kept exactly, in `archives/quarantine/<sha256>.bin`, and a line of the ledger of kind `aside` says so.
From then on they count as archived.
"""

from __future__ import annotations

import hashlib

from moon.clock import now_text
from moon.errors import ArchiveDamaged
from moon.files import write_atomic
from moon.paths import Home
from moon.vault.catalog import Catalog
from moon.vault.segment_entry import Owner


def keep_aside(home: Home, owner: Owner, data: bytes, reason: str) -> str:
    """Write the bytes under their hash, once, and read them back; their SHA-256. Raises `HomeUnusable`."""
    sha256 = hashlib.sha256(data).hexdigest()
    if not reads_back(home, sha256):
        path = home.quarantine / f"{sha256}.bin"
        write_atomic(path, data)
        write_atomic(path.with_suffix(".txt"), f"{owner.agent} {owner.session_id}\n{reason}\n")
        if not reads_back(home, sha256):
            raise ArchiveDamaged(
                f"{path} did not read back as it was written",
                path=str(path),
                hint="the disk may be failing; nothing was recorded or pruned",
            )
    return sha256


def reads_back(home: Home, sha256: str) -> bool:
    """Are the bytes with that hash there, and unchanged?"""
    try:
        with (home.quarantine / f"{sha256}.bin").open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == sha256


def enter_aside(catalog: Catalog, owner: Owner, event_id: str, sha256: str, size: int, reason: str) -> None:
    """Write the ledger's line of bytes that were kept aside, and commit the catalog."""
    added = catalog.ledger.append(
        {
            "schema": "moon.archive/1",
            "kind": "aside",
            "agent": owner.agent,
            "session_key": owner.session_key,
            "session_id": owner.session_id,
            "sha256": sha256,
            "bytes": size,
            "event_id": event_id,
            "reason": reason,
            "archived_at": now_text(),
        }
    )
    catalog.add_set_aside(added.record)
    catalog.note_position(added)
    catalog.connection.commit()
