"""`moon-mirror --verify`: read the copies back."""

from __future__ import annotations

import argparse
import secrets

from moon.cli.mirror import finish
from moon.config import Config
from moon.copies.copy_errors import CopyKeyMissing
from moon.copies.copy_record import CopyRecord, read_record, write_record
from moon.copies.copy_settings import CopySettings, copies_of
from moon.copies.place import open_place
from moon.errors import MoonError
from moon.files import exclusively
from moon.host_id import own_host
from moon.mirror.mirror_station import OPERATION_SECONDS, keep_problems, lock_file
from moon.mirror.proving import Proof, prove
from moon.paths import Home
from moon.report import Report
from moon.vault.ledger import Ledger


def verify(home: Home, config: Config, options: argparse.Namespace) -> int:
    """Each copy, one after the other. Raises `LockBusy`."""
    report, words = Report("moon-mirror"), []
    found: list[MoonError] = []
    with exclusively(lock_file(home)):
        for settings in copies_of(config):
            if options.identity:
                settings = settings._replace(identity_files=(options.identity,))
            try:
                proof = _verify_one(home, settings, options.sample)
            except MoonError as error:
                found.append(error)
                words.append(f"{settings.url}: {error.message}")
                continue
            found += proof.errors
            words.append(f"{settings.url}: {proof.words()}")
            report.details.append({"url": settings.url, **_numbers(proof)})
        keep_problems(home, config, found)
    for problem in found:
        report.fail(problem)
    report.outcome = "; ".join(words)
    return finish(report, options.json)


def _verify_one(home: Home, settings: CopySettings, share: float) -> Proof:
    host = own_host(home)
    record = read_record(home, settings.url) or CopyRecord(settings.url, host.id)
    place = open_place(settings.url, seconds=OPERATION_SECONDS)
    proof = prove(Ledger(home.ledger), host, place, settings.seal(to_open=True), record, share, secrets.randbits(32))
    if settings.opens() and not proof.content:
        proof.errors.append(CopyKeyMissing(f"the identity does not open the copy at {settings.url}", path=settings.url))
    write_record(home, record)
    return proof


def _numbers(proof: Proof) -> dict[str, object]:
    return {
        "copied": not proof.errors,
        "parts": proof.parts,
        "objects": proof.objects,
        "of": proof.of,
        "bytes": proof.bytes,
        "content": proof.content,
        "damaged": len(proof.errors),
        "strays": proof.strays,
    }
