"""`moon-mirror --init` and `--new-host`: before the first copy, and when one home has become two."""

from __future__ import annotations

import argparse
import secrets
import shlex
from pathlib import Path

from moon import config as configuration
from moon import output
from moon.cli.mirror import finish
from moon.config import Config
from moon.copies.copy_errors import CopyRefused
from moon.copies.copy_record import record_file
from moon.copies.copy_settings import copies_of
from moon.copies.place import Place, open_place
from moon.copies.sealing import make_identity
from moon.errors import DONE, UsageWrong
from moon.files import exclusively
from moon.host_id import new_host as made_host
from moon.host_id import own_host, write_host
from moon.mirror.mirror_station import OPERATION_SECONDS, lock_file
from moon.paths import Home
from moon.report import Report


def init(home: Home, options: argparse.Namespace) -> int:
    """Make a key, try the place with a small object, and print what belongs in moon.yaml."""
    url = options.init.rstrip("/")
    own_disk = url.startswith("file://")
    if not options.identity and not own_disk:
        raise UsageWrong(
            "a copy that leaves the machine is sealed, and somebody has to keep the key",
            hint=f"moon-mirror --init {shlex.quote(url)} --identity FILE makes one in that file",
        )
    if own_disk:
        Path(url.removeprefix("file://")).mkdir(mode=0o700, parents=False, exist_ok=True)
    others = len(configuration.load(home).copies)
    place = open_place(url, seconds=OPERATION_SECONDS)
    try_out(place)
    lines = [*([] if others else ["copies:"]), f"  - url: {url}"]
    if options.identity:
        path = Path(options.identity).expanduser().absolute()
        lines.append(f"    recipients: [{make_identity(path)}]\n    identity_file: {path}")
    else:
        lines.append("    encrypt: off")
    output.tell(*[line for each in lines for line in each.split("\n")])
    where = f"below the last entry of `copies` in {home.config_file}" if others else f"into {home.config_file}"
    output.say(f"moon-mirror: {url} takes objects and gives them back; write the lines above {where}")
    if options.identity:
        output.say(
            "keep that key in a second place (a password manager, paper): without it nobody opens the copy again;",
            "to restore only from elsewhere, take the line identity_file out and the key away from this machine",
        )
    return DONE


def try_out(place: Place) -> None:
    """Put an object, read it, and remove it. Raises what a place raises; `CopyRefused` where it comes back changed."""
    name, data = f"moon-probe-{secrets.token_hex(6)}", secrets.token_bytes(64)
    place.create(name, data)
    back = place.get(name, 1 << 10)
    place.delete(name)
    if back != data:
        raise CopyRefused(f"{place.url} gives back other bytes than were put there", path=place.url)


def new_host(home: Home, config: Config, options: argparse.Namespace) -> int:
    """Give this home a name of its own; its next run copies everything under that name."""
    report = Report("moon-mirror", changed=True)
    with exclusively(lock_file(home)):
        before = own_host(home)
        host = made_host()
        write_host(home, host, replace=True)
        for settings in copies_of(config):
            record_file(home, settings.url).unlink(missing_ok=True)
    report.outcome = f"this home is {host.id} now; what is copied as {before.id} stays for the other one"
    report.details = [{"host": host.id, "before": before.id}]
    return finish(report, options.json)
